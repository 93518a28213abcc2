// Reviews: a change is shown at once and saved by itself. Until the service has it, it is kept in
// the tab, also over a reload. A change of somebody else's review is never made silently.

import { ApiError, OfflineError, get, request, sleep } from "./api.js";

const STORED = "sgmn.unsaved";
const MAX_PAUSE_MS = 5000;
const FIELDS = ["start", "end", "product_id", "verdict"];

/** Events: "saving" when what is unsaved changes, "reviews" when a review changes. */
export const changes = new EventTarget();
const saved = new Map(); // key -> the review as the service has it
const unsaved = new Map(); // key -> {session, id, catalogue, wanted, base, problem, theirs, edition}
const steps = new Map(); // session -> how often one of its reviews has changed here
let undoable = []; // lists of {session, id, catalogue, before}
let user = null;
let isRunning = false;

const keyOf = (session, id) => `${session}/${id}`;

/** Begins to save for a user; continues with what was not saved before a reload. */
export function openReviews(userId) {
  if (user === userId) return;
  user = userId;
  saved.clear();
  unsaved.clear();
  undoable = [];
  const stored = JSON.parse(sessionStorage.getItem(STORED) ?? "null");
  if (stored?.user === userId) for (const change of stored.changes) unsaved.set(keyOf(change.session, change.id), change);
  note();
  run();
}

window.addEventListener("beforeunload", (event) => unsaved.size && event.preventDefault());

/** Loads the reviews of a session; ask for its `last_seq` before, to follow it from there. */
export async function loadReviews(session, options) {
  const before = steps.get(session);
  const { items } = await get(`/v1/sessions/${session}/reviews`, {}, options);
  // What was saved meanwhile may be missing in the answer.
  if (steps.get(session) === before) for (const key of saved.keys()) if (key.startsWith(`${session}/`)) saved.delete(key);
  for (const review of items) keep(session, review);
  announce(session);
}

function keep(session, review) {
  const key = keyOf(session, review.id);
  if (review.version >= (saved.get(key)?.version ?? 0)) saved.set(key, review);
}

/** Learns of a review from a row of the log of its session. */
export function learn(session, review) {
  if (review.deleted) saved.delete(keyOf(session, review.id));
  else keep(session, review);
  step(session);
  announce(session);
}

function step(session) {
  steps.set(session, (steps.get(session) ?? 0) + 1);
}

function announce(session) {
  changes.dispatchEvent(new CustomEvent("reviews", { detail: { session } }));
}

/** The reviews of a session as the user sees them, the newest last: {id, start, end, …, author}. */
export function reviewsOf(session) {
  const found = new Map();
  for (const [key, review] of saved) if (key.startsWith(`${session}/`)) found.set(key, review);
  for (const [key, change] of unsaved) {
    found.delete(key);
    if (change.session === session && change.wanted) found.set(key, { ...change.wanted, id: change.id, isUnsaved: true });
  }
  return [...found.values()].sort((a, b) => (a.updated_s ?? Infinity) - (b.updated_s ?? Infinity));
}

/** A review, or null. */
export function findReview(session, id) {
  const change = unsaved.get(keyOf(session, id));
  return change ? change.wanted : (saved.get(keyOf(session, id)) ?? null);
}

/**
 * The id of the review of a segment. It follows from where the segment begins, so that two people
 * who review one segment meet in one review.
 */
export function reviewId(session, segment) {
  if (segment.review_id) return segment.review_id;
  const id = `m-${Math.round(1000 * segment.start)}`;
  const review = findReview(session, id);
  const isOther = review && (review.start !== segment.start || review.end < segment.start);
  return isOther ? `${id}-${Math.round(1000 * segment.end)}` : id;
}

/**
 * Makes or changes reviews as one step that can be undone: [{session, id, catalogue, wanted}];
 * `wanted` is {start, end, product_id, verdict}, or null to delete the review.
 */
export function change(list) {
  undoable.push(list.map(({ session, id, catalogue }) => ({ session, id, catalogue, before: pick(findReview(session, id)) })));
  list.forEach(want);
}

/** Undoes the last step; returns its reviews, or null if there is none. */
export function undo() {
  const step = undoable.pop();
  step?.forEach(({ before, ...review }) => want({ ...review, wanted: before }));
  return step ?? null;
}

