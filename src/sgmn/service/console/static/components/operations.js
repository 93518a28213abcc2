// Long jobs: their state, their progress, and what they say about rows of their input.

import { get, list, post } from "../api.js";
import { h, setAttribute, setText } from "../dom.js";
import { t } from "../texts.js";
import { actionButton } from "./forms.js";
import { poll } from "./polling.js";

const POLL_MS = 1000;
const SHOWN_ROWS = 20;

/** Whether an operation goes on. */
export function isUnfinished(operation) {
  return ["queued", "running"].includes(operation.state);
}

/** Shows an operation until it is over, and then calls `done(operation)`. */
export function followOperation(operation, { signal, mayEdit = false, done }) {
  const line = h("p", { role: "status" });
  const bar = h("progress", { max: "1", "aria-label": t(`operation.kind.${operation.kind}`) });
  const cancel = mayEdit && actionButton(t("app.cancel"), () => post(`/v1/operations/${operation.id}:cancel`));
  const node = h("div", { class: "stack operation" }, h("div", { class: "section-head" }, line, h("div", { class: "end" }, cancel)), bar);
  showProgress(operation, line, bar);
  poll(async () => {
    const now = await get(`/v1/operations/${operation.id}`, {}, { signal });
    showProgress(now, line, bar);
    if (isUnfinished(now)) return false;
    node.remove();
    await done(now);
    return true;
  }, POLL_MS, signal);
  return node;
}

function showProgress({ state, progress }, line, bar) {
  const phase = state === "queued" ? "queued" : (progress.phase ?? "running");
  const text = t(`operation.phase.${phase}`);
  const share = progress.total ? progress.done / progress.total : null;
  setText(line, progress.total ? t("operation.progress", { phase: text, done: progress.done, total: progress.total }) : text);
  setAttribute(bar, "value", share);
}

/** What an operation that is over has done, or why it has not. */
export function outcomeText(operation) {
  const { state, result, problem } = operation;
  if (state === "failed") return problem?.detail ?? t("operation.failed");
  if (state !== "succeeded" || !result) return t(`operation.state.${state}`);
  const counts = ["added", "replaced", "removed", "unchanged", "rejected", "warnings"]
    .filter((name) => result[name])
    .map((name) => t(`operation.count.${name}`, { count: result[name] }));
  return counts.length ? counts.join(", ") : t("operation.nothing");
}

/** The rows that were refused or lack something, with all of them as a file; null if there are none. */
export async function rowReport(operation, signal) {
  const path = `/v1/operations/${operation.id}/rows`;
  const page = await get(path, { limit: SHOWN_ROWS }, { signal });
  if (!page.items.length) return null;
  const rows = page.items.map((row) => h("tr", { data: { level: row.level } },
    h("td", {}, t(`operation.level.${row.level}`)), h("td", {}, row.location), h("td", {}, row.message)));
  const heads = ["level", "location", "message"].map((name) => h("th", { scope: "col" }, t(`operation.row.${name}`)));
  const table = h("div", { class: "table-scroll" }, h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows)));
  const save = actionButton(t("operation.download"), () => downloadRows(operation, path, signal));
  return h("div", { class: "stack" }, table, h("div", { class: "cluster" }, save, page.next_cursor && h("span", { class: "muted small" }, t("operation.firstRows", { count: SHOWN_ROWS }))));
}

async function downloadRows(operation, path, signal) {
  const lines = [["level", "location", "message"]];
  for await (const row of list(path, {}, { signal })) lines.push([row.level, row.location, row.message]);
  download(`${operation.id}-rows.csv`, "text/csv", lines.map((line) => line.map(quote).join(",")).join("\r\n") + "\r\n");
}

/** A cell of a CSV file. A spreadsheet must not run it as a formula. */
function quote(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

/** Lets the browser save a text as a file. */
export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
