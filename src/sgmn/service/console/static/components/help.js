// The dialog that shows the keys of a page.

import { h } from "../dom.js";
import { activeKeys, addKeys, areEnabled, setEnabled } from "../keys.js";
import { t } from "../texts.js";

/** Shows the keys that count now, and the switch for single keys. */
export function showHelp() {
  const rows = activeKeys().map((entry) => {
    const keys = (entry.shown ?? entry.keys).map((key) => h("kbd", {}, key));
    return h("div", {}, h("dt", {}, keys), h("dd", {}, read(entry.label)));
  });
  const box = h("input", { type: "checkbox", checked: areEnabled(), on: { change: () => setEnabled(box.checked) } });
  openDialog(t("keys.title"), [
    h("dl", { class: "keys" }, rows),
    h("label", { class: "check" }, box, t("keys.enabled")),
  ]);
}

function read(label) {
  return typeof label === "function" ? label() : label;
}

/**
 * Opens a modal dialog and returns it; closing it removes it. The keys of the page rest meanwhile.
 */
export function openDialog(title, content, { onClose } = {}) {
  const done = h("button", { type: "button", class: "primary", on: { click: () => dialog.close() } }, t("app.close"));
  const dialog = h("dialog", { class: "dialog", "aria-label": title }, h("h2", {}, title), content, h("footer", {}, done));
  const removeKeys = addKeys([], { only: true });
  dialog.addEventListener("close", () => {
    removeKeys();
    dialog.remove();
    onClose?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
