// Review: the segments that nobody has reviewed, least certain first. One key answers and goes on.

import { get } from "../api.js";
import { answers } from "../components/answers.js";
import { frameView } from "../components/frame-view.js";
import { loadProduct, productTitle } from "../components/products.js";
import { savingBadge } from "../components/saving.js";
import { frameUrl, sessionName } from "../components/sessions.js";
import { showToast } from "../components/toast.js";
import { formatPercent, formatTime, h, icon, replace, setAttribute, setText } from "../dom.js";
import { follow } from "../events.js";
import { change, changes, findReview, learn, loadReviews, reviewId, undo } from "../reviews.js";
import { t } from "../texts.js";

const LIMIT = 100;
const REFILL = 20; // ask for more when fewer are left
const MOMENTS = [0.1, 0.3, 0.5, 0.7, 0.9];
const UPCOMING = 6;
const MAX_FOLLOWED = 64; // sessions

/** The queue, of all streams or of the one in `?session=`. */
export default async function showReview(context) {
  const { signal, setTitle, query } = context;
  setTitle(t("review.title"));
  const queue = new Queue(query.get("session"), signal);
  await queue.refill();
  const page = new Page(context, queue);
  page.show();
  return page.node;
}

/** The segments that wait, and a position in them. */
class Queue {
  items = [];
  position = 0;
  total = 0;
  #known = new Set();
  #sessions = new Map(); // id -> its last row when its reviews were loaded
  #following = new AbortController();

