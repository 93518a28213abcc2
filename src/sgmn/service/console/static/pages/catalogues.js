// Catalogues: one of each shop or more.

import { list, post } from "../api.js";
import { field, formDialog } from "../components/forms.js";
import { shopField } from "../components/shop-field.js";
import { formatDate, h, icon } from "../dom.js";
import { t } from "../texts.js";

/** The list. */
export default async function showCatalogues({ signal, setTitle, mayEdit, user, navigate }) {
  setTitle(t("menu.catalogues"));
  const catalogues = [];
  for await (const catalogue of list("/v1/catalogues", {}, { signal })) catalogues.push(catalogue);
  const body = catalogues.length
    ? h("ul", { class: "rows" }, catalogues.map(catalogueRow))
    : h("p", { class: "card empty" }, t("catalogueList.none"));
  const make = h("button", { type: "button", class: "primary", on: { click: () => askForCatalogue(user, signal, navigate) } }, icon("plus"), t("catalogueList.new"));
  return h("section", { class: "page" },
    h("header", { class: "page-head" }, h("h1", {}, t("menu.catalogues")), mayEdit && h("div", { class: "end" }, make)), body);
}

function catalogueRow(catalogue) {
  return h("li", { class: "card row" },
    h("div", { class: "row-main" },
      h("h2", {}, h("a", { href: `/console/catalogues/${catalogue.id}` }, catalogue.name)),
      h("p", { class: "muted small" }, t("catalogueList.shop", { shop: catalogue.shop_id }))),
    h("span", { class: "number" }, t("catalogueList.products", { count: catalogue.product_count })),
    h("span", { class: "muted small" }, t("catalogueList.changed", { date: formatDate(catalogue.updated_s) })));
}

function askForCatalogue(user, signal, navigate) {
  formDialog({
    title: t("catalogueList.new"), action: t("catalogueList.make"), signal,
    content: [
      shopField(user),
      field(t("catalogueList.name"), h("input", { name: "name", required: true, maxlength: "200", autocomplete: "off" })),
    ],
    async send({ shop_id, name }) {
      const { data } = await post("/v1/catalogues", { shop_id: shop_id.value.trim(), name: name.value.trim() });
      navigate(`/console/catalogues/${data.id}`);
    },
  });
}
