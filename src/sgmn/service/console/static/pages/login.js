// Login by an API key.

import { request } from "../api.js";
import { h, replace } from "../dom.js";
import { t } from "../texts.js";

/** Shows the form; `done` gets the key of the login. */
export function showLogin(place, done) {
  const field = h("input", { id: "key", name: "key", type: "password", autocomplete: "current-password", required: true, spellcheck: "false" });
  const message = h("p", { class: "error", role: "alert" });
  const button = h("button", { type: "submit", class: "primary" }, t("login.submit"));

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    message.textContent = "";
    try {
      const { data } = await request("POST", "/console/login", { body: { key: field.value } });
      await done(data.key);
    } catch (error) {
      message.textContent = error.message;
      field.select();
    } finally {
      button.disabled = false;
    }
  }

  replace(place, h("main", { class: "login" },
    h("form", { class: "card", on: { submit } },
      h("img", { src: "/console/static/icon.svg", alt: "", width: "44", height: "44" }),
      h("h1", {}, t("login.title")),
      h("p", { class: "muted" }, t("login.intro")),
      h("label", { for: "key" }, t("login.key")),
      field,
      message,
      button)));
  field.focus();
}