  constructor(sessionId, signal) {
    this.sessionId = sessionId;
    this.signal = signal;
    signal.addEventListener("abort", () => this.#following.abort());
  }

  get current() {
    return this.items[this.position] ?? null;
  }

  isAnswered(item) {
    return findReview(item.session_id, item.review) !== null;
  }

  /** How many wait that nobody has reviewed since they were asked for. */
  get left() {
    return this.total - this.items.filter((item) => this.isAnswered(item)).length;
  }

  async refill() {
    const found = await get("/v1/review-queue", { limit: LIMIT, session_id: this.sessionId }, { signal: this.signal });
    const sessions = new Set(found.items.map((item) => item.session_id));
    const unknown = [...sessions].filter((id) => !this.#sessions.has(id));
    await Promise.all(unknown.map((id) => this.#load(id)));
    // Segments that are answered here, but not saved yet, are in the queue of the service.
    let added = 0;
    for (const item of found.items) {
      item.review = reviewId(item.session_id, item.segment);
      const key = `${item.session_id}/${item.segment.start}`;
      if (this.#known.has(key) || this.isAnswered(item)) continue;
      this.#known.add(key);
      this.items.push(item);
      added += 1;
    }
    this.total = this.items.length + Math.max(0, found.total - found.items.length);
    if (unknown.length) this.#follow();
    return added;
  }

  async #load(id) {
    const session = await get(`/v1/sessions/${id}`, {}, { signal: this.signal });
    await loadReviews(id, { signal: this.signal });
    this.#sessions.set(id, session.last_seq);
  }

  #follow() {
    this.#following.abort();
    this.#following = new AbortController();
    const sessions = [...this.#sessions].slice(-MAX_FOLLOWED).map(([id, seq]) => ({ id, seq }));
    const row = ({ session, type, data }) => type === "sgmn.review/1" && learn(session, data);
    follow(sessions, { row }, this.#following.signal);
  }

  /** Goes to the next segment without an answer; `step` -1 goes back to any segment. */
  move(step) {
    let position = this.position + step;
    while (step > 0 && this.items[position] && this.isAnswered(this.items[position])) position += 1;
    this.position = Math.max(0, Math.min(position, this.items.length));
  }

  find(session, review) {
    return this.items.findIndex((item) => item.session_id === session && item.review === review);
  }
}

class Page {
  #context;
  #queue;
  #left = h("span", { class: "muted", role: "status" });
  #body = h("div", { class: "review" });
  #views = new Map(); // by session
  #answers = new Map(); // by catalogue
  #isHeat = false;
  #removeKeys = null;
  #shown = null;

  constructor(context, queue) {
    this.#context = context;
    this.#queue = queue;
    const only = queue.sessionId ? h("a", { class: "button", href: "/console/review" }, t("review.all")) : null;
    this.node = h("section", { class: "page" },
      h("header", { class: "page-head" }, h("h1", {}, t("review.title")), this.#left, h("div", { class: "end" }, only, savingBadge(context.signal))),
      this.#body);
    context.addKeys([
      { keys: ["ArrowRight", "n"], label: () => t("review.skip"), run: () => this.#move(1), repeats: true },
      { keys: ["ArrowLeft", "p"], label: () => t("review.back"), run: () => this.#move(-1), repeats: true },
      { keys: ["h"], shown: ["H"], label: () => t("keys.heat"), run: () => this.#toggleHeat() },
      { keys: ["w"], shown: ["W"], label: () => t("keys.why"), run: () => this.#open("why") },
      { keys: ["t"], shown: ["T"], label: () => t("keys.timeline"), run: () => this.#open("") },
      ...this.#answerKeys(),
    ]);
    changes.addEventListener("reviews", () => this.#reviewed(), { signal: context.signal });
  }

  // The keys are always those of the current segment's answers.
  #answerKeys() {
    const names = ["Enter", "1", "2", "3", "0", "/", "U"];
    const template = answers("", { answer() {}, undo() {}, mayEdit: this.#context.mayEdit }).keys;
    return template.map((entry, index) => ({
      ...entry,
      shown: [names[index]],
      run: () => (names[index] === "U" ? this.#undo() : this.#current()?.keys[index].run()),
    }));
  }

  #current() {
    const item = this.#queue.current;
    return item && this.#answersOf(item.catalogue_id);
  }

  #answersOf(catalogueId) {
    if (!this.#answers.has(catalogueId)) {
      const actions = { answer: (verdict, product) => this.#answer(verdict, product), undo: () => this.#undo(), mayEdit: this.#context.mayEdit };
      this.#answers.set(catalogueId, answers(catalogueId, actions));
    }
    return this.#answers.get(catalogueId);
  }

  #answer(verdict, productId) {
    const item = this.#queue.current;
    const { start, end } = item.segment;
    const wanted = { start, end, product_id: productId, verdict };
    change([{ session: item.session_id, id: item.review, catalogue: item.catalogue_id, wanted }]);
    this.#move(1);
  }

  #undo() {
    const step = undo();
    if (!step) return showToast(t("review.nothingToUndo"));
    const position = this.#queue.find(step[0].session, step[0].id);
    if (position >= 0) this.#queue.position = position;
    return this.show();
  }

  #move(step) {
    this.#queue.move(step);
    this.show();
    const remaining = this.#queue.items.length - this.#queue.position;
    if (step > 0 && remaining < REFILL && (this.#queue.left > remaining || !remaining)) this.#refill();
  }

  async #refill() {
    const wasEmpty = !this.#queue.current;
    if ((await this.#queue.refill()) && wasEmpty) this.show();
    this.#count();
  }

  #reviewed() {
    this.#count();
    const item = this.#queue.current;
    const review = item && findReview(item.session_id, item.review);
    if (review?.author && this.#shown === item) this.show();
  }

  #count() {
    setText(this.#left, t("review.left", { count: Math.max(0, this.#queue.left) }));
  }

  /** Shows the current segment. */
  show() {
    const item = this.#queue.current;
    this.#count();
    this.#shown = item;
    if (!item) return replace(this.#body, h("div", { class: "card empty" }, icon("check"), h("p", {}, t("review.none"))));
    const { segment } = item;
    const review = findReview(item.session_id, item.review);
    const view = this.#viewOf(item.session_id);
    const panel = this.#answersOf(item.catalogue_id);
    panel.show(review ? { ...segment, product_id: review.verdict === "nothing" ? null : review.product_id, verdict: review.verdict, machine_product_id: segment.product_id } : segment);
    view.setHeat(this.#isHeat);
    view.show(middle(segment));
    const author = review?.author && review.author !== this.#context.user.name ? h("p", { class: "note", role: "status" }, t("review.byOther", { author: review.author })) : null;
    replace(this.#body, h("div", { class: "review-picture" }, this.#about(item), view.node, this.#moments(item, view)), h("div", { class: "review-side" }, author, panel.node, this.#upcoming()));
    preload(this.#queue.items[this.#queue.position + 1]);
    return null;
  }

  #viewOf(sessionId) {
    const failed = (message) => {
      this.#isHeat = false;
      showToast(message);
    };
    if (!this.#views.has(sessionId)) this.#views.set(sessionId, frameView(sessionId, this.#context.signal, { onHeatFailure: failed }));
    return this.#views.get(sessionId);
  }

  #about({ session_id, source, segment }) {
    const when = t("review.when", { start: formatTime(segment.start), end: formatTime(segment.end) });
    const heat = h("button", { type: "button", "aria-pressed": String(this.#isHeat), on: { click: () => this.#toggleHeat() } }, icon("heat"), t("watch.heat"), h("kbd", {}, "H"));
    return h("div", { class: "review-about" },
      h("span", { class: "number" }, h("strong", {}, sessionName({ source })), " · ", when), h("span", { class: "end" }, heat,
        h("a", { class: "button", href: this.#address("why") }, t("review.why"), h("kbd", {}, "W")),
        h("a", { class: "button", href: this.#address("") }, t("review.timeline"), h("kbd", {}, "T"))),
      h("span", { class: "visually-hidden" }, session_id));
  }

  #address(page) {
    const { session_id, segment } = this.#queue.current;
    const time = middle(segment).toFixed(1);
    return page === "why" ? `/console/sessions/${session_id}/why/${time}` : `/console/sessions/${session_id}?t=${time}`;
  }

  #open(page) {
    if (this.#queue.current) this.#context.navigate(this.#address(page));
  }

  #moments({ session_id, segment }, view) {
    const buttons = MOMENTS.map((share) => {
      const timeS = segment.start + share * (segment.end - segment.start);
      const click = () => view.show(timeS);
      return h("li", {}, h("button", { type: "button", class: "moment", "aria-label": formatTime(timeS, 1), on: { click, focus: click, pointerenter: click } },
        h("img", { src: frameUrl(session_id, timeS), alt: "", loading: "lazy", on: { error: ({ target }) => target.removeAttribute("src") } }), h("span", { class: "number" }, formatTime(timeS))));
    });
    return h("ol", { class: "moments", "aria-label": t("review.frames") }, buttons);
  }

  #toggleHeat() {
    this.#isHeat = !this.#isHeat;
    this.show();
  }

  #upcoming() {
    const next = this.#queue.items.slice(this.#queue.position + 1).filter((item) => !this.#queue.isAnswered(item)).slice(0, UPCOMING);
    if (!next.length) return null;
    return h("section", { class: "card upcoming" }, h("h2", {}, t("review.next")), h("ol", {}, next.map((item) => this.#upcomingRow(item))));
  }

  #upcomingRow(item) {
    const title = h("span", { class: "runner-title" }, item.segment.title ?? "");
    if (item.segment.product_id === null) setText(title, t("live.nothing"));
    else if (!item.segment.title) loadProduct(item.catalogue_id, item.segment.product_id).then((found) => setText(title, productTitle(item.segment.product_id, found)));
    const go = () => {
      this.#queue.position = this.#queue.items.indexOf(item);
      this.show();
    };
    return h("li", {}, h("button", { type: "button", on: { click: go } }, title, h("span", { class: "number muted" }, formatPercent(item.segment.confidence))));
  }
}

function middle({ start, end }) {
  return (start + end) / 2;
}

function preload(item) {
  if (!item) return;
  setAttribute(new Image(), "src", frameUrl(item.session_id, middle(item.segment)));
  for (const one of [item.segment, ...item.segment.alternatives]) if (one.product_id) loadProduct(item.catalogue_id, one.product_id);
}
