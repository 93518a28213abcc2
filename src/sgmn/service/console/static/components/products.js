// Products by id, each asked for once, with their picture and price.

import { get } from "../api.js";
import { h } from "../dom.js";
import { t } from "../texts.js";

const known = new Map();

/** The product {product_id, title, image_count, attributes}; null if the catalogue has it no more. */
export function loadProduct(catalogueId, productId) {
  const key = `${catalogueId}/${productId}`;
  if (!known.has(key)) known.set(key, fetchProduct(catalogueId, productId));
  return known.get(key);
}

async function fetchProduct(catalogueId, productId) {
  try {
    return await get(`/v1/catalogues/${catalogueId}/products/${encodePath(productId)}`);
  } catch (error) {
    if (error.status === 404) return null;
    known.delete(`${catalogueId}/${productId}`);
    throw error;
  }
}

function encodePath(productId) {
  return productId.split("/").map(encodeURIComponent).join("/");
}

/** The address of a product's picture. */
export function imageUrl(catalogueId, productId) {
  return `/v1/catalogues/${catalogueId}/images/${encodePath(productId)}.jpg`;
}

/** The picture of a product, or an empty place of the same size. */
export function productImage(catalogueId, product) {
  if (!product?.image_count) return h("span", { class: "product-image empty-image" });
  const src = imageUrl(catalogueId, product.product_id);
  return h("img", { class: "product-image", src, alt: "", loading: "lazy" });
}

/** The title of a product; `productId` null means that nothing is on sale. */
export function productTitle(productId, product) {
  return productId === null ? t("live.nothing") : (product?.title || productId);
}

/** The price of a product as the catalogue has it, or "". */
export function productPrice(product) {
  const { price, currency } = product?.attributes ?? {};
  if (price === undefined || price === null) return "";
  const amount = typeof price === "number" ? price.toFixed(2) : String(price);
  return currency ? `${amount} ${currency}` : amount;
}
