// Search by words, or by a picture that is chosen, pasted or dropped anywhere on the page.

import { request } from "../api.js";
import { h, icon, replace } from "../dom.js";
import { t } from "../texts.js";
import { showToast } from "./toast.js";

const LIMIT = 24;
const IMAGES = ["image/jpeg", "image/png", "image/webp"];

/** The form: `node`, `focus()` and `clear()`. `found(hits)` and `cleared()` show the results. */
export function searchForm(catalogueId, { signal, found, cleared }) {
  const path = `/v1/catalogues/${catalogueId}/search`;
  const words = h("input", { type: "search", name: "text", "aria-label": t("catalogue.search"), placeholder: t("catalogue.searchPlaceholder"), maxlength: "2000", on: { input: change } });
  const file = h("input", { type: "file", accept: IMAGES.join(","), hidden: true, on: { change: () => file.files[0] && byPicture(file.files[0]) } });
  const choose = h("button", { type: "button", on: { click: () => file.click() } }, t("catalogue.choosePicture"));
  const picture = h("div", { class: "search-picture", hidden: true });
  const form = h("form", { class: "search", role: "search", on: { submit } },
    words, h("button", { type: "submit", class: "primary" }, icon("search"), t("catalogue.searchAction")), choose, file);
  let running = new AbortController();

  async function search(body) {
    running.abort();
    running = new AbortController();
    const { signal: current } = running;
    try {
      const both = AbortSignal.any([signal, current]);
      const { data } = await request("POST", path, { query: { limit: LIMIT }, body, signal: both });
      if (!current.aborted) found(data.items);
    } catch (error) {
      if (error.name !== "AbortError") showToast(error.message, "error");
    }
  }
  function submit(event) {
    event.preventDefault();
    hidePicture();
    const text = words.value.trim();
    if (text) search({ text });
    else clear();
  }
  function byPicture(blob) {
    if (!IMAGES.includes(blob.type)) return showToast(t("catalogue.notPicture"), "error");
    words.value = "";
    showPicture(blob);
    return search(blob);
  }
  function showPicture(blob) {
    hidePicture();
    const src = URL.createObjectURL(blob);
    const image = h("img", { src, alt: t("catalogue.yourPicture"), on: { load: () => URL.revokeObjectURL(src) } });
    const close = h("button", { type: "button", class: "icon-button", "aria-label": t("catalogue.clear"), on: { click: clear } }, icon("close"));
    replace(picture, image, h("span", {}, t("catalogue.similar")), close);
    picture.hidden = false;
  }
  function hidePicture() {
    replace(picture);
    picture.hidden = true;
    file.value = "";
  }
  function change() {
    if (!words.value) clear();
  }
  function clear() {
    running.abort();
    words.value = "";
    hidePicture();
    cleared();
  }
  acceptDrops(byPicture, signal);
  return { node: h("div", { class: "stack" }, form, h("p", { class: "muted small" }, t("catalogue.dropHint")), picture), focus: () => words.focus(), clear };
}

/** Takes pictures that are dropped or pasted on the page; other files are left to other places. */
function acceptDrops(take, signal) {
  const pictures = (transfer) => [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/"));
  function over(event) {
    if ([...event.dataTransfer.items].some((item) => item.kind === "file")) event.preventDefault();
  }
  function drop(event) {
    const [file] = pictures(event.dataTransfer);
    if (!event.defaultPrevented && event.dataTransfer.files.length) event.preventDefault();
    if (file) take(file);
  }
  function paste(event) {
    const [file] = pictures(event.clipboardData);
    if (file) take(file);
  }
  document.addEventListener("dragover", over, { signal });
  document.addEventListener("drop", drop, { signal });
  document.addEventListener("paste", paste, { signal });
}
