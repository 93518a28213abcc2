// Which shop something is of.

import { h } from "../dom.js";
import { t } from "../texts.js";
import { choice, field } from "./forms.js";

/** The field `shop_id`: one of the shops of the key, or any shop if the key is for all. */
export function shopField(user) {
  const control = user.shops
    ? choice(Object.fromEntries(user.shops.map((name) => [name, name])), { name: "shop_id" })
    : h("input", { name: "shop_id", required: true, maxlength: "100", autocomplete: "off" });
  return field(t("catalogueList.shopId"), control, t("catalogueList.shopHint"));
}
