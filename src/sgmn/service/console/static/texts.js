// All texts of the console, from one catalogue for each language.

let texts = {};

/** Loads the catalogue. */
export async function loadTexts(language = "en") {
  const response = await fetch(new URL(`./texts/${language}.json`, import.meta.url));
  if (!response.ok) throw new Error(`texts/${language}.json: ${response.status}`);
  texts = await response.json();
  document.documentElement.lang = language;
}

const plurals = new Intl.PluralRules("en");

/**
 * The text of a key such as "live.lag", with {name} replaced by values. If the key has the forms
 * `one` and `other`, `values.count` chooses. An unknown key is a bug, so it throws.
 */
export function t(key, values = {}) {
  let text = key.split(".").reduce((node, part) => node?.[part], texts);
  if (typeof text === "object" && text !== null) text = text[plurals.select(values.count)] ?? text.other;
  if (typeof text !== "string") throw new Error(`no text for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}
