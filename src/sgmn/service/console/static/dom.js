// Builds elements from data, always as text and never as HTML.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. Properties: `class`, `style` (an object), `data` (an object), `on` (listeners by
 * event name); true sets an empty attribute, null, undefined and false leave it out.
 * h("button", {class: "primary", on: {click: save}}, t("save"))
 */
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** An SVG element, with the properties of `h`. */
export function svg(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    setProperty(element, name, value);
  }
  element.append(...flatten(children));
  return element;
}

function setProperty(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "on") {
    for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
  } else if (name === "style") {
    for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
  } else if (name === "data") {
    Object.assign(element.dataset, value);
  } else {
    element.setAttribute(name, value === true ? "" : value);
  }
}

function flatten(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Replaces what is in an element. */
export function replace(element, ...children) {
  element.replaceChildren(...flatten(children));
  return element;
}

/** Changes a text or an attribute only if it differs, so that screen readers stay calm. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
  return element;
}

/** Sets an attribute if the value differs; null removes it. */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

const PATHS = {
  live: "M4 6h16v10H4z M9 20h6 M12 16v4",
  review: "M4 6h9 M4 12h6 M4 18h9 M14 13l3 3 5-7",
  sessions: "M4 5v14 M4 8h9v3H4 M9 14h11v3H9",
  catalogues: "M4 7l8-4 8 4v10l-8 4-8-4z M4 7l8 4 8-4 M12 11v10",
  improve: "M4 18l5-6 4 3 7-9 M15 6h5v5",
  settings: "M4 7h10 M18 7h2 M14 5v4 M4 17h2 M10 17h10 M6 15v4",
  theme: "M12 3a9 9 0 1 0 9 9 7 7 0 0 1-9-9z",
  help: "M9 9a3 3 0 1 1 4 3c-1 .5-1 1-1 2 M12 18v.01 M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20",
  logout: "M10 4H5v16h5 M14 8l4 4-4 4 M18 12H9",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14 M16 16l5 5",
  sound: "M4 10v4h3l5 4V6l-5 4z M16 9a4 4 0 0 1 0 6 M18.500 6.500a8 8 0 0 1 0 11",
  muted: "M4 10v4h3l5 4V6l-5 4z M16 10l5 5 M21 10l-5 5",
  heat: "M12 3c1 4 5 5 5 10a5 5 0 0 1-10 0c0-2 1-3 2-4 0 2 1 3 2 3 1-3-1-5 1-9z",
  check: "M5 12l5 5 9-10",
  undo: "M9 7L4 12l5 5 M4 12h10a5 5 0 0 1 0 10h-2",
  none: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18 M6 6l12 12",
  play: "M7 4l13 8-13 8z",
  pause: "M7 4v16 M17 4v16",
  open: "M9 5l7 7-7 7",
  back: "M15 5l-7 7 7 7",
  alert: "M12 3l10 18H2z M12 10v5 M12 18v.01",
  close: "M5 5l14 14 M19 5L5 19",
  download: "M12 4v11 M7 11l5 5 5-5 M4 20h16",
  plus: "M12 5v14 M5 12h14",
  trash: "M4 7h16 M9 7V4h6v3 M6 7l1 13h10l1-13",
  stop: "M6 6h12v12H6z",
};

/** An icon by name; it says nothing to screen readers. */
export function icon(name) {
  const path = svg("path", { d: PATHS[name] });
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, path);
}

/** Time in a stream: 75.3 → "1:15", with `digits` "1:15.3". */
export function formatTime(seconds, digits = 0) {
  const scale = 10 ** digits;
  const total = Math.max(0, (digits ? Math.round : Math.floor)(seconds * scale) / scale);
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  const rest = (total % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** A probability: 0.873 → "87%". */
export function formatPercent(share) {
  return `${Math.round(100 * share)}%`;
}

/** A moment: seconds since 1970 → in the language of the browser, short. */
export function formatDate(seconds) {
  return new Date(1000 * seconds).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
