/** Which model and which version is asked: two lists of what the service serves, which changes while a page is open. */

import { ask, Problem } from "./service.js";

const DEFAULT = ""; // of the version: whichever the service takes by itself

export class ModelChoice {
  #models;
  #versions;
  #served = new Map(); // entries of GET /models by name
  #shown = null; // { name, version } of what was shown last

  /** Two `select` elements. */
  constructor(models, versions) {
    this.#models = models;
    this.#versions = versions;
  }

  get name() {
    return this.#models.value;
  }

  get version() {
    return this.#versions.value;
  }

  has(name) {
    return this.#served.has(name);
  }

  /** The model to begin with, where none is named. */
  get first() {
    return this.has("timeseries") ? "timeseries" : [...this.#served.keys()][0];
  }

  /** Reads the models anew. True where what is shown is no longer as it was. Rejects with a Problem where there are none. */
  async read(signal) {
    const { models } = (await ask("models", { signal })).document;
    const before = this.#entry();
    this.#served = new Map(models.filter((one) => one.default_version !== null).map((one) => [one.name, one]));
    if (!this.#served.size) throw new Problem(0, "No model is served.", "GET /models says what was refused, and why.", true);
    this.#list();
    return before !== this.#entry();
  }

  /** Both lists as they are while this is shown. */
  show(name, version) {
    this.#shown = { name, version };
    this.#list();
  }

  /** What is shown, where a choice came to nothing. */
  undo() {
    if (this.#shown) this.#list();
  }

  #entry() {
    return JSON.stringify(this.#served.get(this.#shown?.name));
  }

  #list() {
    const { name, version } = this.#shown ?? { name: this.first, version: DEFAULT };
    const entry = this.#served.get(name);
    const versions = (entry?.versions ?? []).filter((one) => one.status === "served").map((one) => one.version);
    const standard = entry ? `${entry.default_version} (default)` : "none";
    fill(this.#models, [...this.#served.keys()], name);
    fill(this.#versions, versions.reverse(), version, new Option(standard, DEFAULT));
  }
}

/** A list of these. What is chosen is among them, also where it is served no longer. */
function fill(select, values, chosen, ...first) {
  const gone = chosen === DEFAULT || values.includes(chosen) ? [] : [new Option(`${chosen} (no longer served)`, chosen)];
  select.replaceChildren(...first, ...gone, ...values.map((value) => new Option(value)));
  select.value = chosen;
}

/** What the service says of one model, and the samples that came with it. */
export async function described(name, version, signal) {
  const asked = version ? `?version=${encodeURIComponent(version)}` : "";
  const path = `models/${encodeURIComponent(name)}`;
  const { document: model } = await ask(`${path}${asked}`, { signal });
  const samples = model.has_samples ? (await ask(`${path}/samples${asked}`, { signal })).document.samples : [];
  return { model, samples };
}
