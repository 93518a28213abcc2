// Alerts of a stream: what is on sale has changed, or the model is unsure. One at a time, with an
// optional sound, and not again for a while.

import { h, icon, replace, setAttribute } from "../dom.js";
import { t } from "../texts.js";

const STORED = "sgmn.sound";
const COOL_DOWN_MS = 20_000;
const SHOWN_MS = 10_000;
const TONES = { changed: [660, 880], unsure: [520, 390] }; // Hz

/** {node, button, toggle(), raise(kind, text)}; kinds are "changed" and "unsure". */
export function alerts(signal) {
  const node = h("div", { class: "alerts", role: "status", "aria-live": "polite" });
  const button = h("button", { type: "button", on: { click: toggle } });
  const raised = new Map();
  let timer = null;
  let audio = null;

  function toggle() {
    localStorage.setItem(STORED, isOn() ? "off" : "on");
    showButton();
    if (isOn()) play(TONES.changed); // browsers allow sounds only after a click or key
  }

  function showButton() {
    setAttribute(button, "aria-pressed", isOn());
    replace(button, icon(isOn() ? "sound" : "muted"), t("watch.sound"), h("kbd", {}, "S"));
  }

  function raise(kind, text) {
    const now = performance.now();
    if (kind === "unsure" && now - (raised.get(kind) ?? -Infinity) < COOL_DOWN_MS) return;
    raised.set(kind, now);
    replace(node, h("p", { class: "alert", data: { kind } }, icon("alert"), text));
    clearTimeout(timer);
    timer = setTimeout(() => replace(node), SHOWN_MS);
    if (isOn()) play(TONES[kind]);
  }

  function play(tones) {
    audio ??= new AudioContext();
    tones.forEach((frequency, index) => {
      const [tone, volume] = [audio.createOscillator(), audio.createGain()];
      const from = audio.currentTime + 0.16 * index;
      tone.frequency.value = frequency;
      volume.gain.setValueAtTime(0.15, from);
      volume.gain.exponentialRampToValueAtTime(0.001, from + 0.15);
      tone.connect(volume).connect(audio.destination);
      tone.start(from);
      tone.stop(from + 0.16);
    });
  }

  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    audio?.close();
  });
  showButton();
  return { node, button, toggle, raise };
}

function isOn() {
  return localStorage.getItem(STORED) === "on";
}
