// A frame of a session, or its heatmap. Of several that are asked for, only the last one counts,
// so a slow network shows fewer pictures and not later ones.

import { sleep } from "../api.js";
import { formatTime, h, setText } from "../dom.js";
import { t } from "../texts.js";
import { frameUrl } from "./sessions.js";

const RETRY_MS = 2000;

/**
 * {node, show(timeS), setHeat(isOn)}; `onHeatFailure` is told that
 * there are no heatmaps, and the frame is shown; without it the view says so itself.
 */
export function frameView(sessionId, signal, { onHeatFailure } = {}) {
  const picture = h("img", { alt: "", hidden: true });
  const note = h("p", { class: "frame-note", role: "status" });
  const node = h("div", { class: "frame-view" }, picture, note);
  let isHeat = false;
  let wanted = null;
  let isBusy = false;

  async function show(timeS) {
    wanted = timeS;
    if (isBusy) return;
    isBusy = true;
    try {
      while (wanted !== null && !signal.aborted) await load();
    } finally {
      isBusy = false;
    }
  }

  async function load() {
    const [timeS, heat] = [wanted, isHeat];
    wanted = null;
    const url = heat ? `/v1/sessions/${sessionId}/heatmaps/${timeS.toFixed(3)}.png` : frameUrl(sessionId, timeS);
    const { response, blob } = await ask(url);
    if (blob) return draw(response, blob, timeS);
    if (signal.aborted) return null;
    const isLater = heat && response?.status === 503;
    setText(note, isLater || !response ? t("frame.later") : await explain(response, heat));
    if (isLater || !response) {
      await sleep(RETRY_MS, signal).catch(() => null);
      wanted ??= timeS;
    } else if (heat && response.status === 409 && onHeatFailure) {
      isHeat = false;
      wanted ??= timeS;
      onHeatFailure(note.textContent);
    } else picture.hidden = true;
    return null;
  }

  async function ask(url) {
    try {
      const response = await fetch(url, { signal });
      return { response, blob: response.ok ? await response.blob() : null };
    } catch {
      return { response: null, blob: null }; // offline, also in the middle of a picture, or the page was left
    }
  }

  function draw(response, blob, timeS) {
    const foundS = Number(response.headers.get("X-Frame-Time") ?? timeS);
    const url = URL.createObjectURL(blob);
    if (picture.src) URL.revokeObjectURL(picture.src);
    picture.src = url;
    picture.alt = t("frame.alt", { time: formatTime(foundS) });
    picture.hidden = false;
    node.dataset.time = foundS;
    setText(note, "");
  }

  signal.addEventListener("abort", () => picture.src && URL.revokeObjectURL(picture.src));
  return {
    node,
    show,
    setHeat(isOn) {
      isHeat = isOn;
    },
  };
}

async function explain(response, heat) {
  if (response.status === 404) return t("frame.none");
  const problem = await response.json().catch(() => null); // a proxy may answer in HTML
  return problem?.detail ?? t(heat ? "frame.noHeat" : "frame.none");
}
