// A session: its replay, and its timeline as the machine saw it and as people have reviewed it.

import { get } from "../api.js";
import { answers } from "../components/answers.js";
import { clamp, lanes, zoom } from "../components/lanes.js";
import { player } from "../components/player.js";
import { loadProduct, productTitle } from "../components/products.js";
import { savingBadge } from "../components/saving.js";
import { ACTIVE, sessionName, stateBadge } from "../components/sessions.js";
import { showToast } from "../components/toast.js";
import { formatPercent, formatTime, h, icon, replace, setAttribute, setText } from "../dom.js";
import { follow } from "../events.js";
import { applyReviews, leastCertain, moveEdge, segmentAt } from "../layers.js";
import { change, changes, learn, loadReviews, reviewId, reviewsOf, undo } from "../reviews.js";
import { t } from "../texts.js";

const NUDGE_S = 0.5;
const ZOOM = 1.6;
const EXPORTS = [["json", "json"], ["chapters", "chaptersFile"], ["vtt", "vtt"], ["csv", "csv"], ["pairs", "pairs"]];

/** The page of the session in the path; `?t=` is the position in seconds. */
export default async function showTimeline(context) {
  const { params, signal } = context;
  const path = `/v1/sessions/${params.session}`;
  const session = await get(path, {}, { signal });
  const [{ items }] = await Promise.all([get(`${path}/recordings`, {}, { signal }), loadReviews(session.id, { signal })]);
  const page = new Page(context, session, items);
  await page.load();
  page.start(Number(context.query.get("t")) || 0);
  return page.node;
}

class Page {
  #context;
  #session;
  #machine = [];
  #segments = []; // with reviews on top
  #titles = new Map();
  #selected = null;
  #timeS = 0;
  #range = [0, 1];
  #isHeat = false;
  #player;
  #answers;
  #lanes;
  #state = h("span", {});
  #when = h("p", { class: "number", role: "status" });
  #chapters = h("ol", { class: "chapters" });
  #playButton = this.#button("play", "timeline.play", "Space", () => this.#player.toggle());
  #heatButton = this.#button("heat", "watch.heat", "H", () => this.#toggleHeat());

