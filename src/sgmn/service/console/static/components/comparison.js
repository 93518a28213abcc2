// The old model against the new one, on reviewed segments that neither was trained on.

import { h } from "../dom.js";
import { t } from "../texts.js";

/** Whether R@1 of the new model is higher by more than chance. */
export function isClearlyBetter({ recall_1: recall }) {
  return recall.low > 0;
}

/** R@1 and MRR of both, the difference with its interval, and p of the paired test. */
export function comparisonTable(comparison) {
  const heads = ["measure", "old", "new", "difference", "p"].map((name) => h("th", { scope: "col" }, t(`comparison.${name}`)));
  const rows = [
    row(t("comparison.recall"), comparison.recall_1, (value) => `${(100 * value).toFixed(1)}%`, (value) => signed(100 * value, 1), t("comparison.points")),
    row(t("comparison.mrr"), comparison.mrr, (value) => value.toFixed(3), (value) => signed(value, 3), ""),
  ];
  return h("div", { class: "table-scroll" },
    h("table", {}, h("caption", { class: "muted small" }, t("comparison.caption", { count: comparison.count })),
      h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows)));
}

function row(name, { a, b, difference, low, high, p }, format, formatDifference, unit) {
  const interval = t("comparison.interval", { low: formatDifference(low), high: formatDifference(high) });
  return h("tr", {}, h("th", { scope: "row" }, name),
    h("td", { class: "number" }, format(a)),
    h("td", { class: "number" }, format(b)),
    h("td", { class: "number" }, [formatDifference(difference), unit, interval].filter(Boolean).join(" ")),
    h("td", { class: "number" }, p < 0.001 ? "< 0.001" : p.toFixed(3)));
}

function signed(value, digits) {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return value < 0 ? `−${text}` : `+${text}`;
}
