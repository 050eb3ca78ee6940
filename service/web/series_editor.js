/** The input of a time-series model: a table of numbers, the same as text, or a file dropped on it. */

import { readNumber, readRows, writeRows } from "./table_text.js";

const ROWS_SHOWN = 100;
const MOST_BYTES = 50_000_000;
const BLANK_STEPS = 10;

/** `shape`: steps and features that the model takes, null where that varies. `onchange(isOnTheWay)` is told that there
 * is another value, and `onproblem(text)` that what was typed, pasted or dropped cannot be read. */
export class SeriesEditor {
  #rows = [[]];
  #shape;
  #first = 0;
  #onchange;
  #onproblem;
  #parts;

  constructor(place, { shape, onchange, onproblem }) {
    this.#shape = shape;
    this.#onchange = onchange;
    this.#onproblem = onproblem;
    place.innerHTML = `
      <div class="table-frame" tabindex="0" role="region" aria-label="The series, a row for each time step"><table></table></div>
      <div class="bar pages" hidden>
        <button type="button" data-page="-1">Earlier</button><span></span><button type="button" data-page="1">Later</button>
      </div>
      <div class="bar">
        <button type="button" data-does="add">Add step</button>
        <button type="button" data-does="remove">Remove last</button>
        <label class="button">Open CSV <input class="unseen" type="file" accept=".csv,.tsv,.txt,.json,text/*,application/json"></label>
      </div>
      <label class="as-text">As text, one line a step <textarea rows="4" spellcheck="false" wrap="off"></textarea></label>
      <p class="note">Paste or drop a CSV file, or edit a number.</p>`;
    const find = (selector) => place.querySelector(selector);
    this.#parts = { table: find("table"), pages: find(".pages"), text: find("textarea"), add: find("[data-does=add]"), remove: find("[data-does=remove]") };
    this.#parts.add.hidden = this.#parts.remove.hidden = shape[0] !== null;
    this.#listenToTable();
    this.#listenToButtons(find("input[type=file]"));
  }

  get input() {
    const [json, type] = [JSON.stringify({ sequence: this.#rows }), "application/json"];
    return { json, file: new Blob([json], { type }), type, name: "series.json" };
  }

  get state() {
    return JSON.stringify(this.#rows);
  }

  /** What `state` would be of a request's body. */
  stateOf(body) {
    return JSON.stringify(body.sequence.map((step) => (Array.isArray(step) ? step : [step])));
  }

  restore(state) {
    this.#show(readRows(state));
  }

  /** Another editor's `input`. */
  adopt({ json }) {
    this.#show(readRows(json));
  }

  blank() {
    const [steps, features] = this.#shape;
    this.#show(Array.from({ length: steps ?? BLANK_STEPS }, () => Array(features).fill(0)));
  }

  /** One value, as it is dragged. */
  change(step, feature, value, isOnTheWay) {
    if (this.#rows[step]?.[feature] === undefined) return;
    // As many digits as a hand can place.
    this.#rows[step][feature] = Number(value.toPrecision(4));
    const cell = this.#parts.table.querySelector(`[data-step="${step}"][data-feature="${feature}"]`);
    if (cell) cell.value = short(this.#rows[step][feature]);
    this.#parts.text.value = writeRows(this.#rows);
    this.#onchange(isOnTheWay);
  }

  /** A file that was opened or dropped. */
  async take(file) {
    if (file.size > MOST_BYTES) {
      this.#onproblem(`the file is larger than ${MOST_BYTES / 1e6} megabytes.`);
      return;
    }
    const text = await file.text().catch((error) => error);
    if (!this.#parts.table.isConnected) return;
    if (text instanceof Error) this.#onproblem(text.message);
    else this.#read(text);
  }

  /** More than a number replaces the series, unless it was pasted where text is written. */
  pasted(event) {
    const [file] = event.clipboardData.files;
    const text = event.clipboardData.getData("text");
    const isCell = this.#parts.table.contains(event.target);
    if ((!isCell && event.target.matches?.("input, textarea")) || (!file && !/[\n,;\t[{]/.test(text.trim()))) return;
    event.preventDefault();
    if (text) this.#read(text);
    else this.take(file);
  }

  #show(rows) {
    this.#rows = rows;
    this.#first = 0;
    this.#draw();
  }

  #draw() {
    const last = Math.min(this.#first + ROWS_SHOWN, this.#rows.length);
    const width = this.#rows.reduce((most, row) => Math.max(most, row.length), 0);
    const heads = Array.from({ length: width }, (_, feature) => `<th scope="col">feature ${feature}</th>`).join("");
    // Numbers alone: what comes from outside is no number was refused before.
    const lines = this.#rows.slice(this.#first, last).map((row, place) => {
      const step = this.#first + place;
      const cells = row.map((value, feature) => `<td><input type="number" step="any" required data-step="${step}" data-feature="${feature}" value="${short(value)}" aria-label="step ${step}, feature ${feature}"></td>`);
      return `<tr><th scope="row">${step}</th>${cells.join("")}</tr>`;
    });
    this.#parts.table.innerHTML = `<thead><tr><th scope="col">time</th>${heads}</tr></thead><tbody>${lines.join("")}</tbody>`;
    this.#parts.text.value = writeRows(this.#rows);
    this.#parts.remove.disabled = this.#rows.length < 2;
    this.#drawPages(last);
  }

  #drawPages(last) {
    const { pages } = this.#parts;
    pages.hidden = this.#rows.length <= ROWS_SHOWN;
    pages.querySelector("span").textContent = `steps ${this.#first}–${last - 1} of ${this.#rows.length}`;
    pages.querySelector("[data-page='-1']").disabled = this.#first === 0;
    pages.querySelector("[data-page='1']").disabled = last === this.#rows.length;
  }

  #listenToTable() {
    const { table } = this.#parts;
    table.addEventListener("input", ({ target }) => {
      const value = readNumber(target.value);
      if (!Number.isFinite(value)) return;
      this.#rows[target.dataset.step][target.dataset.feature] = value;
      this.#parts.text.value = writeRows(this.#rows);
      this.#onchange();
    });
    // What was left unfinished is no number: the cell shows again what is asked.
    table.addEventListener("focusout", ({ target }) => {
      const { step, feature } = target.dataset;
      if (step !== undefined && !Number.isFinite(readNumber(target.value))) target.value = short(this.#rows[step][feature]);
    });
  }

  #listenToButtons(file) {
    const { add, remove, pages, text } = this.#parts;
    text.addEventListener("input", () => this.#read(text.value));
    add.addEventListener("click", () => this.#edit((rows) => rows.push([...rows.at(-1)])));
    remove.addEventListener("click", () => this.#edit((rows) => rows.pop()));
    pages.addEventListener("click", ({ target }) => {
      this.#first += ROWS_SHOWN * Number(target.dataset.page ?? 0);
      this.#draw();
    });
    file.addEventListener("change", () => {
      if (file.files.length) this.take(file.files[0]);
      file.value = "";
    });
  }

  #read(text) {
    try {
      const typed = this.#parts.text.value;
      this.#show(readRows(text));
      // What is being typed stays as it is written.
      if (typed === text) this.#parts.text.value = typed;
    } catch (error) {
      this.#onproblem(error.message);
      return;
    }
    this.#onchange();
  }

  #edit(change) {
    change(this.#rows);
    this.#draw();
    this.#onchange();
  }
}

/** A cell is narrow; the number itself is kept whole until it is edited. */
function short(value) {
  return Number(value.toPrecision(6));
}
