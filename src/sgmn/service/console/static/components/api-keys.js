// API keys: an admin makes and revokes them; the secret of a key is shown once.

import { list, post, remove } from "../api.js";
import { formatDate, h, icon } from "../dom.js";
import { t } from "../texts.js";
import { choice, confirmDialog, field, formDialog, showSecret } from "./forms.js";
import { ItemList } from "./polling.js";
import { showToast } from "./toast.js";

const ROLES = ["viewer", "editor", "admin"];

/** The keys that are not revoked. */
export async function showKeys({ signal, user }) {
  const rows = new ItemList(h("ul", { class: "rows" }), (key) => keyRow(key, user, signal, update));
  async function update() {
    const keys = [];
    for await (const key of list("/v1/keys", {}, { signal })) keys.push(key);
    rows.show(keys);
  }
  await update();
  const make = h("button", { type: "button", class: "primary", on: { click: () => askForKey(signal, update) } }, icon("plus"), t("apiKeys.new"));
  return h("section", { class: "stack", "aria-label": t("settings.keys") },
    h("div", { class: "section-head" }, h("h2", {}, t("settings.keys")), h("div", { class: "end" }, make)), rows.node);
}

function keyRow(key, user, signal, update) {
  const shops = key.shops ? t("apiKeys.shops", { shops: key.shops.join(", ") }) : t("apiKeys.allShops");
  const used = key.last_used_s ? t("apiKeys.used", { date: formatDate(key.last_used_s) }) : t("apiKeys.unused");
  const revoke = h("button", { type: "button", class: "danger", "aria-label": t("apiKeys.revokeName", { name: key.name }), on: { click: () => askToRevoke(key, signal, update) } }, t("apiKeys.revoke"));
  return h("li", { class: "card row", data: { key: key.id } },
    h("div", { class: "row-main" }, h("h3", {}, key.name), h("p", { class: "muted small" }, `${shops} · ${used}`)),
    h("span", { class: "badge" }, t(`apiKeys.role.${key.role}`)),
    h("div", { class: "row-actions" }, key.id === user.id ? h("span", { class: "muted small" }, t("apiKeys.yours")) : revoke));
}

function askForKey(signal, update) {
  const roles = Object.fromEntries(ROLES.map((role) => [role, t(`apiKeys.roleChoice.${role}`)]));
  const shops = h("input", { name: "shops", autocomplete: "off", spellcheck: "false" });
  const shopField = field(t("apiKeys.shopIds"), shops, t("apiKeys.shopHint"));
  const role = choice(roles, { name: "role", on: { change: () => (shopField.hidden = role.value === "admin") } });
  formDialog({
    title: t("apiKeys.new"), action: t("apiKeys.make"), signal,
    content: [field(t("catalogueList.name"), h("input", { name: "name", required: true, maxlength: "200", autocomplete: "off" }), t("apiKeys.nameHint")), field(t("apiKeys.roleLabel"), role), shopField],
    async send({ name }) {
      const names = shops.value.split(",").map((one) => one.trim()).filter(Boolean);
      const isForAll = role.value === "admin" || names.length === 0;
      const { data } = await post("/v1/keys", { name: name.value.trim(), role: role.value, shops: isForAll ? null : names });
      showSecret({ title: t("apiKeys.secret"), text: t("apiKeys.secretText", { name: data.name }), secret: data.secret, signal });
      await update();
    },
  });
}

function askToRevoke(key, signal, update) {
  confirmDialog({
    title: t("apiKeys.revokeName", { name: key.name }), text: t("apiKeys.revokeText"), action: t("apiKeys.revoke"), signal,
    async send() {
      await remove(`/v1/keys/${key.id}`);
      showToast(t("apiKeys.revoked", { name: key.name }));
      await update();
    },
  });
}
