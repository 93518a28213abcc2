// Forms in dialogs, questions before something is lost, and buttons that wait for the service.

import { h, setAttribute } from "../dom.js";
import { t } from "../texts.js";
import { openDialog } from "./dialogs.js";
import { showToast } from "./toast.js";

let count = 0;

/** A control with its label and a hint. */
export function field(label, control, hint = null) {
  const id = control.id || `field-${++count}`;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return h("div", { class: "field" },
    h("label", { for: id }, label), control,
    hint && h("p", { class: "muted small", id: `${id}-hint` }, hint));
}

/** A box that is on or off, with its label. */
export function checkbox(label, properties = {}) {
  return h("label", { class: "check" }, h("input", { type: "checkbox", ...properties }), label);
}

/** A choice of {value: text}. */
export function choice(options, properties = {}, chosen = null) {
  const entries = Object.entries(options).map(([value, text]) => h("option", { value, selected: value === chosen }, text));
  return h("select", properties, entries);
}

/**
 * Asks for something in a dialog. `send(form)` is called with the form's values and its elements;
 * what it throws is shown, and the dialog stays open. The dialog goes when `signal` aborts.
 */
export function formDialog({ title, content, action, send, signal, isDangerous = false }) {
  const message = h("p", { class: "error", role: "alert" });
  const cancel = h("button", { type: "button", on: { click: () => dialog.close() } }, t("app.cancel"));
  const submit = h("button", { type: "submit", class: isDangerous ? "danger" : "primary" }, action);
  const form = h("form", { on: { submit: trySend } }, h("h2", {}, title), content, message, h("footer", {}, cancel, submit));

  async function trySend(event) {
    event.preventDefault();
    if (submit.disabled) return;
    submit.disabled = true;
    message.textContent = "";
    try {
      await send(form.elements);
      dialog.close();
    } catch (error) {
      message.textContent = error.message;
      focusInvalid(form, error.problem?.errors ?? []);
    } finally {
      submit.disabled = false;
    }
  }
  const dialog = openDialog(title, form, { signal });
  return dialog;
}

function focusInvalid(form, errors) {
  const names = errors.map((error) => error.where.split(".").pop());
  const controls = [...form.elements].filter((control) => control.name);
  for (const control of controls) setAttribute(control, "aria-invalid", names.includes(control.name) ? "true" : null);
  controls.find((control) => names.includes(control.name))?.focus();
}

/** Asks before something is lost. */
export function confirmDialog({ title, text, action, send, signal }) {
  return formDialog({ title, content: h("p", {}, text), action, send, signal, isDangerous: true });
}

/** Shows a secret that cannot be read again, with a button that copies it. */
export function showSecret({ title, text, secret, signal }) {
  const value = h("input", { readonly: true, value: secret, class: "secret", "aria-label": title, spellcheck: "false" });
  const copy = h("button", { type: "button", on: { click: copySecret } }, t("form.copy"));
  const done = h("button", { type: "button", class: "primary", on: { click: () => dialog.close() } }, t("form.stored"));

  async function copySecret() {
    value.select();
    try {
      await navigator.clipboard.writeText(secret);
      showToast(t("form.copied"));
    } catch {
      showToast(t("form.copyByHand")); // on http in a network, pages may not write the clipboard
    }
  }
  const dialog = openDialog(title, [h("h2", {}, title), h("p", {}, text), value, h("footer", {}, copy, done)], { signal });
  return dialog;
}

/** A button that rests while `run` goes on; what that throws is shown. */
export function actionButton(content, run, properties = {}) {
  async function click() {
    button.disabled = true;
    try {
      await run();
    } catch (error) {
      if (error.name !== "AbortError") showToast(error.message, "error");
    } finally {
      button.disabled = false;
    }
  }
  const button = h("button", { type: "button", ...properties, on: { click } }, content);
  return button;
}
