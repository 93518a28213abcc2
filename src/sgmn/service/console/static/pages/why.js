// Why: what the model saw and heard at a moment, beside what the shop shows.

import { get } from "../api.js";
import { confidenceBar } from "../components/confidence.js";
import { frameView } from "../components/frame-view.js";
import { loadProduct, productImage, productPrice, productTitle } from "../components/products.js";
import { scoreParts, signed } from "../components/score-parts.js";
import { sessionName } from "../components/sessions.js";
import { formatTime, h, icon } from "../dom.js";
import { applyReviews, segmentAt } from "../layers.js";
import { loadReviews, reviewsOf } from "../reviews.js";
import { t } from "../texts.js";

/** The page of a moment of a session. */
export default async function showWhy(context) {
  const { params, signal } = context;
  const timeS = Number(params.time);
  const path = `/v1/sessions/${params.session}`;
  const [session, timeline, evidence] = await Promise.all([
    get(path, {}, { signal }), get(`${path}/timeline`, { layer: "machine" }, { signal }), loadEvidence(path, timeS, signal), loadReviews(params.session, { signal })]);
  const segment = segmentAt(timeline.segments, timeS);
  const product = segment?.product_id ? await loadProduct(session.catalogue_id, segment.product_id) : null;
  const title = segment ? productTitle(segment.product_id, product) : t("timeline.none");
  context.setTitle(t("why.title", { title }));
  const replay = `/console/sessions/${session.id}?t=${timeS.toFixed(1)}`;
  context.addKeys([{ keys: ["t", "T"], shown: ["T"], label: () => t("keys.timeline"), run: () => context.navigate(replay) }]);
  const review = segmentAt(applyReviews(timeline.segments, reviewsOf(session.id)), timeS);
  return h("section", { class: "page why" },
    h("header", { class: "page-head" },
      h("a", { class: "icon-button button", href: replay, "aria-label": t("review.timeline"), title: t("review.timeline") }, icon("back")),
      h("h1", {}, t("why.title", { title })), h("span", { class: "muted" }, `${sessionName(session)} · ${t("why.at", { time: formatTime(timeS, 1) })}`),
      review?.verdict ? h("span", { class: "badge" }, t(`verdict.${review.verdict}`)) : null),
    h("div", { class: "why-pictures" },
      figure("why.frame", picture(session.id, timeS, signal, false)),
      figure("why.heat", picture(session.id, timeS, signal, true)),
      figure("why.shop", shopPicture(session, segment, product))),
    h("div", { class: "why-facts" }, words(evidence, product), await chances(session, segment), await scores(session, evidence), await parts(session, evidence)));
}

function figure(text, node) {
  return h("figure", { class: "card" }, h("figcaption", {}, t(text)), node);
}

function picture(sessionId, timeS, signal, isHeat) {
  const view = frameView(sessionId, signal);
  view.setHeat(isHeat);
  view.show(timeS);
  return view.node;
}

function shopPicture(session, segment, product) {
  if (!segment || segment.product_id === null) return h("p", { class: "muted" }, t("live.nothing"));
  if (!product) return h("p", { class: "muted" }, t("why.noProduct"));
  return h("div", { class: "why-product" }, productImage(session.catalogue_id, product), h("strong", {}, product.title), h("span", { class: "muted" }, productPrice(product)));
}

/** The window at a time; null if its evidence is not kept any more. */
async function loadEvidence(path, timeS, signal) {
  try {
    return await get(`${path}/windows/${timeS.toFixed(3)}`, {}, { signal });
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

function words(evidence, product) {
  const missing = evidence ? "why.noWords" : "why.evidenceNone";
  const content = evidence?.text ? [h("p", { class: "said" }, marked(evidence.text, product)), h("p", { class: "muted small" }, t("why.shared"))] : h("p", { class: "muted" }, t(missing));
  return h("section", { class: "card" }, h("h2", {}, t("why.words")), content);
}

/** The words of a text; those of the product's title are marked. */
function marked(text, product) {
  const known = new Set((product?.title ?? "").toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
  return text.split(/(?<=\s)/).map((word) => {
    const plain = word.toLowerCase().match(/[\p{L}\p{N}]+/u)?.[0];
    return known.has(plain) ? h("mark", {}, word) : word;
  });
}

/** How likely each answer was when the segment began. */
function chances(session, segment) {
  const list = segment ? [{ product_id: segment.product_id, probability: segment.confidence }, ...segment.alternatives] : [];
  return table(session, "why.chances", "why.share", list.map((one) => [one.product_id, confidenceBar(one.probability)]));
}

/** What the model made of this one window. */
function scores(session, evidence) {
  if (!evidence) return null;
  const rows = evidence.scores.map((one) => [one.product_id, h("span", { class: "number" }, signed(one.score))]);
  return table(session, "why.scores", "why.score", rows);
}

/** Why the best product has a higher score than the next ones. */
async function parts(session, evidence) {
  if (!evidence) return null;
  return h("section", { class: "card why-parts" }, h("h2", {}, t("why.parts.title")),
    await scoreParts(session.catalogue_id, evidence.scores), h("p", { class: "muted small" }, t("why.parts.note")));
}

async function table(session, title, value, rows) {
  const body = await Promise.all(rows.map(async ([productId, content]) => {
    const product = productId && (await loadProduct(session.catalogue_id, productId));
    return h("tr", {}, h("td", {}, h("span", { class: "why-row" }, product ? productImage(session.catalogue_id, product) : null, productTitle(productId, product))), h("td", {}, content));
  }));
  const head = h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("why.chance")), h("th", { scope: "col" }, t(value))));
  return h("section", { class: "card" }, h("h2", {}, t(title)), h("table", {}, head, h("tbody", {}, body)));
}