function pick(review) {
  return review && Object.fromEntries(FIELDS.map((name) => [name, review[name]]));
}

function want({ session, id, catalogue, wanted }) {
  const key = keyOf(session, id);
  const before = unsaved.get(key);
  const base = before ? before.base : (saved.get(key)?.version ?? 0);
  const problem = before?.problem === "conflict" ? "conflict" : null; // what was refused may be valid now
  unsaved.set(key, { ...before, session, id, catalogue, wanted: pick(wanted), base, problem, edition: (before?.edition ?? 0) + 1 });
  note();
  announce(session);
  run();
}

/** What is not saved yet: {waiting, isAway, problems}. */
export function savingState() {
  const list = [...unsaved.values()];
  return { waiting: list.filter((one) => !one.problem).length, isAway, problems: list.filter((one) => one.problem) };
}
let isAway = false;

function note() {
  sessionStorage.setItem(STORED, JSON.stringify({ user, changes: [...unsaved.values()] }));
  changes.dispatchEvent(new Event("saving"));
}

/** Ends a conflict: the user's review replaces the other one, or is given up. */
export function resolve(problem, isMine) {
  const key = keyOf(problem.session, problem.id);
  if (isMine) unsaved.set(key, { ...problem, base: problem.theirs?.version ?? 0, problem: null, theirs: undefined });
  else unsaved.delete(key);
  note();
  announce(problem.session);
  run();
}

async function run() {
  if (isRunning) return;
  isRunning = true;
  let pause = 500;
  try {
    for (let next; (next = [...unsaved.values()].find((one) => !one.problem)); ) {
      const isDone = await send(next);
      isAway = !isDone;
      pause = isDone ? 500 : Math.min(2 * pause, MAX_PAUSE_MS);
      note();
      if (!isDone) await sleep(pause);
    }
  } finally {
    isRunning = false;
  }
}

/** Sends a change; false if the service is away. */
async function send(sent) {
  try {
    const path = `/v1/sessions/${sent.session}/reviews/${sent.id}`;
    const method = sent.wanted ? "PUT" : "DELETE";
    const { data } = await request(method, path, { body: sent.wanted ?? undefined, ifMatch: `"${sent.base}"` });
    settle(sent, data);
  } catch (error) {
    if (error instanceof OfflineError || [401, 429].includes(error.status) || error.status >= 500) return false;
    if (!(error instanceof ApiError)) throw error;
    return handleRefusal(sent, error);
  }
  return true;
}

/** The service has a review as `review` now (null: none); what the user wants since then stays. */
function settle(sent, review) {
  const key = keyOf(sent.session, sent.id);
  if (review) saved.set(key, review);
  else saved.delete(key);
  step(sent.session);
  const current = unsaved.get(key);
  if (current?.edition === sent.edition) unsaved.delete(key);
  else if (current) unsaved.set(key, { ...current, base: review?.version ?? 0 });
  announce(sent.session);
}

async function handleRefusal(sent, error) {
  if (error.status === 404 && !sent.wanted) {
    settle(sent, null);
    return true;
  }
  if (error.status !== 412) return mark(sent, { problem: "refused", message: error.message, theirs: null });
  let theirs;
  try {
    const { items } = await get(`/v1/sessions/${sent.session}/reviews`, {}, { retry: false });
    theirs = items.find((review) => review.id === sent.id) ?? null;
  } catch (failure) {
    if (failure instanceof OfflineError || failure.status >= 500) return false;
    throw failure;
  }
  // The answer to an earlier attempt may have been lost, both may have said the same, or the user
  // has taken back what was never saved.
  const isSame = JSON.stringify(pick(theirs)) === JSON.stringify(sent.wanted);
  if (isSame || (!sent.wanted && !sent.base)) settle(sent, theirs);
  else mark(sent, { problem: "conflict", theirs });
  return true;
}

function mark(sent, found) {
  const key = keyOf(sent.session, sent.id);
  if (found.theirs) saved.set(key, found.theirs);
  unsaved.set(key, { ...unsaved.get(key), ...found });
  announce(sent.session);
  return true;
}
