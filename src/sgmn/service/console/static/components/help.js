// The dialog that shows the keys of a page.

import { h } from "../dom.js";
import { activeKeys, areEnabled, setEnabled } from "../keys.js";
import { t } from "../texts.js";
import { showMessage } from "./dialogs.js";

/** Shows the keys that count now, and the switch for single keys. */
export function showHelp() {
  const rows = activeKeys().map((entry) => {
    const keys = (entry.shown ?? entry.keys).map((key) => h("kbd", {}, key));
    return h("div", {}, h("dt", {}, keys), h("dd", {}, read(entry.label)));
  });
  const box = h("input", { type: "checkbox", checked: areEnabled(), on: { change: () => setEnabled(box.checked) } });
  showMessage(t("keys.title"), [
    h("dl", { class: "keys" }, rows),
    h("label", { class: "check" }, box, t("keys.enabled")),
  ]);
}

function read(label) {
  return typeof label === "function" ? label() : label;
}
