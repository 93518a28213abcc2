// A product as a card in a grid.

import { h } from "../dom.js";
import { t } from "../texts.js";
import { productImage, productPrice } from "./products.js";

/** The address of a product's page. */
function productPage(catalogueId, productId) {
  return `/console/catalogues/${catalogueId}/products/${encodeURIComponent(productId)}`;
}

/** A card; the score of a search result says how well it matches. */
export function productCard(catalogueId, product, score = null) {
  return h("li", { class: "card product-card" },
    productImage(catalogueId, product),
    h("a", { href: productPage(catalogueId, product.product_id) }, product.title || product.product_id),
    h("p", { class: "muted small" }, [productPrice(product), product.category].filter(Boolean).join(" · ")),
    score !== null && h("p", { class: "muted small number" }, t("catalogue.score", { score: score.toFixed(2) })));
}
