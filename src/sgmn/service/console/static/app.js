// The shell: login, menu, theme, and the page of the address.

import { connection, get, post, request } from "./api.js";
import { h, icon, replace } from "./dom.js";
import { addKeys } from "./keys.js";
import { showHelp } from "./components/help.js";
import { conflictPanel } from "./components/saving.js";
import { showToast, toasts } from "./components/toast.js";
import { applyTheme, nextTheme } from "./components/theme.js";
import { showLogin } from "./pages/login.js";
import { menu, pages } from "./pages/index.js";
import { openReviews } from "./reviews.js";
import { loadTexts, t } from "./texts.js";

const main = h("main", { id: "main", tabindex: "-1" });
const links = new Map();
let user = null;
let leaving = new AbortController();

async function start() {
  applyTheme();
  await loadTexts();
  user = (await get("/console/login")).key;
  connection.addEventListener("logged-out", () => user && logIn());
  window.addEventListener("popstate", show);
  document.addEventListener("click", followLink);
  if (user) open();
  else logIn();
}

function logIn() {
  user = null;
  leaving.abort();
  document.title = t("app.title", { page: t("login.title") });
  showLogin(document.body, async (key) => {
    user = key;
    open();
  });
}

function open() {
  replace(document.body, skipLink(), shell(), conflictPanel(), toasts);
  openReviews(user.id);
  show();
}

function skipLink() {
  const focus = (event) => {
    event.preventDefault();
    main.focus();
  };
  return h("a", { class: "skip", href: "#main", on: { click: focus } }, t("app.skip"));
}

function shell() {
  const entries = menu
    .filter((name) => pages.some((page) => page.menu === name))
    .map((name) => h("li", {}, menuLink(name)));
  return h("div", { class: "shell" },
    h("header", { class: "menu" },
      h("a", { class: "brand", href: "/console/live", "aria-label": t("app.home") }, brandMark(), h("span", {}, "sgmn")),
      h("nav", { "aria-label": t("app.menu") }, h("ul", {}, entries)),
      h("div", { class: "menu-foot" }, footer())),
    main);
}

function brandMark() {
  return h("img", { src: "/console/static/icon.svg", alt: "", width: "28", height: "28" });
}

function menuLink(name) {
  const link = h("a", { href: `/console/${name}` }, icon(name), h("span", {}, t(`menu.${name}`)));
  links.set(name, link);
  return link;
}

function footer() {
  const label = () => t("theme.label", { theme: t(`theme.${applyTheme()}`) });
  const theme = iconButton("theme", label(), () => {
    nextTheme();
    theme.setAttribute("aria-label", label());
    theme.title = label();
  });
  return [
    h("span", { class: "who", title: t("app.role", { role: user.role }) }, user.name),
    theme,
    iconButton("help", t("app.help"), showHelp),
    iconButton("logout", t("app.logout"), logOut),
  ];
}

function iconButton(name, label, click) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, on: { click } }, icon(name));
}

async function logOut() {
  await request("POST", "/console/logout");
  logIn();
}

/** Opens another page of the console. */
export function navigate(path, { replace: isReplaced = false } = {}) {
  history[isReplaced ? "replaceState" : "pushState"](null, "", path);
  return show();
}

function followLink(event) {
  const link = event.target.closest?.("a[href]");
  const isPlain = !event.defaultPrevented && event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
  if (!link || !isPlain || link.target || link.hasAttribute("download")) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || !url.pathname.startsWith("/console/")) return;
  event.preventDefault();
  navigate(url.pathname + url.search);
}

/** Shows the page of the address. */
async function show() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const found = find(location.pathname);
  if (!found) return navigate("/console/live", { replace: true });
  const { page, params } = found;
  for (const [name, link] of links) {
    if (name === page.menu) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  replace(main, h("p", { class: "loading", role: "status" }, t("app.loading")));
  try {
    const module = await page.load();
    const node = await module.default(context(params, signal));
    if (signal.aborted) return;
    replace(main, node);
    main.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  } catch (error) {
    if (!signal.aborted) showFailure(error);
  }
}

/**
 * What a page gets: `params` of its path, `query`, the `user`'s key {id, name, role, shops},
 * `signal`, which aborts when the page is left, `navigate(path)`, `setTitle(text)`,
 * `addKeys(entries)` for as long as the page is shown, and `mayEdit`.
 */
function context(params, signal) {
  return {
    params,
    signal,
    user,
    navigate,
    mayEdit: user.role !== "viewer",
    query: new URLSearchParams(location.search),
    setTitle: (page) => (document.title = t("app.title", { page })),
    addKeys(entries) {
      if (!signal.aborted) signal.addEventListener("abort", addKeys(entries));
    },
  };
}

function find(path) {
  for (const page of pages) {
    const names = [];
    const pattern = page.path.replace(/\/:(\w+)(\??)/g, (_, name, optional) => {
      names.push(name);
      return optional ? "(?:/([^/]+))?" : "/([^/]+)";
    });
    const match = new RegExp(`^${pattern}/?$`).exec(path);
    if (!match) continue;
    const values = match.slice(1).map((value) => value && decodeURIComponent(value));
    return { page, params: Object.fromEntries(names.map((name, index) => [name, values[index]])) };
  }
  return null;
}

function showFailure(error) {
  const retry = h("button", { type: "button", class: "primary", on: { click: show } }, t("app.retry"));
  replace(main, h("section", { class: "card failure", role: "alert" },
    h("h1", {}, t("app.failed")), h("p", {}, error.message), retry));
}

window.addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name !== "AbortError") showToast(event.reason?.message ?? String(event.reason), "error");
});
addKeys([{ keys: ["?"], label: () => t("keys.help"), run: showHelp }]);
start();
