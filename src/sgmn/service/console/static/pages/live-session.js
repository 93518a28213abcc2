// Live, one stream: what is on sale now, how sure the model is, and an answer with one key.

import { get } from "../api.js";
import { alerts } from "../components/alerts.js";
import { answers } from "../components/answers.js";
import { frameView } from "../components/frame-view.js";
import { lanes } from "../components/lanes.js";
import { loadProduct, productTitle } from "../components/products.js";
import { savingBadge } from "../components/saving.js";
import { ACTIVE, sessionName, stateBadge } from "../components/sessions.js";
import { showToast } from "../components/toast.js";
import { formatPercent, h, icon, replace, setAttribute, setText } from "../dom.js";
import { follow } from "../events.js";
import { change, changes, learn, loadReviews, reviewId, reviewsOf, undo } from "../reviews.js";
import { t } from "../texts.js";

const PICTURE_MS = 1000;
const HEAT_MS = 3000; // a heatmap takes the encoder's time
const SHOWN_S = 300; // of the lanes
const UNSURE = 0.5;
const STALLED_S = 30;

/** The page of the session in the path. */
export default async function showLiveSession(context) {
  const { params, signal } = context;
  const session = await get(`/v1/sessions/${params.session}`, {}, { signal });
  await loadReviews(session.id, { signal });
  const page = new Page(context, session);
  await page.loadTimeline();
  page.start();
  return page.node;
}

class Page {
  #context;
  #session;
  #now = null; // {product_id, confidence, choices, time_s, …} of the newest window
  #heardAt = 0; // when it came, and how old it was
  #ageS = 0;
  #frame = null; // {timeS, heardAt}
  #machine = [];
  #isHeat = false;
  #view;
  #answers;
  #alerts;
  #lanes;
  #state = h("span", {});
  #lag = h("span", { class: "muted number" });
  #connection = h("p", { class: "note", role: "status", hidden: true });
  #words = h("p", { class: "words muted" });
  #heat = h("button", { type: "button", "aria-pressed": "false", on: { click: () => this.#toggleHeat() } }, icon("heat"), t("watch.heat"), h("kbd", {}, "H"));

