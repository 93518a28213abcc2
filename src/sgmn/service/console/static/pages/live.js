// Live: all streams that run, side by side.

import { list } from "../api.js";
import { confidenceBar } from "../components/confidence.js";
import { loadProduct, productImage, productTitle } from "../components/products.js";
import { ACTIVE, frameUrl, sessionName, stateBadge } from "../components/sessions.js";
import { h, replace } from "../dom.js";
import { follow } from "../events.js";
import { t } from "../texts.js";

/** The wall. */
export default async function showLive({ signal, setTitle }) {
  setTitle(t("live.title"));
  const sessions = [];
  for await (const session of list("/v1/sessions", { state: ACTIVE }, { signal })) sessions.push(session);
  const tiles = new Map(sessions.map((session) => [session.id, createTile(session)]));
  const followed = sessions.map((session) => ({ id: session.id, seq: session.last_seq }));
  follow(followed, { now: (now) => tiles.get(now.session).show(now) }, signal);
  const body = sessions.length
    ? h("ul", { class: "wall" }, [...tiles.values()].map((tile) => tile.node))
    : h("div", { class: "card empty" }, h("p", {}, t("live.none")), h("p", {}, t("live.start")));
  return h("section", { class: "page" }, h("header", { class: "page-head" }, h("h1", {}, t("live.title"))), body);
}

function createTile(session) {
  const picture = h("img", { class: "frame", alt: "" });
  const product = h("div", { class: "tile-product" }, t("live.waiting"));
  const node = h("li", { class: "card tile" },
    h("a", { href: `/console/live/${session.id}` }, sessionName(session)), stateBadge(session.state), picture, product);

  async function show({ now, stream }) {
    if (stream?.frame_s) picture.src = frameUrl(session.id, stream.frame_s);
    if (!now) return;
    const found = now.product_id === null ? null : await loadProduct(session.catalogue_id, now.product_id);
    replace(product, productImage(session.catalogue_id, found), productTitle(now.product_id, found), confidenceBar(now.confidence));
  }
  return { node, show };
}
