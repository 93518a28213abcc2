// The keyboard: each page says what its keys do, and `?` shows them.

const STORED = "sgmn.single-keys";
const scopes = [];

/** Whether single keys work. People who dictate or type by accident can turn them off. */
export function areEnabled() {
  return localStorage.getItem(STORED) !== "off";
}

/** Turns single keys on or off. */
export function setEnabled(isOn) {
  localStorage.setItem(STORED, isOn ? "on" : "off");
}

/**
 * Adds the keys of a page or a dialog: [{keys: ["Enter"], label: t("keys.confirm"), run}]. A later
 * scope wins; a scope with `only` hides those before it, as a dialog does. `key` is as in
 * KeyboardEvent.key. Returns a function that removes the scope.
 */
export function addKeys(entries, { only = false } = {}) {
  const scope = { entries, only };
  scopes.push(scope);
  return () => {
    const index = scopes.indexOf(scope);
    if (index >= 0) scopes.splice(index, 1);
  };
}

/** The entries that count now, those of the newest scope first. */
export function activeKeys() {
  const last = scopes.findLastIndex((scope) => scope.only);
  return scopes.slice(Math.max(0, last)).reverse().flatMap((scope) => scope.entries);
}

function isTyping(target) {
  return target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
}

function handle(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key !== "Escape" && (isTyping(event.target) || !areEnabled())) return;
  // Enter and the space bar belong to the button or link that has the focus.
  if (["Enter", " "].includes(event.key) && event.target.closest?.("button, a[href], summary, input")) return;
  const entry = activeKeys().find((one) => one.keys.includes(event.key));
  if (!entry || (event.repeat && !entry.repeats)) return;
  event.preventDefault();
  entry.run(event);
}

document.addEventListener("keydown", handle);