  constructor(context, session) {
    const { signal, mayEdit, setTitle, addKeys } = context;
    [this.#context, this.#session] = [context, session];
    setTitle(sessionName(session));
    this.#view = frameView(session.id, signal, { onHeatFailure: (message) => this.#stopHeat(message) });
    this.#answers = answers(session.catalogue_id, { answer: (verdict, product) => this.#answer(verdict, product), undo: () => this.#undo(), mayEdit });
    this.#alerts = alerts(signal);
    this.#lanes = lanes({ title: (segment) => segment.title ?? t("live.nothing"), seek: (timeS) => context.navigate(this.#replayAddress(timeS)) });
    addKeys([...this.#answers.keys,
      { keys: ["h"], shown: ["H"], label: () => t("keys.heat"), run: () => this.#toggleHeat() },
      { keys: ["s"], shown: ["S"], label: () => t("keys.sound"), run: () => this.#alerts.toggle() },
      { keys: ["w"], shown: ["W"], label: () => t("keys.why"), run: () => this.#now && context.navigate(this.#whyAddress()) },
      { keys: ["t"], shown: ["T"], label: () => t("keys.timeline"), run: () => context.navigate(this.#replayAddress()) }]);
    changes.addEventListener("reviews", () => this.#showTimeline(), { signal });
    this.node = this.#build();
  }

  #build() {
    const why = h("a", { class: "button", href: "#", on: { click: (event) => this.#followWhy(event) } }, t("review.why"), h("kbd", {}, "W"));
    return h("section", { class: "page" },
      h("header", { class: "page-head" },
        h("a", { class: "icon-button button", href: "/console/live", "aria-label": t("watch.back"), title: t("watch.back") }, icon("back")),
        h("h1", {}, sessionName(this.#session)), this.#state, this.#lag, h("div", { class: "end" }, savingBadge(this.#context.signal))),
      this.#connection, this.#alerts.node,
      h("div", { class: "watch" },
        h("div", { class: "review-picture" }, this.#view.node,
          h("div", { class: "review-about" }, this.#heat, this.#alerts.button, h("span", { class: "end" }, why, h("a", { class: "button", href: this.#replayAddress() }, t("review.timeline"), h("kbd", {}, "T")))),
          this.#words),
        h("div", { class: "review-side" }, this.#answers.node)),
      h("section", { class: "card", "aria-label": t("watch.last") }, h("h2", {}, t("watch.last")), this.#lanes.node));
  }

  /** Follows the stream until the page is left. */
  start() {
    const { signal } = this.#context;
    this.#showState(this.#session.state);
    this.#answers.show(null);
    const handlers = { now: (message) => this.#hear(message), row: (row) => this.#read(row), state: (state) => this.#showConnection(state) };
    follow([{ id: this.#session.id, seq: this.#session.last_seq }], handlers, signal);
    const timer = setInterval(() => this.#tick(), PICTURE_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
    if (!ACTIVE.includes(this.#session.state)) this.#view.show(this.#machine.at(-1)?.end ?? 0);
  }

  async loadTimeline() {
    const { segments } = await get(`/v1/sessions/${this.#session.id}/timeline`, { layer: "machine" }, { signal: this.#context.signal });
    this.#machine = segments;
    this.#showTimeline();
  }

  #hear({ wall_s, now, stream }) {
    const at = performance.now();
    if (typeof stream?.frame_s === "number") {
      if (!this.#frame) this.#view.show(stream.frame_s);
      this.#frame = { timeS: stream.frame_s, heardAt: at };
    }
    if (!now) return;
    const before = this.#now;
    [this.#now, this.#heardAt, this.#ageS] = [now, at, wall_s - now.wall_s];
    this.node.dataset.window = now.time_s;
    setText(this.#words, now.text ? `“${now.text}”` : "");
    this.#showAnswers();
    this.#showLag();
    this.#showTimeline();
    this.#warn(before, now);
  }

  async #warn(before, now) {
    const isChanged = before && before.product_id !== now.product_id;
    if (!isChanged && now.confidence >= UNSURE) return;
    const product = now.product_id && (await loadProduct(this.#session.catalogue_id, now.product_id));
    const values = { title: productTitle(now.product_id, product), percent: formatPercent(now.confidence) };
    this.#alerts.raise(now.confidence < UNSURE ? "unsure" : "changed", t(now.confidence < UNSURE ? "watch.unsure" : "watch.changed", values));
  }

  #read({ type, data }) {
    if (type === "sgmn.review/1") learn(this.#session.id, data);
    else if (data.change === "state") this.#showState(data.state);
    if (type === "sgmn.event/1") this.loadTimeline();
  }

  #showState(state) {
    this.#session.state = state;
    replace(this.#state, stateBadge(state));
    const isOver = !ACTIVE.includes(state);
    if (isOver) replace(this.#lag, t("watch.ended"), " ", h("a", { href: this.#replayAddress() }, t("watch.replay")));
    this.node.dataset.state = state;
  }

  #showConnection(state) {
    this.node.dataset.connection = state;
    this.#connection.hidden = state !== "reconnecting";
    setText(this.#connection, state === "reconnecting" ? t("watch.reconnecting") : "");
    if (state === "open" && this.#wasAway) this.#catchUp();
    this.#wasAway = state === "reconnecting" || (this.#wasAway && state !== "open");
  }
  #wasAway = false;

  async #catchUp() {
    const session = await get(`/v1/sessions/${this.#session.id}`, {}, { signal: this.#context.signal });
    this.#showState(session.state);
    await this.loadTimeline();
  }

  #tick() {
    if (!ACTIVE.includes(this.#session.state)) return;
    this.#showLag();
    const isDue = !this.#isHeat || performance.now() - this.#heatAt > HEAT_MS;
    if (!this.#frame || document.hidden || !isDue) return;
    if (this.#isHeat) this.#heatAt = performance.now();
    this.#view.show(this.#frame.timeS + (performance.now() - this.#frame.heardAt) / 1000);
  }
  #heatAt = 0;

  #showLag() {
    if (!this.#now || !ACTIVE.includes(this.#session.state)) return;
    const silentS = (performance.now() - this.#heardAt) / 1000;
    const isStalled = silentS > STALLED_S;
    const seconds = isStalled ? Math.round(silentS) : Math.max(0, this.#ageS).toFixed(1);
    setText(this.#lag, t(isStalled ? "watch.stalled" : "watch.lag", { seconds }));
  }

  /** The segment that goes on now, from where the machine saw it begin. */
  #segment() {
    const open = this.#machine.at(-1);
    const start = open?.is_open && open.start < this.#now.time_s ? open.start : Math.max(0, this.#now.time_s - 1);
    return { start, end: Math.max(this.#now.time_s, start + 0.1), review_id: null };
  }

  #showAnswers() {
    const { product_id, confidence, choices } = this.#now;
    const review = this.#currentReview();
    const shown = { product_id, confidence, alternatives: choices };
    if (review) Object.assign(shown, { machine_product_id: product_id, product_id: review.product_id, verdict: review.verdict });
    this.#answers.show(shown);
  }

  #currentReview() {
    const { start } = this.#segment();
    return reviewsOf(this.#session.id).findLast((one) => one.start === start && one.verdict !== "unsure");
  }

  #answer(verdict, productId) {
    const segment = this.#segment();
    const wanted = { start: segment.start, end: segment.end, product_id: productId, verdict };
    change([{ session: this.#session.id, id: reviewId(this.#session.id, segment), catalogue: this.#session.catalogue_id, wanted }]);
    this.#showAnswers();
  }

  #undo() {
    if (!undo()) showToast(t("review.nothingToUndo"));
    if (this.#now) this.#showAnswers();
  }

  #showTimeline() {
    const end = Math.max(this.#now?.time_s ?? 0, this.#machine.at(-1)?.end ?? 0, 1);
    const segments = this.#machine.map((one) => (one.is_open ? { ...one, end: Math.max(one.end, end) } : one));
    const titles = new Map(this.#machine.map((one) => [one.product_id, one.title]));
    const reviewed = reviewsOf(this.#session.id).map((one) => ({ ...one, title: titles.get(one.product_id) ?? one.product_id }));
    this.#lanes.show({
      lanes: [{ name: t("timeline.machine"), segments }, { name: t("timeline.reviewed"), segments: reviewed }],
      from: Math.max(0, end - SHOWN_S), to: Math.max(end, SHOWN_S), end,
    });
  }

  #toggleHeat() {
    this.#setHeat(!this.#isHeat);
    this.#heatAt = performance.now();
    this.#view.show(this.#frame?.timeS ?? this.#machine.at(-1)?.end ?? 0);
  }

  #setHeat(isOn) {
    this.#isHeat = isOn;
    this.#view.setHeat(isOn);
    setAttribute(this.#heat, "aria-pressed", isOn);
  }

  #stopHeat(message) {
    this.#setHeat(false);
    showToast(message);
  }

  #followWhy(event) {
    event.preventDefault();
    if (this.#now) this.#context.navigate(this.#whyAddress());
  }

  #whyAddress() {
    return `/console/sessions/${this.#session.id}/why/${this.#now.time_s.toFixed(1)}`;
  }

  #replayAddress(timeS) {
    return `/console/sessions/${this.#session.id}${timeS === undefined ? "" : `?t=${timeS.toFixed(1)}`}`;
  }
}
