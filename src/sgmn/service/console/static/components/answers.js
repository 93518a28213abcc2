// The answers that a person can give about a segment: the machine's, its runners-up, nothing, or
// another product of the catalogue; each with one key.

import { confidenceBar } from "./confidence.js";
import { pickProduct } from "./pick-product.js";
import { loadProduct, productImage, productPrice, productTitle } from "./products.js";
import { formatPercent, h, icon, replace } from "../dom.js";
import { t } from "../texts.js";

const RUNNERS_UP = 3;

/**
 * {node, keys, show(segment)}. `segment` is {product_id, confidence, alternatives, verdict}, or null
 * to show none. `answer(verdict, productId)` is called with "confirmed", "corrected" or "nothing";
 * `undo()` with U. Without `mayEdit` the answers can be read only.
 */
export function answers(catalogueId, { answer, undo, mayEdit }) {
  let current = null;
  let shown = 0;
  const card = h("div", { class: "answer-main" });
  const others = h("ol", { class: "runners-up" });
  const node = h("section", { class: "card answers", "aria-label": t("answer.label") }, card, h("h2", {}, t("answer.runners")), others,
    mayEdit ? h("div", { class: "answer-row" },
      action("none", "answer.nothing", "0", () => give(null)),
      action("search", "answer.search", "/", search),
      action("undo", "answer.undo", "U", undo)) : h("p", { class: "muted" }, t("answer.viewer")));

  function runnersUp() {
    const list = current?.alternatives ?? [];
    return list.filter((one) => one.product_id !== current.product_id).slice(0, RUNNERS_UP);
  }

  function give(productId) {
    if (!current || !mayEdit) return;
    if (productId === null) answer("nothing", null);
    else answer(productId === machineAnswer() ? "confirmed" : "corrected", productId);
  }

  function machineAnswer() {
    return current.machine_product_id === undefined ? current.product_id : current.machine_product_id;
  }

  async function search() {
    if (!current || !mayEdit) return;
    const asked = current;
    const productId = await pickProduct(catalogueId);
    if (productId && asked === current) give(productId);
  }

  async function show(segment) {
    current = segment;
    shown += 1;
    const asked = shown;
    const list = segment ? [segment, ...runnersUp()] : [];
    const products = await Promise.all(list.map((one) => one.product_id && loadProduct(catalogueId, one.product_id)));
    if (asked !== shown) return;
    node.hidden = !segment;
    if (!segment) return;
    replace(card, mainCard(segment, products[0]));
    replace(others, list.slice(1).map((one, index) => runnerUp(one, products[index + 1], index + 1)));
  }

  function mainCard(segment, product) {
    const confirm = h("button", { type: "button", class: "primary", on: { click: () => give(segment.product_id) } },
      icon("check"), t("answer.confirm"), h("kbd", {}, "Enter"));
    return [
      segment.product_id === null ? h("span", { class: "product-image nothing-image" }, icon("none")) : productImage(catalogueId, product),
      h("div", { class: "answer-words" },
        h("strong", { class: "answer-title" }, productTitle(segment.product_id, product)),
        h("span", { class: "muted" }, productPrice(product)),
        segment.verdict ? h("span", { class: "badge verdict", data: { verdict: segment.verdict } }, t(`verdict.${segment.verdict}`)) : confidenceBar(segment.confidence)),
      mayEdit ? confirm : null,
    ];
  }

  function runnerUp(one, product, number) {
    const picture = one.product_id === null ? h("span", { class: "product-image nothing-image" }, icon("none")) : productImage(catalogueId, product);
    const content = [h("kbd", {}, number), picture, h("span", { class: "runner-title" }, productTitle(one.product_id, product)), h("span", { class: "number muted" }, formatPercent(one.probability))];
    return h("li", {}, h("button", { type: "button", disabled: !mayEdit, on: { click: () => give(one.product_id) } }, content));
  }

  const pick = (number) => {
    const one = runnersUp()[number - 1];
    if (one) give(one.product_id);
  };
  const keys = [
    { keys: ["Enter"], label: () => t("answer.confirm"), run: () => current && give(current.product_id) },
    ...[1, 2, 3].map((number) => ({ keys: [String(number)], label: () => t("answer.runner", { number }), run: () => pick(number) })),
    { keys: ["0"], label: () => t("answer.nothing"), run: () => give(null) },
    { keys: ["/"], label: () => t("answer.search"), run: search },
    { keys: ["u", "U"], shown: ["U"], label: () => t("answer.undo"), run: undo },
  ];
  return { node, show, keys: mayEdit ? keys : [] };
}

function action(iconName, text, key, click) {
  return h("button", { type: "button", on: { click } }, icon(iconName), t(text), h("kbd", {}, key));
}
