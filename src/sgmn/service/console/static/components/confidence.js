// How sure the model is: a bar with its number, in a color that repeats what the number says.

import { formatPercent, h, setAttribute, setText } from "../dom.js";
import { t } from "../texts.js";

const GOOD = 0.8;
const FAIR = 0.5;

/** "good", "fair" or "poor". */
export function level(confidence) {
  if (confidence >= GOOD) return "good";
  return confidence >= FAIR ? "fair" : "poor";
}

class ConfidenceBar extends HTMLElement {
  #bar = h("span", { class: "bar" });
  #number = h("span", { class: "number" });

  connectedCallback() {
    if (!this.firstChild) this.append(h("span", { class: "track", "aria-hidden": "true" }, this.#bar), this.#number);
  }

  /** The probability, 0..1. */
  set value(confidence) {
    const percent = formatPercent(confidence);
    setText(this.#number, percent);
    this.#bar.style.setProperty("width", percent);
    setAttribute(this, "data-level", level(confidence));
    setAttribute(this, "title", t("confidence.label", { percent }));
  }
}

customElements.define("confidence-bar", ConfidenceBar);

/** A bar. */
export function confidenceBar(confidence = 0) {
  const bar = document.createElement("confidence-bar");
  bar.value = confidence;
  return bar;
}
