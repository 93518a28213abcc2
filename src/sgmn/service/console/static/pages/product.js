// A product: its images, what the catalogue says about it, and when it was on sale.

import { get } from "../api.js";
import { confidenceBar } from "../components/confidence.js";
import { imageUrl, productPrice } from "../components/products.js";
import { sessionName } from "../components/sessions.js";
import { formatDate, formatTime, h, replace } from "../dom.js";
import { t } from "../texts.js";

/** The page of a product. */
export default async function showProduct({ params, signal, setTitle }) {
  const path = `/v1/catalogues/${params.catalogue}`;
  const productPath = params.product.split("/").map(encodeURIComponent).join("/");
  const [catalogue, product, history] = await Promise.all([
    get(path, {}, { signal }),
    get(`${path}/products/${productPath}`, {}, { signal }),
    get(`${path}/segments`, { product_id: params.product }, { signal }),
  ]);
  const title = product.title || product.product_id;
  setTitle(title);
  return h("section", { class: "page" },
    h("nav", { "aria-label": t("product.path") }, h("a", { href: `/console/catalogues/${catalogue.id}` }, catalogue.name)),
    h("header", { class: "page-head" }, h("h1", {}, title)),
    h("div", { class: "product-page" },
      gallery(catalogue.id, product),
      h("div", { class: "card" }, h("h2", { class: "visually-hidden" }, t("product.facts")), factList(product))),
    h("section", { class: "card stack", "aria-label": t("product.history") },
      h("h2", {}, t("product.history")), historyTable(history.items)));
}

function gallery(catalogueId, product) {
  const title = product.title || product.product_id;
  const small = imageUrl(catalogueId, product.product_id);
  const images = Array.from({ length: product.image_count }, (_, number) => {
    const src = `${small}?number=${number}`;
    const image = h("img", { src, alt: t("product.image", { number: number + 1, title }), loading: "lazy" });
    const entry = h("li", {}, h("a", { href: src, target: "_blank" }, image));
    // The index has a small main image even where the files are gone.
    image.addEventListener("error", () => (number ? entry.remove() : replace(entry, h("img", { src: small, alt: image.alt }))), { once: true });
    return entry;
  });
  return images.length ? h("ul", { class: "gallery" }, images) : h("p", { class: "card empty" }, t("product.noImages"));
}

function factList(product) {
  const { price, currency, ...attributes } = product.attributes;
  const facts = {
    [t("product.id")]: product.product_id,
    [t("product.price")]: productPrice(product),
    [t("product.category")]: product.category,
    ...Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, plain(value)])),
  };
  const rows = Object.entries(facts).filter(([, text]) => text !== "");
  return h("dl", { class: "facts" }, rows.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))));
}

function plain(value) {
  if (value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function historyTable(items) {
  if (!items.length) return h("p", { class: "muted" }, t("product.never"));
  const heads = ["stream", "date", "from", "length", "sure"].map((name) => h("th", { scope: "col" }, t(`product.column.${name}`)));
  return h("div", { class: "table-scroll" },
    h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, items.map(historyRow))));
}

function historyRow({ session_id, source, created_s, segment }) {
  const { start, end, confidence, verdict, is_open } = segment;
  const place = h("a", { href: `/console/sessions/${session_id}?t=${start.toFixed(1)}` }, sessionName({ source }));
  return h("tr", {},
    h("td", {}, place),
    h("td", {}, formatDate(created_s)),
    h("td", { class: "number" }, formatTime(start)),
    h("td", { class: "number" }, is_open ? t("product.goesOn") : formatTime(end - start)),
    h("td", {}, verdict ? t(`product.verdict.${verdict}`) : confidenceBar(confidence)));
}
