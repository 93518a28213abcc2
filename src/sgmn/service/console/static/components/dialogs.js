// Modal dialogs. The keys of the page rest while one is open.

import { h } from "../dom.js";
import { addKeys } from "../keys.js";
import { t } from "../texts.js";

/** Opens a dialog and returns it; closing it removes it. It closes when `signal` aborts. */
export function openDialog(title, content, { signal = null, onClose = null } = {}) {
  const dialog = h("dialog", { class: "dialog", "aria-label": title }, content);
  const removeKeys = addKeys([], { only: true });
  const close = () => dialog.close();
  signal?.addEventListener("abort", close);
  dialog.addEventListener("close", () => {
    signal?.removeEventListener("abort", close);
    removeKeys();
    dialog.remove();
    onClose?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A dialog with a heading and a button that closes it; takes the options of `openDialog`. */
export function showMessage(title, content, options) {
  const done = h("button", { type: "button", class: "primary", on: { click: () => dialog.close() } }, t("app.close"));
  const dialog = openDialog(title, [h("h2", {}, title), content, h("footer", {}, done)], options);
  return dialog;
}
