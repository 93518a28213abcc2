// Whether everything is saved, and what two people have answered differently.

import { loadProduct, productTitle } from "./products.js";
import { h, formatTime, icon, replace, setAttribute } from "../dom.js";
import { changes, resolve, savingState } from "../reviews.js";
import { t } from "../texts.js";

/** A badge that says whether everything is saved, until `signal` aborts. */
export function savingBadge(signal) {
  const badge = h("span", { class: "badge saving", role: "status" });
  const show = () => {
    const { waiting, isAway, problems } = savingState();
    const [state, text] = describe(waiting, isAway, problems.length);
    setAttribute(badge, "data-saving", state);
    replace(badge, text);
  };
  changes.addEventListener("saving", show, { signal });
  show();
  return badge;
}

function describe(waiting, isAway, problems) {
  if (problems) return ["conflict", t("saving.problems", { count: problems })];
  if (waiting && isAway) return ["away", t("saving.away", { count: waiting })];
  if (waiting) return ["busy", t("saving.busy")];
  return ["saved", t("saving.saved")];
}

/** The place where conflicts are shown, on every page. */
export function conflictPanel() {
  const panel = h("section", { class: "conflicts", role: "alert", "aria-label": t("saving.conflicts") });
  const shown = new Map();
  changes.addEventListener("saving", async () => {
    const { problems } = savingState();
    const keys = new Set(problems.map(keyOf));
    for (const [key, node] of shown) {
      if (keys.has(key)) continue;
      node.remove();
      shown.delete(key);
    }
    for (const problem of problems) {
      if (shown.has(keyOf(problem))) continue;
      const node = h("div", { class: "card conflict" });
      shown.set(keyOf(problem), node);
      panel.append(node);
      await fill(node, problem);
    }
  });
  return panel;
}

// A change made meanwhile, or another answer of the other person, is another conflict.
function keyOf(problem) {
  return [problem.session, problem.id, problem.edition, problem.theirs?.version].join("/");
}

async function fill(node, problem) {
  const [mine, theirs] = await Promise.all([describeReview(problem, problem.wanted), describeReview(problem, problem.theirs)]);
  const values = { mine, theirs, author: problem.theirs?.author, message: problem.message };
  const kind = problem.problem === "refused" ? "refused" : (problem.theirs ? "conflict" : "deleted");
  const button = (key, isMine) => h("button", { type: "button", on: { click: () => resolve(problem, isMine) } }, t(key));
  replace(node, icon("alert"), h("p", {}, t(`saving.${kind}`, values)),
    h("footer", {}, kind === "refused" ? null : button("saving.mine", true), button(kind === "refused" ? "saving.discard" : "saving.theirs", false)));
}

async function describeReview({ catalogue }, review) {
  if (!review) return t("saving.none");
  const isNothing = review.verdict === "nothing" || !review.product_id;
  const product = isNothing ? null : await loadProduct(catalogue, review.product_id);
  const title = productTitle(isNothing ? null : review.product_id, product);
  return t("saving.answer", { title, start: formatTime(review.start), end: formatTime(review.end) });
}
