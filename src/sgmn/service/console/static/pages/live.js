// Live: all streams that run, side by side.

import { list } from "../api.js";
import { confidenceBar } from "../components/confidence.js";
import { poll } from "../components/polling.js";
import { loadProduct, productImage, productTitle } from "../components/products.js";
import { ACTIVE, frameUrl, sessionName, stateBadge } from "../components/sessions.js";
import { h, replace } from "../dom.js";
import { follow } from "../events.js";
import { t } from "../texts.js";

const REFRESH_MS = 5000; // streams come and go
const MAX_TILES = 64; // that one connection follows

/** The wall. */
export default async function showLive({ signal, setTitle }) {
  setTitle(t("live.title"));
  const tiles = new Map();
  const wall = h("ul", { class: "wall" });
  const empty = h("div", { class: "card empty" }, h("p", {}, t("live.none")), h("p", {}, t("live.start")));
  let following = new AbortController();
  signal.addEventListener("abort", () => following.abort());

  async function refresh() {
    const sessions = await loadSessions(signal);
    const ids = new Set(sessions.map(({ id }) => id));
    const isSame = sessions.length === tiles.size && sessions.every(({ id }) => tiles.has(id));
    [wall.hidden, empty.hidden] = [!sessions.length, sessions.length > 0];
    for (const session of sessions) tiles.get(session.id)?.showState(session.state);
    if (isSame) return;
    for (const id of [...tiles.keys()]) if (!ids.has(id)) tiles.delete(id);
    for (const session of sessions) if (!tiles.has(session.id)) tiles.set(session.id, createTile(session));
    replace(wall, sessions.map(({ id }) => tiles.get(id).node));
    following.abort();
    following = new AbortController();
    const row = ({ session, type, data }) => type === "sgmn.session/1" && data.change === "state" && tiles.get(session)?.showState(data.state);
    follow(sessions.map(({ id, last_seq }) => ({ id, seq: last_seq })), { row, now: (now) => tiles.get(now.session)?.show(now) }, following.signal);
  }

  await refresh();
  poll(refresh, REFRESH_MS, signal);
  return h("section", { class: "page" }, h("header", { class: "page-head" }, h("h1", {}, t("live.title"))), wall, empty);
}

async function loadSessions(signal) {
  const sessions = [];
  for await (const session of list("/v1/sessions", { state: ACTIVE }, { signal })) sessions.push(session);
  return sessions.slice(0, MAX_TILES);
}

function createTile(session) {
  const picture = h("img", { class: "frame", alt: "" });
  const product = h("div", { class: "tile-product" }, t("live.waiting"));
  const state = h("span", {}, stateBadge(session.state));
  const node = h("li", { class: "card tile" },
    h("a", { href: `/console/live/${session.id}` }, sessionName(session)), state, picture, product);

  async function show({ now, stream }) {
    if (typeof stream?.frame_s === "number") picture.src = frameUrl(session.id, stream.frame_s);
    if (!now) return;
    const found = now.product_id === null ? null : await loadProduct(session.catalogue_id, now.product_id);
    replace(product, productImage(session.catalogue_id, found), productTitle(now.product_id, found), confidenceBar(now.confidence));
  }
  return { node, show, showState: (name) => replace(state, stateBadge(name)) };
}
