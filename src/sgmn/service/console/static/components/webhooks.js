// Webhooks of the shops, with their deliveries.

import { list, post, put, remove } from "../api.js";
import { formatDate, h, icon } from "../dom.js";
import { t } from "../texts.js";
import { deliveryPanel } from "./deliveries.js";
import { actionButton, checkbox, confirmDialog, field, formDialog, showSecret } from "./forms.js";
import { ItemList } from "./polling.js";
import { shopField } from "./shop-field.js";
import { showToast } from "./toast.js";

const TYPES = ["sgmn.event/1", "sgmn.review/1", "sgmn.session/1"];

/** The webhooks of the shops of the key. */
export async function showWebhooks({ signal, user }) {
  const empty = h("p", { class: "card empty" }, t("webhooks.none"));
  const rows = new ItemList(h("ul", { class: "rows" }), (webhook) => webhookRow(webhook, signal, update));
  async function update() {
    const webhooks = [];
    for await (const webhook of list("/v1/webhooks", {}, { signal })) webhooks.push(webhook);
    rows.show(webhooks);
    empty.hidden = webhooks.length > 0;
  }
  await update();
  const make = h("button", { type: "button", class: "primary", on: { click: () => askForWebhook(user, signal, update) } }, icon("plus"), t("webhooks.new"));
  return h("section", { class: "stack", "aria-label": t("settings.webhooks") },
    h("div", { class: "section-head" }, h("h2", {}, t("settings.webhooks")), h("div", { class: "end" }, make)), rows.node, empty);
}

function webhookRow(webhook, signal, update) {
  const { id, state, types, shop_id: shop, previous_secret_until_s: untilS } = webhook;
  const path = `/v1/webhooks/${id}`;
  const next = state === "active" ? "disabled" : "active";
  const change = async () => {
    await put(path, { types, state: next }, { ifMatch: `"${webhook.version}"` });
    await update();
  };
  const deliveries = deliveryPanel(webhook, signal);
  const parts = [t("catalogueList.shop", { shop }), types.map((type) => t(`webhooks.types.${type.split(/[./]/)[1]}`)).join(", ")];
  if (untilS) parts.push(t("webhooks.previous", { date: formatDate(untilS) }));
  return h("li", { class: "card row", data: { webhook: id } },
    h("div", { class: "row-main" }, h("h3", {}, webhook.url), h("p", { class: "muted small" }, parts.join(" · "))),
    h("span", { class: "badge", data: { state: state === "active" ? "running" : "stopped" } }, t(`webhooks.state.${state}`)),
    h("div", { class: "row-actions" },
      deliveries.button,
      actionButton(t(`webhooks.set.${next}`), change),
      h("button", { type: "button", on: { click: () => askToRotate(webhook, signal, update) } }, t("webhooks.rotate")),
      h("button", { type: "button", class: "icon-button", "aria-label": t("webhooks.deleteName", { url: webhook.url }), title: t("app.delete"), on: { click: () => askToDelete(webhook, signal, update) } }, icon("trash"))),
    deliveries.node);
}

function askForWebhook(user, signal, update) {
  const url = h("input", { name: "url", required: true, inputmode: "url", spellcheck: "false", autocomplete: "off", placeholder: "https://shop.example/hooks/sgmn" });
  const boxes = TYPES.map((value) => checkbox(t(`webhooks.types.${value.split(/[./]/)[1]}`), { name: "types", value, checked: true }));
  formDialog({
    title: t("webhooks.new"), action: t("webhooks.make"), signal,
    content: [shopField(user), field(t("webhooks.url"), url, t("webhooks.urlHint")), h("fieldset", { class: "field" }, h("legend", {}, t("webhooks.typesLabel")), boxes)],
    async send({ shop_id }) {
      const types = boxes.map((box) => box.firstChild).filter((box) => box.checked).map((box) => box.value);
      const { data } = await post("/v1/webhooks", { shop_id: shop_id.value.trim(), url: url.value.trim(), types });
      revealSecret(data, signal);
      await update();
    },
  });
}

function revealSecret({ url, secret }, signal) {
  showSecret({ title: t("webhooks.secret"), text: t("webhooks.secretText", { url }), secret, signal });
}

function askToRotate(webhook, signal, update) {
  const hours = h("input", { name: "keep_hours", type: "number", min: "0", max: "720", step: "any", value: "24", required: true });
  formDialog({
    title: t("webhooks.rotate"), action: t("webhooks.rotateAction"), signal,
    content: [h("p", {}, t("webhooks.rotateText")), field(t("webhooks.keepHours"), hours)],
    async send() {
      const { data } = await post(`/v1/webhooks/${webhook.id}:rotate-secret`, { keep_hours: hours.valueAsNumber });
      revealSecret(data, signal);
      await update();
    },
  });
}

function askToDelete(webhook, signal, update) {
  confirmDialog({
    title: t("webhooks.deleteName", { url: webhook.url }), text: t("webhooks.deleteText"), action: t("app.delete"), signal,
    async send() {
      await remove(`/v1/webhooks/${webhook.id}`);
      showToast(t("webhooks.deleted"));
      await update();
    },
  });
}
