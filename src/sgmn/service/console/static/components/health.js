// Whether the service is well: its checks, and the load of its streams.

import { get, request } from "../api.js";
import { h, replace, setText } from "../dom.js";
import { t } from "../texts.js";
import { poll } from "./polling.js";

const REFRESH_MS = 5000;
const GAUGES = {
  sgmn_streams: (value) => String(value),
  sgmn_stream_lag_seconds: (value) => t("health.seconds", { seconds: value.toFixed(1) }),
  sgmn_stream_cpu_ratio: (value) => t("health.cores", { cores: value.toFixed(2) }),
  sgmn_encoder_busy_ratio: (value) => `${Math.round(100 * value)}%`,
  sgmn_encoder_windows_per_second: (value) => value.toFixed(1),
  sgmn_encoder_queue: (value) => String(value),
  sgmn_stream_dropped_frames: (value) => String(value),
  sgmn_stream_reconnects: (value) => String(value),
  sgmn_encoder_restarts: (value) => String(value),
};

/** The checks and the gauges, as long as the page is shown. */
export async function showHealth({ signal }) {
  const checks = h("ul", { class: "stack" });
  const gauges = h("dl", { class: "facts" });
  const note = h("p", { class: "visually-hidden", role: "status" });
  const { version } = await get("/healthz", {}, { signal });

  async function update() {
    const readiness = await readReadiness(signal);
    const metrics = await readMetrics(signal);
    setText(note, t(`health.status.${readiness.status}`));
    replace(checks, Object.entries(readiness.checks).map(checkRow));
    replace(gauges, Object.keys(GAUGES).filter((name) => metrics.has(name)).map((name) =>
      h("div", {}, h("dt", {}, t(`health.gauge.${name}`)), h("dd", { class: "number" }, GAUGES[name](metrics.get(name))))));
  }
  await update();
  poll(update, REFRESH_MS, signal);
  return h("section", { class: "stack", "aria-label": t("settings.health") },
    h("div", { class: "two-columns" },
      h("div", { class: "card stack" }, h("h2", {}, t("health.checks")), checks, note,
        h("p", { class: "muted small" }, t("health.version", { version })),
        h("p", { class: "small" }, h("a", { href: "/docs" }, t("health.docs")), " · ", h("a", { href: "/metrics" }, t("health.metrics")))),
      h("div", { class: "card stack" }, h("h2", {}, t("health.load")), gauges)));
}

function checkRow([name, result]) {
  const isGood = result === "ok";
  return h("li", { class: "section-head" }, h("span", {}, t(`health.check.${name}`)),
    h("span", { class: "badge end", data: { state: isGood ? "running" : "failed" } }, isGood ? t("health.ok") : result));
}

/** The checks; the service answers 503 with them if one fails. */
async function readReadiness(signal) {
  try {
    return (await request("GET", "/readyz", { signal })).data;
  } catch (error) {
    if (error.problem?.checks) return error.problem;
    throw error;
  }
}

/** The values without labels in the text format of Prometheus, by name. */
async function readMetrics(signal) {
  const text = await (await fetch("/metrics", { signal })).text();
  const lines = text.split("\n").filter((line) => line && !line.startsWith("#") && !line.includes("{"));
  return new Map(lines.map((line) => line.split(" ")).map(([name, value]) => [name, Number(value)]));
}
