// A dialog that finds a product by words.

import { showMessage } from "./dialogs.js";
import { productImage, productPrice } from "./products.js";
import { request } from "../api.js";
import { h, replace, setAttribute, setText } from "../dom.js";
import { t } from "../texts.js";

const PAUSE_MS = 200; // after the last key
const LIMIT = 8;

/** The id of the product that is chosen; null if the dialog is closed without. */
export function pickProduct(catalogueId) {
  return new Promise((resolve) => {
    let chosen = null;
    let position = 0;
    let searching = new AbortController();
    let timer = null;
    const field = h("input", {
      type: "search", role: "combobox", autocomplete: "off", spellcheck: "false", autofocus: true,
      "aria-label": t("pick.words"), "aria-controls": "pick-list", "aria-expanded": "true", "aria-autocomplete": "list",
      on: { input: later, keydown },
    });
    const found = h("ul", { id: "pick-list", class: "pick-list", role: "listbox", "aria-label": t("pick.found") });
    const message = h("p", { class: "muted", role: "status" }, t("pick.hint"));
    const dialog = showMessage(t("pick.title"), [field, message, found], {
      onClose() {
        clearTimeout(timer);
        searching.abort();
        resolve(chosen);
      },
    });
    field.focus();

    function later() {
      clearTimeout(timer);
      timer = setTimeout(search, PAUSE_MS);
    }

    async function search() {
      searching.abort();
      searching = new AbortController();
      const text = field.value.trim();
      if (!text) return replace(found);
      try {
        const options = { body: { text }, query: { limit: LIMIT }, signal: searching.signal };
        const { data } = await request("POST", `/v1/catalogues/${catalogueId}/search`, options);
        replace(found, data.items.map(({ product }, index) => option(product, index)));
        setText(message, t("pick.count", { count: data.items.length }));
        mark(0);
      } catch (error) {
        if (error.name !== "AbortError") setText(message, error.message);
      }
      return null;
    }

    function option(product, index) {
      const choose = () => {
        chosen = product.product_id;
        dialog.close();
      };
      return h("li", { role: "option", id: `pick-${index}`, data: { product: product.product_id }, on: { click: choose } },
        productImage(catalogueId, product), h("span", {}, product.title || product.product_id), h("span", { class: "muted" }, productPrice(product)));
    }

    function mark(index) {
      const options = [...found.children];
      position = Math.max(0, Math.min(index, options.length - 1));
      options.forEach((one, number) => setAttribute(one, "aria-selected", number === position));
      setAttribute(field, "aria-activedescendant", options[position]?.id ?? null);
      options[position]?.scrollIntoView({ block: "nearest" });
    }

    function keydown(event) {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) mark(position + step);
      else if (event.key === "Enter") found.children[position]?.click();
      else return;
      event.preventDefault();
    }
  });
}