  constructor(context, session, parts) {
    const { signal, mayEdit, setTitle, addKeys } = context;
    [this.#context, this.#session] = [context, session];
    setTitle(sessionName(session));
    this.#player = player(session.id, parts, signal, {
      moved: (timeS) => this.#go(timeS, false),
      changed: () => setAttribute(this.#playButton, "aria-pressed", this.#player.isPlaying),
      onHeatFailure: (message) => {
        this.#isHeat = false;
        setAttribute(this.#heatButton, "aria-pressed", false);
        this.#player.setHeat(false);
        showToast(message);
      },
    });
    this.#answers = answers(session.catalogue_id, { answer: (verdict, product) => this.#answer(verdict, product), undo: () => this.#undo(), mayEdit });
    this.#lanes = lanes({ seek: (timeS) => this.#go(timeS), view: (from, to) => this.#show(from, to), title: (segment) => this.#titleOf(segment) });
    addKeys([...this.#answers.keys, ...this.#keys()]);
    changes.addEventListener("reviews", ({ detail }) => detail.session === session.id && this.#apply(), { signal });
    this.node = this.#build();
  }

  #keys() {
    const key = (keys, text, run, extra) => ({ keys, label: () => t(text), run, repeats: true, ...extra });
    const edges = [
      key([","], "timeline.startEarlier", () => this.#nudge("start", -NUDGE_S)), key(["."], "timeline.startLater", () => this.#nudge("start", NUDGE_S)),
      key(["<"], "timeline.endEarlier", () => this.#nudge("end", -NUDGE_S)), key([">"], "timeline.endLater", () => this.#nudge("end", NUDGE_S)),
    ];
    return [
      key(["["], "timeline.previous", () => this.#jump(-1)), key(["]"], "timeline.next", () => this.#jump(1)),
      key(["l", "L"], "timeline.least", () => this.#jumpToLeast(), { shown: ["L"] }),
      ...(this.#context.mayEdit ? edges : []),
      key([" "], "timeline.play", () => this.#player.toggle(), { shown: ["Space"], repeats: false }),
      key(["ArrowLeft"], "timeline.back", () => this.#go(this.#timeS - 1)), key(["ArrowRight"], "timeline.forward", () => this.#go(this.#timeS + 1)),
      key(["+", "="], "timeline.zoomIn", () => this.#zoom(1 / ZOOM), { shown: ["+"] }), key(["-"], "timeline.zoomOut", () => this.#zoom(ZOOM)),
      key(["f"], "timeline.fit", () => this.#show(0, this.#end), { shown: ["F"] }),
      key(["h"], "keys.heat", () => this.#toggleHeat(), { shown: ["H"], repeats: false }),
      key(["w"], "keys.why", () => this.#context.navigate(this.#whyAddress()), { shown: ["W"], repeats: false }),
    ];
  }

  #button(iconName, text, key, click) {
    return h("button", { type: "button", title: t(text), on: { click } }, icon(iconName), h("span", { class: "button-text" }, t(text)), key ? h("kbd", {}, key) : null);
  }

  #build() {
    const isLive = ACTIVE.includes(this.#session.state);
    setAttribute(this.#lanes.node, "role", "slider");
    setAttribute(this.#lanes.node, "tabindex", "0");
    setAttribute(this.#lanes.node, "aria-label", t("timeline.cursor"));
    replace(this.#state, stateBadge(this.#session.state));
    return h("section", { class: "page timeline" },
      h("header", { class: "page-head" },
        h("a", { class: "icon-button button", href: "/console/sessions", "aria-label": t("timeline.sessions"), title: t("timeline.sessions") }, icon("back")),
        h("h1", {}, sessionName(this.#session)), this.#state,
        h("div", { class: "end" }, savingBadge(this.#context.signal), isLive ? h("a", { class: "button", href: `/console/live/${this.#session.id}` }, icon("live"), t("timeline.live")) : null, this.#exports())),
      h("div", { class: "watch" },
        h("div", { class: "review-picture" }, this.#player.node, h("div", { class: "review-about" }, this.#playButton, this.#when, h("span", { class: "end" }, this.#heatButton, this.#button("help", "review.why", "W", () => this.#context.navigate(this.#whyAddress()))))),
        h("div", { class: "review-side" }, this.#answers.node)),
      this.#lanesCard(),
      h("section", { class: "card" }, h("h2", {}, t("timeline.chapters")), this.#chapters));
  }

  #lanesCard() {
    const pair = (text, edge, back, forward) => h("span", { class: "nudge" }, t(text),
      h("button", { type: "button", "aria-label": t(`timeline.${edge}Earlier`), title: t(`timeline.${edge}Earlier`), on: { click: () => this.#nudge(edge, -NUDGE_S) } }, "−", h("kbd", {}, back)),
      h("button", { type: "button", "aria-label": t(`timeline.${edge}Later`), title: t(`timeline.${edge}Later`), on: { click: () => this.#nudge(edge, NUDGE_S) } }, "+", h("kbd", {}, forward)));
    return h("section", { class: "card lanes-card" },
      h("div", { class: "lane-tools" },
        this.#button("back", "timeline.previous", "[", () => this.#jump(-1)), this.#button("open", "timeline.next", "]", () => this.#jump(1)),
        this.#button("alert", "timeline.least", "L", () => this.#jumpToLeast()),
        this.#context.mayEdit ? [pair("timeline.edges.start", "start", ",", "."), pair("timeline.edges.end", "end", "<", ">")] : null,
        h("span", { class: "end" }, this.#button("plus", "timeline.zoomIn", "+", () => this.#zoom(1 / ZOOM)), this.#button("search", "timeline.zoomOut", "−", () => this.#zoom(ZOOM)), this.#button("sessions", "timeline.fit", "F", () => this.#show(0, this.#end)))),
      this.#lanes.node);
  }

  #exports() {
    const links = EXPORTS.map(([format, text]) => h("li", {}, h("a", { href: `/v1/sessions/${this.#session.id}/export?format=${format}&layer=reviewed`, download: true }, t(`timeline.${text}`))));
    return h("details", { class: "menu-button" }, h("summary", { class: "button" }, icon("download"), t("timeline.export")), h("ul", { class: "card" }, links));
  }

  get #end() {
    return Math.max(1, ...this.#machine.slice(-1).map(({ end }) => end), ...reviewsOf(this.#session.id).map(({ end }) => end));
  }

  /** Loads what the machine saw. */
  async load() {
    const before = this.#end;
    const { segments } = await get(`/v1/sessions/${this.#session.id}/timeline`, { layer: "machine" }, { signal: this.#context.signal });
    this.#machine = segments;
    for (const one of segments) if (one.title) this.#titles.set(one.product_id, one.title);
    if (this.#range[1] >= before) this.#range = clamp(this.#range[0], Math.max(this.#range[1], this.#end), this.#end);
    this.#apply();
  }

  /** Goes to a position, and follows the session until the page is left. */
  start(timeS) {
    this.#show(0, this.#end);
    this.#go(timeS);
    const row = ({ type, data }) => {
      if (type === "sgmn.review/1") learn(this.#session.id, data);
      else if (type === "sgmn.event/1") this.load();
      else if (data.change === "state") replace(this.#state, stateBadge(data.state));
    };
    follow([{ id: this.#session.id, seq: this.#session.last_seq }], { row }, this.#context.signal);
  }

  #apply() {
    const reviews = reviewsOf(this.#session.id);
    this.#segments = applyReviews(this.#machine, reviews);
    this.#selected = segmentAt(this.#segments, this.#timeS);
    this.#show(...this.#range);
    this.#showSelected();
    this.#showChapters();
    for (const { product_id } of reviews) if (product_id && !this.#titles.has(product_id)) this.#learnTitle(product_id);
  }

  async #learnTitle(productId) {
    this.#titles.set(productId, productId);
    this.#titles.set(productId, productTitle(productId, await loadProduct(this.#session.catalogue_id, productId)));
    this.#apply();
  }

  #titleOf({ product_id, verdict }) {
    return product_id === null || verdict === "nothing" ? t("live.nothing") : (this.#titles.get(product_id) ?? product_id);
  }

  #show(from, to) {
    this.#range = [from, to];
    this.#lanes.show({
      lanes: [{ name: t("timeline.machine"), segments: this.#machine }, { name: t("timeline.reviewed"), segments: this.#segments }],
      from, to, end: this.#end, cursor: this.#timeS, selected: this.#selected,
    });
  }

  #zoom(factor) {
    this.#show(...zoom({ from: this.#range[0], to: this.#range[1], end: this.#end }, this.#timeS, factor));
  }

  #go(timeS, isSeek = true) {
    this.#timeS = Math.max(0, Math.min(timeS, this.#end));
    if (isSeek) this.#player.seek(this.#timeS);
    const before = this.#selected;
    this.#selected = segmentAt(this.#segments, this.#timeS);
    const [from, to] = this.#range;
    const isOutside = this.#timeS < from || this.#timeS > to;
    if (isOutside) this.#show(...clamp(this.#timeS - (to - from) / 2, this.#timeS + (to - from) / 2, this.#end));
    else if (before !== this.#selected) this.#show(from, to);
    else this.#lanes.moveCursor(this.#timeS);
    this.#showSelected(before !== this.#selected);
    history.replaceState(null, "", `${location.pathname}?t=${this.#timeS.toFixed(1)}`);
  }

  #showSelected(isNew = true) {
    const segment = this.#selected;
    if (isNew) this.#answers.show(segment);
    const title = segment ? this.#titleOf(segment) : t("timeline.none");
    const { node } = this.#lanes;
    for (const [name, value] of [["valuemin", 0], ["valuemax", this.#end.toFixed(1)], ["valuenow", this.#timeS.toFixed(1)], ["valuetext", t("timeline.position", { time: formatTime(this.#timeS), title })]]) setAttribute(node, `aria-${name}`, value);
    const range = segment ? ` · ${t("review.when", { start: formatTime(segment.start, 1), end: formatTime(segment.end, 1) })}` : "";
    setText(this.#when, `${formatTime(this.#timeS)}${range}`);
    [...this.#chapters.children].forEach((row) => setAttribute(row.firstChild, "aria-current", Number(row.dataset.start) === segment?.start ? "true" : null));
  }

  #showChapters() {
    const list = this.#segments.filter((one) => one.product_id !== null);
    replace(this.#chapters, list.map((one) => {
      const by = one.verdict ? t("timeline.by", { verdict: t(`verdict.${one.verdict}`), author: one.author ?? this.#context.user.name }) : formatPercent(one.confidence);
      return h("li", { data: { start: one.start } }, h("button", { type: "button", on: { click: () => this.#go(one.start) } }, h("span", { class: "number" }, formatTime(one.start)), h("span", { class: "runner-title" }, this.#titleOf(one)), h("span", { class: "muted small" }, by)));
    }));
    if (!list.length) replace(this.#chapters, h("li", { class: "muted" }, t(this.#machine.length ? "timeline.nothingYet" : "timeline.none")));
  }

  #jump(step) {
    const starts = this.#segments.map(({ start }) => start);
    const target = step > 0 ? starts.find((start) => start > this.#timeS + 0.01) : starts.findLast((start) => start < this.#timeS - 0.01);
    if (target !== undefined) this.#go(target);
  }

  #jumpToLeast() {
    const segment = leastCertain(this.#segments);
    if (segment) this.#go(segment.start);
    else showToast(t("timeline.allReviewed"));
  }

  #nudge(edge, byS) {
    const segment = this.#selected;
    if (!segment || segment.is_open) return;
    const list = moveEdge(this.#segments, segment, edge, segment[edge] + byS, (one) => reviewId(this.#session.id, one));
    if (!list.length) return;
    const moved = list[0].wanted;
    this.#timeS = edge === "start" ? moved.start : Math.max(moved.start, moved.end - 0.1);
    this.#change(list);
    this.#go(this.#timeS);
  }

  #change(list) {
    change(list.map((one) => ({ ...one, session: this.#session.id, catalogue: this.#session.catalogue_id })));
  }

  #answer(verdict, productId) {
    const segment = this.#selected;
    const { start, end } = segment;
    this.#change([{ id: reviewId(this.#session.id, segment), wanted: { start, end, product_id: productId, verdict } }]);
  }

  #undo() {
    const step = undo();
    if (!step) showToast(t("review.nothingToUndo"));
  }

  #toggleHeat() {
    this.#isHeat = !this.#isHeat;
    setAttribute(this.#heatButton, "aria-pressed", this.#isHeat);
    this.#player.setHeat(this.#isHeat);
  }

  #whyAddress() {
    return `/console/sessions/${this.#session.id}/why/${this.#timeS.toFixed(1)}`;
  }
}
