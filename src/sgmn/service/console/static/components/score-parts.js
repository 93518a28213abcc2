// What the scores of the best products of a moment consist of: one row per part, one column each.

import { h } from "../dom.js";
import { t } from "../texts.js";
import { loadProduct, productImage, productTitle } from "./products.js";

/** A table of the parts of scores; a note if they are not kept, as in sessions of earlier versions. */
export async function scoreParts(catalogueId, scores) {
  const explained = scores.filter((one) => one.terms.length);
  if (!explained.length) return h("p", { class: "muted" }, t("why.parts.none"));
  const products = await Promise.all(explained.map((one) => loadProduct(catalogueId, one.product_id)));
  const heads = explained.map((one, number) => h("th", { scope: "col" },
    productImage(catalogueId, products[number]), h("span", { class: "part-title" }, productTitle(one.product_id, products[number]))));
  const columns = explained.map((one) => new Map(one.terms.map((term) => [term.name, term.value])));
  const names = [...new Set(columns.flatMap((column) => [...column.keys()]))].filter((name) => columns.some((column) => counts(column.get(name))));
  const largest = Math.max(...columns.flatMap((column) => [...column.values()].map(Math.abs)), 1e-6);
  const rows = names.map((name) => h("tr", {}, h("th", { scope: "row" }, t(`why.part.${name}`)),
    columns.map((column) => h("td", {}, partBar(column.get(name) ?? 0, largest)))));
  const sum = h("tr", {}, h("th", { scope: "row" }, t("why.score")), explained.map((one) => h("td", { class: "number" }, signed(one.score))));
  return h("table", { class: "score-parts" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("why.parts.name")), heads)), h("tbody", {}, rows), h("tfoot", {}, sum));
}

/** Whether a part is shown: without words, those about words are 0. */
function counts(value) {
  return Math.abs(value ?? 0) >= 0.005;
}

function partBar(value, largest) {
  const width = `${((100 * Math.abs(value)) / largest).toFixed(1)}%`;
  return h("span", { class: "part", data: { sign: value < 0 ? "minus" : "plus" } },
    h("span", { class: "number" }, signed(value)),
    h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "bar", style: { width } })));
}

/** A number with two digits and a real minus sign. */
export function signed(value) {
  const text = Math.abs(value).toFixed(2);
  return value < 0 && Number(text) > 0 ? `−${text}` : text;
}
