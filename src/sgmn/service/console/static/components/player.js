// A session as video where it is recorded, and as its frames elsewhere.

import { frameView } from "./frame-view.js";
import { h } from "../dom.js";
import { t } from "../texts.js";

const STEP_MS = 500; // between frames
const SEEK_S = 0.04; // closer is the same picture

/**
 * {node, seek(timeS), toggle(), setHeat(isOn), isPlaying}. `parts` are those of the recording;
 * `moved(timeS)` is called while it plays, `changed()` when it starts and stops.
 */
export function player(session, parts, signal, { moved, changed, onHeatFailure }) {
  const view = frameView(session, signal, { onHeatFailure });
  const video = h("video", { playsinline: true, preload: "metadata", "aria-label": t("timeline.video"), hidden: true });
  const node = h("div", { class: "player" }, video, view.node);
  let part = null;
  let timeS = 0;
  let isHeat = false;
  let timer = null;
  let isBroken = false; // the browser cannot play the recording

  const find = (at) => (isBroken ? null : parts.findLast((one) => one.start <= at && at < one.end) ?? null);

  function seek(at) {
    timeS = at;
    const found = find(at);
    video.hidden = !found || isHeat;
    view.node.hidden = !video.hidden;
    if (!view.node.hidden) view.show(at);
    if (!found) return stopVideo();
    if (found !== part) {
      part = found;
      video.src = `/v1/sessions/${session}/recording?part=${part.number}`;
    }
    if (Math.abs(video.currentTime - (at - part.start)) > SEEK_S) video.currentTime = at - part.start;
    return null;
  }

  function stopVideo() {
    if (!video.paused) video.pause();
  }

  function step() {
    timeS += STEP_MS / 1000;
    seek(timeS);
    moved(timeS);
    if (!video.hidden) toggle(true); // the recording begins here
  }

  function toggle(isOn = !isPlaying()) {
    clearInterval(timer);
    timer = null;
    if (!isOn) stopVideo();
    else if (video.hidden) timer = setInterval(step, STEP_MS);
    else video.play();
    changed();
  }

  function isPlaying() {
    return timer !== null || (!video.paused && !video.hidden);
  }

  video.addEventListener("timeupdate", () => {
    if (video.paused || video.hidden || !part) return;
    timeS = part.start + video.currentTime;
    moved(timeS);
  });
  video.addEventListener("ended", () => {
    const next = parts.find((one) => one.number > part.number);
    if (next) seek(next.start);
    if (next) toggle(true);
    else changed();
  });
  video.addEventListener("error", () => {
    if (!video.hasAttribute("src")) return;
    isBroken = true;
    seek(timeS);
  });
  for (const name of ["play", "pause"]) video.addEventListener(name, changed);
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    video.removeAttribute("src");
    video.load(); // lets go of the connection
  });
  return {
    node, seek, toggle,
    get isPlaying() {
      return isPlaying();
    },
    setHeat(isOn) {
      isHeat = isOn;
      view.setHeat(isOn);
      seek(timeS);
    },
  };
}
