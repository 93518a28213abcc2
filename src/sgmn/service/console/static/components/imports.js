// Imports of a catalogue: a file or an address, its progress, and the rows that were refused.

import { get, post, request, randomId } from "../api.js";
import { formatDate, h, icon, replace } from "../dom.js";
import { t } from "../texts.js";
import { checkbox, field, formDialog } from "./forms.js";
import { followOperation, isUnfinished, outcomeText, rowReport } from "./operations.js";

const SHOWN = 5;

/** Imports that run, the last ones, and a button for a new one; `changed()` is called after each. */
export async function importPanel(catalogueId, { signal, mayEdit, changed }) {
  const place = h("div", { class: "stack" });
  const history = h("ul", { class: "stack" });
  const older = h("details", {}, h("summary", {}, t("imports.history")), history);

  function watch(operation) {
    place.append(followOperation(operation, { signal, mayEdit, done: finish }));
  }
  async function finish(operation) {
    const row = await outcomeRow(operation, signal, true);
    replace(place, [...place.children].filter((node) => node.matches(".operation")), row);
    await showHistory();
    await changed();
  }
  async function showHistory() {
    const operations = await readImports(catalogueId, signal);
    const over = operations.filter((one) => !isUnfinished(one)).slice(0, SHOWN);
    replace(history, await Promise.all(over.map(async (one) => h("li", {}, await outcomeRow(one, signal, false)))));
    older.hidden = over.length === 0;
    return operations;
  }
  const operations = await showHistory();
  operations.filter(isUnfinished).forEach(watch);
  const start = () => askForImport(catalogueId, signal, watch);
  const button = h("button", { type: "button", class: "primary", on: { click: start } }, t("imports.start"));
  return h("section", { class: "card stack", "aria-label": t("imports.title") },
    h("div", { class: "section-head" }, h("h2", {}, t("imports.title")), mayEdit && h("div", { class: "end" }, button)), place, older);
}

async function readImports(catalogueId, signal) {
  const { items } = await get("/v1/operations", { catalogue_id: catalogueId, limit: 50 }, { signal });
  return items.filter((operation) => ["import", "put-product", "purge"].includes(operation.kind));
}

async function outcomeRow(operation, signal, isNew) {
  const report = await rowReport(operation, signal);
  const kind = t(`operation.kind.${operation.kind}`);
  return h("div", { class: "stack outcome", role: isNew ? "status" : null, data: { state: operation.state } },
    h("p", {}, h("strong", {}, `${kind}: `), outcomeText(operation), h("span", { class: "muted small" }, ` · ${formatDate(operation.created_s)}`)),
    report && h("details", { open: isNew }, h("summary", {}, t("imports.rows")), report));
}

/** Asks for a file or an address, and sends it. */
function askForImport(catalogueId, signal, started) {
  const file = h("input", { type: "file", name: "file", accept: ".csv,.tsv,.jsonl,.ndjson,.json,.xml,.zip,.gz,.txt" });
  const zone = h("div", { class: "drop-zone" }, icon("download"), field(t("imports.file"), file, t("imports.fileHint")));
  const url = h("input", { name: "url", inputmode: "url", spellcheck: "false", autocomplete: "off", placeholder: "https://shop.example/feed.xml" });
  acceptFile(zone, file);
  formDialog({
    title: t("imports.start"), action: t("imports.send"), signal,
    content: [
      zone,
      field(t("imports.url"), url, t("imports.urlHint")),
      checkbox(t("imports.sync"), { name: "sync" }),
      checkbox(t("imports.strict"), { name: "strict" }),
    ],
    async send({ sync, strict }) {
      const [chosen] = file.files;
      if (!chosen === !url.value.trim()) throw new Error(t("imports.oneOfBoth"));
      const query = { sync: sync.checked, strict: strict.checked };
      const operation = chosen ? await upload(catalogueId, chosen, query) : await fetchUrl(catalogueId, url.value.trim(), query);
      started(operation);
    },
  });
}

async function upload(catalogueId, file, query) {
  const path = `/v1/catalogues/${catalogueId}/imports`;
  const options = { query: { ...query, filename: file.name }, body: file, type: "application/octet-stream", idempotencyKey: randomId() };
  return (await request("POST", path, options)).data;
}

async function fetchUrl(catalogueId, url, query) {
  return (await post(`/v1/catalogues/${catalogueId}/imports`, { url }, { query })).data;
}

function acceptFile(zone, file) {
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) file.files = event.dataTransfer.files;
  });
}
