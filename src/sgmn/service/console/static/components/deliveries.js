// The deliveries of a webhook: what was sent, what failed, and sending it again.

import { post } from "../api.js";
import { formatDate, h, replace, setAttribute } from "../dom.js";
import { t } from "../texts.js";
import { actionButton, choice } from "./forms.js";
import { Pages, poll } from "./polling.js";

const REFRESH_MS = 5000;
const SHOWN = 20;

/** A button that opens the deliveries, and the place where they are shown. */
export function deliveryPanel(webhook, signal) {
  const node = h("div", { class: "row-more", id: `deliveries-${webhook.id}`, hidden: true });
  const button = h("button", { type: "button", "aria-expanded": "false", "aria-controls": node.id, on: { click: toggle } }, t("deliveries.title"));
  let closing = new AbortController();

  async function toggle() {
    const isOpen = node.hidden;
    node.hidden = !isOpen;
    setAttribute(button, "aria-expanded", isOpen);
    closing.abort();
    if (!isOpen) return;
    closing = new AbortController();
    await showDeliveries(node, webhook, AbortSignal.any([signal, closing.signal]));
  }
  return { button, node };
}

async function showDeliveries(node, webhook, signal) {
  const states = Object.fromEntries(["all", "pending", "delivered", "dead"].map((name) => [name, t(`deliveries.state.${name}`)]));
  const select = choice(states, { "aria-label": t("deliveries.filter"), on: { change: reload } });
  const place = h("div", { class: "stack", "aria-live": "polite" });
  const more = actionButton(t("app.more"), async () => show(await pages.more()));
  let pages = newPages();

  function newPages() {
    const state = select.value === "all" ? null : select.value;
    return new Pages(`/v1/webhooks/${webhook.id}/deliveries`, { state }, signal, SHOWN);
  }
  async function reload() {
    pages = newPages();
    show(await pages.more());
  }
  let shown = "";
  function show(deliveries) {
    more.hidden = pages.isComplete;
    const text = JSON.stringify(deliveries);
    if (text === shown) return;
    shown = text;
    replace(place, deliveries.length ? deliveryTable(deliveries, webhook, update) : h("p", { class: "muted" }, t("deliveries.none")));
  }
  async function update() {
    show(await pages.again());
  }
  replace(node, h("div", { class: "cluster" }, select), place, h("div", { class: "more" }, more));
  await reload();
  poll(update, REFRESH_MS, signal);
}

function deliveryTable(deliveries, webhook, update) {
  const heads = ["state", "row", "attempts", "answer", "changed"].map((name) => h("th", { scope: "col" }, t(`deliveries.column.${name}`)));
  return h("div", { class: "table-scroll" },
    h("table", {}, h("thead", {}, h("tr", {}, heads, h("td", {}))), h("tbody", {}, deliveries.map((one) => deliveryRow(one, webhook, update)))));
}

function deliveryRow(delivery, webhook, update) {
  const { id, state, session_id: session, seq, attempts, last_status: status, last_error: error } = delivery;
  const retry = actionButton(t("deliveries.retry"), async () => {
    await post(`/v1/webhooks/${webhook.id}/deliveries/${id}:retry`);
    await update();
  });
  const next = delivery.next_attempt_s && state === "pending" ? t("deliveries.next", { date: formatDate(delivery.next_attempt_s) }) : "";
  return h("tr", {},
    h("td", {}, h("span", { class: "badge", data: { state: { delivered: "running", dead: "failed" }[state] ?? "waiting" } }, t(`deliveries.state.${state}`))),
    h("td", {}, h("a", { href: `/console/sessions/${session}` }, t("deliveries.row", { seq }))),
    h("td", { class: "number" }, attempts),
    h("td", {}, [status, error].filter(Boolean).join(" ") || "–"),
    h("td", {}, formatDate(delivery.updated_s), next && h("p", { class: "muted small" }, next)),
    h("td", {}, state !== "pending" || attempts > 0 ? retry : null));
}
