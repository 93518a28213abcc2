// Segments as bars over time, in lanes that can be zoomed and moved.

import { level } from "./confidence.js";
import { formatTime, h, replace, setAttribute } from "../dom.js";

const STEPS_S = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600];
const MIN_TICK_PX = 80;
const MIN_SPAN_S = 5;
const MIN_WIDTH = 0.05; // percent

/**
 * {node, show({lanes, from, to, end, cursor, selected})}. `lanes` is [{name, segments}], times are
 * seconds; `selected` is a segment or null. `seek(timeS)` is called for a click, `view(from, to)` when the user zooms or
 * moves; without it the lanes stay as they are. `title(segment)` gives the text of a bar.
 */
export function lanes({ seek, view, title }) {
  const marks = h("div", { class: "lane-marks", "aria-hidden": "true" });
  const rows = h("div", {});
  const cursor = h("div", { class: "lane-cursor", "aria-hidden": "true" });
  const field = h("div", { class: "lane-field", on: { pointerdown, pointermove, pointerup, pointercancel: release } }, rows, cursor);
  if (view) field.addEventListener("wheel", wheel, { passive: false });
  const names = h("div", { class: "lane-names" });
  const node = h("div", { class: "lanes" }, names, field, marks);
  let shown = { lanes: [], from: 0, to: 1, end: 1, cursor: null, selected: null };
  let drag = null;

  const percent = (timeS) => (100 * (timeS - shown.from)) / (shown.to - shown.from);
  const timeAt = (event) => {
    const { left, width } = field.getBoundingClientRect();
    return shown.from + ((event.clientX - left) / width) * (shown.to - shown.from);
  };

  function show(next) {
    shown = { ...shown, ...next };
    replace(names, shown.lanes.map((lane) => h("span", {}, lane.name)));
    replace(rows, shown.lanes.map((lane) => h("div", { class: "lane" }, lane.segments.filter(isVisible).map(bar))));
    showMarks();
    moveCursor(shown.cursor);
  }

  function showMarks() {
    replace(marks, ticks(shown.from, shown.to, Math.floor(field.clientWidth / MIN_TICK_PX)).map((timeS) =>
      h("span", { class: "number", style: { left: `${percent(timeS)}%` } }, formatTime(timeS))));
  }
  new ResizeObserver(showMarks).observe(field); // also when it is first shown

  function moveCursor(timeS) {
    shown.cursor = timeS;
    cursor.hidden = timeS === null || timeS < shown.from || timeS > shown.to;
    cursor.style.setProperty("left", `${percent(timeS ?? 0)}%`);
  }

  function isVisible({ start, end }) {
    return end > shown.from && start < shown.to;
  }

  function bar(segment) {
    const [left, right] = [Math.max(0, percent(segment.start)), Math.min(100, percent(segment.end))];
    const kind = segment.verdict ?? level(segment.confidence);
    const text = title(segment);
    const node = h("div", { class: "bar-segment", title: text, data: { kind, nothing: segment.product_id === null }, style: { left: `${left}%`, width: `${Math.max(MIN_WIDTH, right - left)}%` } }, h("span", {}, text));
    setAttribute(node, "data-selected", shown.selected && shown.selected.start === segment.start && shown.selected.end === segment.end ? "" : null);
    return node;
  }

  function pointerdown(event) {
    if (event.button !== 0) return;
    field.setPointerCapture(event.pointerId);
    drag = { x: event.clientX, from: shown.from, to: shown.to, isMoved: false };
  }

  function pointermove(event) {
    if (!drag || !view) return;
    const distance = event.clientX - drag.x;
    if (Math.abs(distance) < 4 && !drag.isMoved) return;
    drag.isMoved = true;
    const shift = (-distance / field.clientWidth) * (drag.to - drag.from);
    view(...clamp(drag.from + shift, drag.to + shift, shown.end));
  }

  function pointerup(event) {
    if (drag && !drag.isMoved) seek?.(Math.max(0, Math.min(timeAt(event), shown.end)));
    release();
  }

  function release() {
    drag = null;
  }

  function wheel(event) {
    event.preventDefault();
    const isMove = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    const span = shown.to - shown.from;
    if (isMove) {
      const shift = ((event.deltaX || event.deltaY) / field.clientWidth) * span;
      view(...clamp(shown.from + shift, shown.to + shift, shown.end));
    } else view(...zoom(shown, timeAt(event), 1.0015 ** event.deltaY));
  }

  return { node, show, moveCursor };
}

/** A part [from, to] of a stream, zoomed by a factor around a time. */
export function zoom({ from, to, end }, aroundS, factor) {
  const span = Math.max(MIN_SPAN_S, Math.min((to - from) * factor, end));
  const share = (aroundS - from) / (to - from);
  return clamp(aroundS - share * span, aroundS + (1 - share) * span, end);
}

/** Moves a part into a stream. */
export function clamp(from, to, end) {
  const span = Math.min(to - from, Math.max(end, MIN_SPAN_S));
  const start = Math.max(0, Math.min(from, Math.max(end, MIN_SPAN_S) - span));
  return [start, start + span];
}

function ticks(from, to, count) {
  const step = STEPS_S.find((one) => (to - from) / one <= Math.max(1, count)) ?? STEPS_S.at(-1);
  const list = [];
  for (let timeS = Math.ceil(from / step) * step; timeS <= to; timeS += step) list.push(timeS);
  return list;
}
