// Asks the service again and again, as long as a page is shown.

import { get, sleep } from "../api.js";
import { showToast } from "./toast.js";

/** Runs `run` after each pause, until `signal` aborts, it throws, or returns true. */
export async function poll(run, pauseMs, signal) {
  try {
    while (!signal.aborted) {
      await sleep(pauseMs, signal);
      if (!document.hidden && (await run())) return;
    }
  } catch (error) {
    if (!signal.aborted) showToast(error.message, "error");
  }
}

/** A list by its id that shows items: a node is replaced only if its item has changed. */
export class ItemList {
  #nodes = new Map();

  /** `build(item)` makes the node of an item, which has an `id`. */
  constructor(node, build) {
    this.node = node;
    this.build = build;
  }

  /** Shows exactly these items, in this order. */
  show(items) {
    const nodes = items.map((item) => this.#keep(item));
    const ids = new Set(items.map((item) => item.id));
    for (const [id, { node }] of this.#nodes) {
      if (ids.has(id)) continue;
      node.remove();
      this.#nodes.delete(id);
    }
    nodes.forEach((node, index) => {
      if (this.node.children[index] !== node) this.node.insertBefore(node, this.node.children[index] ?? null);
    });
  }

  #keep(item) {
    const text = JSON.stringify(item);
    const known = this.#nodes.get(item.id);
    if (known?.text === text) return known.node;
    const node = this.build(item);
    if (known) {
      const isFocused = known.node.contains(document.activeElement);
      known.node.replaceWith(node);
      if (isFocused) node.querySelector("a, button:not(:disabled)")?.focus();
    }
    this.#nodes.set(item.id, { text, node });
    return node;
  }
}

/** A list page by page: `more()` loads the next page; `items` and `isComplete` say what is there. */
export class Pages {
  items = [];
  isComplete = false;
  #cursor = null;

  constructor(path, query, signal, limit = 50) {
    Object.assign(this, { path, query, signal, limit });
  }

  /** Loads the next page and returns all items so far. */
  async more() {
    const query = { limit: this.limit, ...this.query, cursor: this.#cursor };
    const page = await get(this.path, query, { signal: this.signal });
    this.items = [...this.items, ...page.items];
    this.#cursor = page.next_cursor;
    this.isComplete = !page.next_cursor;
    return this.items;
  }

  /** Loads as many items again as there are, from the start. */
  async again() {
    const fresh = new Pages(this.path, this.query, this.signal, this.limit);
    do await fresh.more();
    while (fresh.items.length < this.items.length && !fresh.isComplete);
    this.items = fresh.items;
    this.isComplete = fresh.isComplete;
    this.#cursor = fresh.#cursor;
    return this.items;
  }
}
