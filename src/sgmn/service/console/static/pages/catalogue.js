// A catalogue: search by words or by a picture, its products, and imports.

import { put, remove, request } from "../api.js";
import { actionButton, confirmDialog, field, formDialog } from "../components/forms.js";
import { importPanel } from "../components/imports.js";
import { Pages } from "../components/polling.js";
import { productCard } from "../components/product-card.js";
import { searchForm } from "../components/search-form.js";
import { showToast } from "../components/toast.js";
import { h, icon, replace, setText } from "../dom.js";
import { t } from "../texts.js";

/** The page of a catalogue. */
export default async function showCatalogue({ params, signal, setTitle, mayEdit, navigate, addKeys }) {
  const path = `/v1/catalogues/${params.catalogue}`;
  let { data: catalogue, etag } = await request("GET", path, { signal });
  const title = h("h1", {}, catalogue.name);
  const count = h("p", { class: "muted" });
  const grid = h("ul", { class: "product-grid" });
  const heading = h("h2", {}, "");
  const note = h("p", { class: "muted", role: "status" });
  const pages = new Pages(`${path}/products`, {}, signal, 60);
  const more = actionButton(t("app.more"), async () => showProducts(await pages.more()));
  const search = searchForm(catalogue.id, { signal, found: showHits, cleared: () => showProducts(pages.items) });

  function describe() {
    setTitle(catalogue.name);
    setText(title, catalogue.name);
    setText(count, `${t("catalogueList.shop", { shop: catalogue.shop_id })} · ${t("catalogueList.products", { count: catalogue.product_count })}`);
  }
  function showProducts(products) {
    heading.textContent = t("catalogue.products");
    setText(note, products.length ? "" : t("catalogue.noProducts"));
    replace(grid, products.map((product) => productCard(catalogue.id, product)));
    more.hidden = pages.isComplete;
  }
  function showHits(hits) {
    heading.textContent = t("catalogue.results");
    setText(note, t("catalogue.found", { count: hits.length }));
    replace(grid, hits.map(({ product, score }) => productCard(catalogue.id, product, score)));
    more.hidden = true;
  }
  async function reload() {
    ({ data: catalogue, etag } = await request("GET", path, { signal }));
    describe();
    search.clear();
    showProducts(await pages.again());
  }
  function rename() {
    const name = h("input", { name: "name", required: true, maxlength: "200", value: catalogue.name });
    formDialog({
      title: t("catalogue.rename"), content: field(t("catalogueList.name"), name), action: t("app.save"), signal,
      async send() {
        ({ data: catalogue, etag } = await put(path, { name: name.value.trim() }, { ifMatch: etag }));
        describe();
      },
    });
  }
  function drop() {
    confirmDialog({
      title: t("catalogue.delete", { name: catalogue.name }), text: t("catalogue.deleteText", { count: catalogue.product_count }), action: t("app.delete"), signal,
      async send() {
        await remove(path, { ifMatch: etag });
        showToast(t("catalogue.deleted", { name: catalogue.name }));
        navigate("/console/catalogues");
      },
    });
  }
  describe();
  showProducts(await pages.more());
  addKeys([{ keys: ["/"], label: t("catalogue.searchKey"), run: search.focus }]);
  const imports = await importPanel(catalogue.id, { signal, mayEdit, changed: reload });
  return h("section", { class: "page" },
    h("header", { class: "page-head" },
      h("div", {}, title, count),
      mayEdit && h("div", { class: "end" }, h("button", { type: "button", on: { click: rename } }, t("catalogue.rename")),
        h("button", { type: "button", class: "danger", on: { click: drop } }, icon("trash"), t("app.delete")))),
    imports, search.node, h("div", { class: "stack" }, heading, note, grid, h("div", { class: "more" }, more)));
}
