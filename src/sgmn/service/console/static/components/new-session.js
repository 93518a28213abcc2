// The form that starts a session.

import { post } from "../api.js";
import { h } from "../dom.js";
import { t } from "../texts.js";
import { showMessage } from "./dialogs.js";
import { checkbox, choice, field, formDialog } from "./forms.js";

const DEFAULT_LAG_S = 6;
const TRANSCRIPTS = ["none", "utterances", "subtitles", "asr"];

/** Asks for a stream of one of the catalogues, and starts it; `done` gets the session. */
export function askForSession(catalogues, signal, done) {
  const usable = catalogues.filter((catalogue) => catalogue.product_count > 0);
  if (!usable.length) return showMessage(t("newSession.title"), h("p", {}, t("newSession.noProducts")));
  const source = h("input", { name: "source", required: true, inputmode: "url", spellcheck: "false", autocomplete: "off", placeholder: "https://shop.example/live.m3u8" });
  const names = Object.fromEntries(usable.map((one) => [one.id, t("newSession.catalogueOption", { name: one.name, shop: one.shop_id, count: one.product_count })]));
  return formDialog({
    title: t("newSession.title"), action: t("newSession.start"), signal,
    content: [
      field(t("newSession.source"), source, t("newSession.sourceHint")),
      field(t("newSession.catalogue"), choice(names, { name: "catalogue_id" })),
      transcriptFields(),
      field(t("newSession.lag"), h("input", { name: "lag_s", type: "number", min: "0", max: "600", step: "0.5", value: DEFAULT_LAG_S, required: true }), t("newSession.lagHint")),
      checkbox(t("newSession.record"), { name: "record" }),
      checkbox(t("newSession.realtime"), { name: "realtime" }),
      checkbox(t("newSession.adaptive"), { name: "adaptive", checked: true }),
    ],
    async send(elements) {
      done((await post("/v1/sessions", sessionOf(elements))).data);
    },
  });
}

function transcriptFields() {
  const kinds = Object.fromEntries(TRANSCRIPTS.map((kind) => [kind, t(`newSession.transcripts.${kind}`)]));
  const extras = {
    subtitles: field(t("newSession.subtitles"), h("input", { name: "url", inputmode: "url", spellcheck: "false", placeholder: "https://shop.example/words.m3u8" })),
    asr: field(t("newSession.language"), h("input", { name: "language", maxlength: "10", size: "6", placeholder: "en" }), t("newSession.languageHint")),
  };
  function change() {
    for (const [kind, node] of Object.entries(extras)) node.hidden = kind !== select.value;
    extras.subtitles.querySelector("input").required = select.value === "subtitles";
  }
  const select = choice(kinds, { name: "kind", on: { change } });
  change();
  return [field(t("newSession.transcript"), select), Object.values(extras)];
}

/** The request of a form. */
function sessionOf(elements) {
  const kind = elements.kind.value;
  const transcript = { kind };
  if (kind === "subtitles") transcript.url = elements.url.value.trim();
  if (kind === "asr") transcript.language = elements.language.value.trim();
  return {
    catalogue_id: elements.catalogue_id.value,
    source: elements.source.value.trim(),
    transcript,
    lag_s: elements.lag_s.valueAsNumber,
    record: elements.record.checked,
    realtime: elements.realtime.checked,
    effort: elements.adaptive.checked ? "adaptive" : "exact",
  };
}
