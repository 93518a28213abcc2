// Settings: keys, webhooks, and whether the service is well.

import { showHealth } from "../components/health.js";
import { showKeys } from "../components/api-keys.js";
import { showWebhooks } from "../components/webhooks.js";
import { h } from "../dom.js";
import { t } from "../texts.js";

const TABS = {
  keys: { show: showKeys, may: (user) => user.role === "admin" },
  webhooks: { show: showWebhooks, may: (user) => user.role !== "viewer" },
  health: { show: showHealth, may: () => true },
};

/** The page of a tab; the first one that the user may see if the address names none. */
export default async function showSettings(context) {
  context.setTitle(t("menu.settings"));
  const names = Object.keys(TABS).filter((name) => TABS[name].may(context.user));
  const chosen = names.includes(context.params.tab) ? context.params.tab : names[0];
  const links = names.map((name) =>
    h("li", {}, h("a", { href: `/console/settings/${name}`, "aria-current": name === chosen && "true" }, t(`settings.${name}`))));
  return h("section", { class: "page" },
    h("header", { class: "page-head" }, h("h1", {}, t("menu.settings"))),
    h("nav", { "aria-label": t("menu.settings") }, h("ul", { class: "tabs" }, links)),
    await TABS[chosen].show(context));
}
