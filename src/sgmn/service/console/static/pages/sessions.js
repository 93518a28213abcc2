// Sessions: all streams by state, and a form that starts one.

import { list, post, remove } from "../api.js";
import { actionButton, confirmDialog } from "../components/forms.js";
import { askForSession } from "../components/new-session.js";
import { ItemList, Pages, poll } from "../components/polling.js";
import { ACTIVE, sessionName, stateBadge } from "../components/sessions.js";
import { showToast } from "../components/toast.js";
import { formatDate, formatTime, h, icon } from "../dom.js";
import { t } from "../texts.js";

const REFRESH_MS = 3000;
const FILTERS = { all: null, active: ACTIVE, ended: ["ended"], failed: ["failed"] };

/** The list; `?state=` chooses among the filters. */
export default async function showSessions({ signal, setTitle, query, mayEdit, navigate }) {
  setTitle(t("menu.sessions"));
  const chosen = query.get("state") in FILTERS ? query.get("state") : "all";
  const catalogues = new Map();
  for await (const catalogue of list("/v1/catalogues", {}, { signal })) catalogues.set(catalogue.id, catalogue);
  const pages = new Pages("/v1/sessions", { state: FILTERS[chosen] }, signal);
  const context = { catalogues, mayEdit, signal, update };
  const rows = new ItemList(h("ul", { class: "rows" }), (session) => sessionRow(session, context));
  const more = actionButton(t("app.more"), async () => show(await pages.more()));
  const empty = h("p", { class: "card empty" }, t("sessionList.none"));

  function show(sessions) {
    rows.show(sessions);
    more.hidden = pages.isComplete;
    empty.hidden = sessions.length > 0;
    rows.node.hidden = sessions.length === 0;
  }
  async function update() {
    show(await pages.again());
  }
  show(await pages.more());
  poll(update, REFRESH_MS, signal);
  return h("section", { class: "page" },
    h("header", { class: "page-head" }, h("h1", {}, t("menu.sessions")),
      mayEdit && h("div", { class: "end" }, startButton([...catalogues.values()], signal, navigate))),
    filterLinks(chosen), rows.node, empty, h("div", { class: "more" }, more));
}

function startButton(catalogues, signal, navigate) {
  const click = () => askForSession(catalogues, signal, (session) => navigate(`/console/live/${session.id}`));
  return h("button", { type: "button", class: "primary", on: { click } }, icon("plus"), t("newSession.title"));
}

function filterLinks(chosen) {
  const links = Object.keys(FILTERS).map((name) => {
    const href = name === "all" ? "/console/sessions" : `/console/sessions?state=${name}`;
    return h("li", {}, h("a", { href, "aria-current": name === chosen && "true" }, t(`sessionList.filter.${name}`)));
  });
  return h("nav", { "aria-label": t("sessionList.filters") }, h("ul", { class: "tabs" }, links));
}

function sessionRow(session, { catalogues, mayEdit, signal, update }) {
  const isActive = ACTIVE.includes(session.state);
  const catalogue = catalogues.get(session.catalogue_id);
  const place = h("a", { href: `/console/${isActive ? "live" : "sessions"}/${session.id}` }, sessionName(session));
  return h("li", { class: "card row", data: { session: session.id } },
    h("div", { class: "row-main" },
      h("h2", {}, place), h("p", { class: "muted small" }, describe(session, catalogue)),
      session.state_detail && h("p", { class: "small" }, session.state_detail)),
    stateBadge(session.state),
    h("div", { class: "row-actions" }, rowActions(session, isActive, mayEdit, signal, update)));
}

function describe(session, catalogue) {
  const shop = catalogue ? `${catalogue.name} (${session.shop_id})` : session.shop_id;
  const parts = [shop, formatDate(session.created_s)];
  if (session.started_s && session.ended_s) parts.push(t("sessionList.took", { time: formatTime(session.ended_s - session.started_s) }));
  if (session.options.record) parts.push(t("sessionList.recorded"));
  return parts.join(" · ");
}

function rowActions(session, isActive, mayEdit, signal, update) {
  const name = sessionName(session);
  const link = (place, text) => h("a", { class: "button", href: `/console/${place}/${session.id}`, "aria-label": `${text}: ${name}` }, text);
  const stop = () => actionButton([icon("stop"), t("sessionList.stop")], () => askToStop(session, signal, update), { "aria-label": t("sessionList.stopName", { name }) });
  const drop = () => actionButton(icon("trash"), () => askToDelete(session, signal, update), { class: "icon-button", "aria-label": t("sessionList.deleteName", { name }), title: t("app.delete") });
  return [
    isActive && link("live", t("sessionList.live")),
    link("sessions", t("sessionList.replay")),
    mayEdit && isActive && session.state !== "stopping" && stop(),
    mayEdit && drop(),
  ];
}

function askToStop(session, signal, update) {
  const name = sessionName(session);
  confirmDialog({
    title: t("sessionList.stopName", { name }), text: t("sessionList.stopText"), action: t("sessionList.stop"), signal,
    async send() {
      await post(`/v1/sessions/${session.id}:stop`);
      showToast(t("sessionList.stopping", { name }));
      await update();
    },
  });
}

function askToDelete(session, signal, update) {
  const name = sessionName(session);
  confirmDialog({
    title: t("sessionList.deleteName", { name }), text: t("sessionList.deleteText"), action: t("app.delete"), signal,
    async send() {
      await remove(`/v1/sessions/${session.id}`);
      showToast(t("sessionList.deleted", { name }));
      await update();
    },
  });
}
