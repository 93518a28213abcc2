// The timeline as people have reviewed it: the reviews on top of what the machine saw.

const EPSILON_S = 0.001;

/**
 * Puts reviews over segments; of two that overlap, the later one in the list counts. As on the
 * service, "unsure" marks segments and changes no product.
 */
export function applyReviews(machine, reviews) {
  let segments = machine;
  for (const review of reviews) {
    segments = segments.flatMap((segment) => cut(segment, review));
    if (review.verdict !== "unsure") segments.push(reviewed(review, machine));
    segments.sort((a, b) => a.start - b.start);
  }
  return segments;
}

function reviewed(review, machine) {
  const middle = (review.start + review.end) / 2;
  const below = machine.find(({ start, end }) => start <= middle && middle < end);
  const alternatives = below ? [below, ...below.alternatives.filter((one) => one.product_id !== review.product_id)] : [];
  return {
    start: review.start, end: review.end, verdict: review.verdict, review_id: review.id, author: review.author,
    product_id: review.verdict === "nothing" ? null : review.product_id, confidence: 1, is_open: false,
    machine_product_id: below?.product_id ?? null,
    alternatives: alternatives.map((one) => ({ ...one, probability: one.probability ?? one.confidence })),
  };
}

function cut(segment, review) {
  const [start, end] = [Math.max(segment.start, review.start), Math.min(segment.end, review.end)];
  if (start >= end) return [segment];
  const pieces = [];
  if (segment.start < start) pieces.push({ ...segment, end: start, is_open: false });
  if (review.verdict === "unsure") pieces.push({ ...segment, start, end, review_id: review.id, verdict: review.verdict, author: review.author });
  if (end < segment.end) pieces.push({ ...segment, start: end });
  return pieces;
}

/** The segment at a time; the last one before it if there is none. */
export function segmentAt(segments, timeS) {
  return segments.findLast(({ start }) => start <= timeS + EPSILON_S) ?? segments[0] ?? null;
}

/** The segment without a review of which the machine is least certain, or null. */
export function leastCertain(segments) {
  const waiting = segments.filter((one) => !one.review_id && !one.is_open);
  return waiting.reduce((least, one) => (!least || one.confidence < least.confidence ? one : least), null);
}

/**
 * The reviews that move an edge of a segment: [{id, wanted}], or [] if it cannot move so far. The
 * neighbor gets what the segment loses, and loses what it gets. `idOf(segment)` names its review.
 */
export function moveEdge(segments, segment, edge, timeS, idOf) {
  const next = { ...segment, [edge]: Math.max(0, Math.round(1000 * timeS) / 1000) };
  if (next.end - next.start < 0.25) return [];
  const list = [{ id: idOf(segment), wanted: toReview(next) }];
  const other = edge === "start" ? "end" : "start";
  const neighbor = segments.find((one) => one !== segment && Math.abs(one[other] - segment[edge]) < EPSILON_S);
  if (!neighbor) return list;
  const moved = { ...neighbor, [other]: next[edge] };
  if (moved.end - moved.start < EPSILON_S) return neighbor.review_id ? [...list, { id: neighbor.review_id, wanted: null }] : list;
  if (neighbor.review_id) return [...list, { id: neighbor.review_id, wanted: toReview(moved) }];
  const isGiven = edge === "start" ? next.start > segment.start : next.end < segment.end;
  if (!isGiven) return list;
  // Only the part that changes hands becomes a review of the neighbor's product.
  const given = { ...neighbor, verdict: neighbor.product_id === null ? "nothing" : "corrected", start: Math.min(segment[edge], next[edge]), end: Math.max(segment[edge], next[edge]) };
  return [...list, { id: `e-${Math.round(1000 * segment[edge])}`, wanted: toReview(given) }];
}

function toReview({ start, end, product_id, verdict }) {
  const known = verdict && verdict !== "unsure" ? verdict : null;
  return { start, end, product_id, verdict: known ?? (product_id === null ? "nothing" : "confirmed") };
}
