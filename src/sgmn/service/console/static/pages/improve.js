// Improve: a better model from reviewed segments; an admin decides whether it is used.

import { get, list, post } from "../api.js";
import { actionButton, choice, confirmDialog, field } from "../components/forms.js";
import { comparisonTable, isClearlyBetter } from "../components/comparison.js";
import { followOperation, isUnfinished } from "../components/operations.js";
import { showToast } from "../components/toast.js";
import { formatDate, h, replace } from "../dom.js";
import { t } from "../texts.js";

const MODEL_CHANGES = ["adopt", "revert"];

/** The page of a catalogue; that of the first one if the address names none. */
export default async function showImprove({ params, signal, setTitle, mayEdit, user, navigate }) {
  setTitle(t("menu.improve"));
  const catalogues = [];
  for await (const catalogue of list("/v1/catalogues", {}, { signal })) catalogues.push(catalogue);
  const head = h("header", { class: "page-head" }, h("h1", {}, t("menu.improve")));
  const chosen = catalogues.find((one) => one.id === params.catalogue) ?? catalogues[0];
  if (!chosen) return h("section", { class: "page" }, head, h("p", { class: "card empty" }, t("catalogueList.none")));
  const names = Object.fromEntries(catalogues.map((one) => [one.id, `${one.name} (${one.shop_id})`]));
  const select = choice(names, { "aria-label": t("improve.catalogue"), on: { change: () => navigate(`/console/improve/${select.value}`) } }, chosen.id);
  head.append(h("div", { class: "end" }, select));
  const page = new ImprovePage(chosen.id, { signal, mayEdit, isAdmin: user.role === "admin" });
  await page.load();
  return h("section", { class: "page" }, head, page.node);
}

class ImprovePage {
  node = h("div", { class: "stack" });
  #running = h("div", { class: "stack" });
  #watched = new Set();

  constructor(catalogueId, context) {
    Object.assign(this, context);
    this.path = `/v1/catalogues/${catalogueId}`;
    this.catalogueId = catalogueId;
  }

  /** Reads what there is, and follows what goes on. */
  async load() {
    const { signal } = this;
    const [state, operations] = await Promise.all([
      get(`${this.path}/improvements`, {}, { signal }),
      get("/v1/operations", { catalogue_id: this.catalogueId, limit: 50 }, { signal }),
    ]);
    const changes = operations.items.filter((one) => MODEL_CHANGES.includes(one.kind));
    [...state.items, ...changes].filter(isUnfinished).forEach((one) => this.#watch(one));
    const over = state.items.filter((one) => !isUnfinished(one));
    const isBusy = this.#watched.size > 0;
    const history = over.length
      ? h("ul", { class: "stack" }, over.map((one) => this.#improvementCard(one, isBusy)))
      : h("p", { class: "card empty" }, t("improve.none"));
    replace(this.node, this.#reviewedCard(state.reviewed, isBusy), this.#running, h("h2", {}, t("improve.history")), history);
  }

  #watch(operation) {
    if (this.#watched.has(operation.id)) return;
    this.#watched.add(operation.id);
    const done = async (ended) => {
      this.#watched.delete(operation.id);
      if (ended.state === "failed") showToast(ended.problem.detail, "error");
      else showToast(t(`improve.ended.${ended.kind}.${ended.state}`));
      card.remove();
      await this.load();
    };
    const card = h("section", { class: "card", "aria-label": t(`operation.kind.${operation.kind}`) });
    card.append(followOperation(operation, { signal: this.signal, mayEdit: this.mayEdit, done }));
    this.#running.append(card);
  }

  #reviewedCard(reviewed, isBusy) {
    const { training, held_out, products, sessions, min_training, min_held_out, shortage } = reviewed;
    const facts = { training: [training, min_training], heldOut: [held_out, min_held_out] };
    const bars = Object.entries(facts).map(([name, [count, minimum]]) => h("div", { class: "field" },
      h("p", { class: "section-head" }, h("span", {}, t(`improve.${name}`)), h("strong", { class: "end number" }, t("improve.ofMinimum", { count, minimum }))),
      h("progress", { max: minimum, value: Math.min(count, minimum), "aria-label": t(`improve.${name}`) })));
    const start = actionButton(t("improve.start"), () => this.#start(), { class: "primary", disabled: Boolean(shortage) || isBusy });
    return h("section", { class: "card stack", "aria-label": t("improve.reviewed") },
      h("div", { class: "section-head" }, h("h2", {}, t("improve.reviewed")), this.mayEdit && h("div", { class: "end" }, start)),
      h("p", { class: "muted" }, t("improve.intro")),
      h("div", { class: "two-columns" }, bars),
      h("p", { class: "muted small" }, `${t("improve.sessions", { count: sessions })} · ${t("catalogueList.products", { count: products })}`),
      shortage && h("p", { class: "shortage" }, shortage, " ", h("a", { href: "/console/review" }, t("improve.reviewMore"))));
  }

  async #start() {
    this.#watch((await post(`${this.path}/improvements`, {})).data);
    await this.load();
  }

  #improvementCard(improvement, isBusy) {
    const { state, result, problem, is_adopted: isAdopted } = improvement;
    const comparison = result?.comparison;
    return h("li", { class: "card stack", data: { improvement: improvement.id } },
      h("div", { class: "section-head" },
        h("h3", {}, t("improve.trained", { date: formatDate(improvement.created_s) })),
        isAdopted && h("span", { class: "badge", data: { state: "running" } }, t("improve.inUse")),
        state !== "succeeded" && h("span", { class: "badge", data: { state } }, t(`operation.state.${state}`)),
        comparison && h("div", { class: "end" }, this.#modelButton(improvement, isBusy))),
      problem && h("p", { class: "error" }, problem.detail),
      comparison && [h("p", {}, verdict(comparison)), comparisonTable(comparison), h("p", { class: "muted small" }, t("improve.trainedOn", { count: result.clips.train }))]);
  }

  #modelButton(improvement, isBusy) {
    if (!this.isAdmin) return h("p", { class: "muted small" }, t("improve.adminsOnly"));
    const action = improvement.is_adopted ? "revert" : "adopt";
    const ask = () => confirmDialog({
      title: t(`improve.${action}`), text: t(`improve.${action}Text`), action: t(`improve.${action}`), signal: this.signal,
      send: async () => {
        this.#watch((await post(`${this.path}/improvements/${improvement.id}:${action}`)).data);
        await this.load();
      },
    });
    const isPrimary = action === "adopt" && isClearlyBetter(improvement.result.comparison);
    return h("button", { type: "button", class: isPrimary && "primary", disabled: isBusy, on: { click: ask } }, t(`improve.${action}`));
  }
}

/** What the comparison says, in words. */
function verdict({ recall_1: recall, count }) {
  const name = recall.low > 0 ? "better" : recall.high < 0 ? "worse" : "unclear";
  return t(`improve.verdict.${name}`, { count });
}
