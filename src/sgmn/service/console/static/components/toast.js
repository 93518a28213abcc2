// Short messages at the edge of the page; screen readers read them.

import { h, icon } from "../dom.js";
import { t } from "../texts.js";

const DURATION_MS = 8000;

/** The place of the messages. */
export const toasts = h("div", { class: "toasts", role: "status", "aria-live": "polite" });

/** Shows a message: "info" goes by itself, "error" stays until it is closed. */
export function showToast(message, kind = "info") {
  const close = () => toast.remove();
  const button = h("button", { type: "button", class: "icon-button", "aria-label": t("app.close"), on: { click: close } }, icon("close"));
  const toast = h("div", { class: `toast ${kind}` }, h("span", {}, message), button);
  toasts.append(toast);
  if (kind !== "error") setTimeout(close, DURATION_MS);
}
