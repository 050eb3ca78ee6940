/** The page: what is chosen → one request → the picture of its answer. Only here is anything connected. */

import { readAddress, writeAddress } from "./address.js";
import { AnswerPanel, say } from "./answer_panel.js";
import { AskedForm } from "./asked_form.js";
import { takeDropped } from "./dropping.js";
import { described, ModelChoice } from "./model_choice.js";
import { NumberTables } from "./number_tables.js";
import { Picture } from "./picture.js";
import { PictureEditor } from "./picture_editor.js";
import { Samples } from "./samples.js";
import { SeriesEditor } from "./series_editor.js";
import { apiKey, ask, Problem } from "./service.js";
import { copyText, curlLine, save } from "./telling.js";

const VEGA_LITE = "application/vnd.vegalite.v5+json";
const EDITORS = { timeseries: SeriesEditor, image: PictureEditor };

const part = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const choice = new ModelChoice(part("model"), part("version"));
const asked = new AskedForm(
  { form: part("asked"), label: part("label"), choice: part("label-choice"), list: part("labels") },
  { onasked: () => model && predict() },
);
const samples = new Samples(part("samples"), { onsample: (sample) => choose((signal) => showSample(sample, signal)) });
const panel = new AnswerPanel(part, { onretry: goOn });
const numbers = new NumberTables(part("numbers"));
const picture = new Picture(part("picture"), {
  onlabel: (label) => chooseLabel(label),
  onvalue: (step, feature, value, isOnTheWay) => editor.change(step, feature, value, isOnTheWay),
});

let editor = null;
let model = null; // GET /models/{name}
let predicted = "";
let truth = null; // the label of the sample that is shown, until it is changed
let choosing = new AbortController(); // of what was chosen last
let running = null; // AbortController of the request in flight
let isBehind = false; // whether the input has moved on since that request
let drawn = null; // { width, look } of the picture that is shown

// What is asked

function query(more = {}) {
  const told = { ...more, ...asked.said };
  if (!asked.takesLabel) delete told.label;
  if (model.name !== model.task) told.model = model.name;
  if (choice.version) told.version = choice.version;
  const text = String(new URLSearchParams(told));
  return text ? `?${text}` : "";
}

const look = () => (dark.matches ? "dark" : "light");

/** While a hand is on the way, a request in flight is let finish, so that the picture follows; else it is given up. */
async function predict({ isOnTheWay = false } = {}) {
  if (isOnTheWay && running) {
    isBehind = true;
    return;
  }
  running?.abort();
  const mine = new AbortController();
  running = mine;
  isBehind = false;
  part("picture").ariaBusy = "true";
  let isShown = false;
  try {
    await askAndShow(mine.signal);
    isShown = true;
  } catch (error) {
    if (!mine.signal.aborted) complain(error);
  }
  if (running !== mine) return;
  running = null;
  part("picture").ariaBusy = "false";
  if (isBehind || (isShown && picture.hasOutgrown(drawn.width))) predict({ isOnTheWay: true });
}

async function askAndShow(signal) {
  remember();
  const input = editor.input;
  const url = new URL(`predict/${model.task}${query()}`, document.baseURI);
  say(part("curl"), curlLine(url.href, input, Boolean(apiKey.value)));
  const sheet = { width: picture.width, look: look() };
  const started = performance.now();
  const { document: spec, timing } = await ask(`predict/${model.task}${query(sheet)}`, {
    body: input.file,
    type: input.type,
    accept: VEGA_LITE,
    signal,
  });
  const milliseconds = performance.now() - started;
  await picture.show(spec, signal);
  drawn = sheet;
  const { answer } = spec.usermeta;
  predicted = answer.prediction.label;
  panel.show(answer, { truth, milliseconds, timing, hint: hint(answer) });
  numbers.show(answer);
}

function hint(answer) {
  const drag = picture.hasPoints ? "Drag a point of the lines to change the input. " : "";
  return drag + (answer.contributions ? "Click a label to see what speaks for it." : "");
}

function complain(error) {
  part("picture").ariaBusy = "false";
  if (!(error instanceof Problem)) console.error(error);
  const problem = error instanceof Problem ? error : new Problem(0, "The page failed.", error.message);
  panel.fail(problem);
  if (drawn?.look !== look()) picture.clear();
  if (problem.status !== 401) return;
  part("key-form").hidden = false;
  part("key").focus();
}

/** What was typed, pasted or dropped is no input; what was asked before it is no answer to it. */
function unreadable(text) {
  giveUp();
  complain(new Problem(0, "This input cannot be read:", text));
}

// What is chosen

/** Does what was chosen last. What was chosen before it, and what was asked, is given up. */
async function choose(work) {
  giveUp();
  say(part("notice"), "");
  part("picture").ariaBusy = "true";
  const mine = new AbortController();
  choosing = mine;
  try {
    await work(mine.signal);
  } catch (error) {
    if (choosing === mine) choice.undo();
    if (!mine.signal.aborted) complain(error);
  }
}

function giveUp() {
  choosing.abort();
  running?.abort();
  running = null;
  clearTimeout(writing);
}

function changed(isOnTheWay = false) {
  choosing.abort();
  truth = null;
  samples.mark(-1);
  predict({ isOnTheWay });
}

async function useModel(name, version, signal) {
  const found = await described(name, version, signal);
  signal.throwIfAborted();
  const { task, inputs, contract } = found.model;
  if (!EDITORS[task]) throw new Problem(0, "No editor.", `This page has none for the task ${task}; the interface answers it.`);
  model = found.model;
  choice.show(name, version);
  part("editor").replaceChildren();
  const [, ...shape] = Object.values(inputs)[0].shape;
  editor = new EDITORS[task](part("editor"), { shape, onchange: changed, onproblem: unreadable });
  asked.use(contract);
  samples.all = found.samples;
}

/** `state` as an editor gives it; without one, the first sample. */
async function showInput(state, signal) {
  const known = sampleOf(state);
  if (!state || known) return showSample(known ?? samples.all[0], signal);
  try {
    await editor.restore(state);
  } catch {
    say(part("notice"), "The input in the address cannot be read; another is shown in its place.");
    return showInput("", signal);
  }
  return showOwn(signal);
}

const sampleOf = (state) => samples.all.find(({ body }) => state && state === editor.stateOf(body));

/** Another version, or the same one read anew, with the input that is there. */
async function useVersion(version, signal) {
  const { input, state } = editor;
  await useModel(model.name, version, signal);
  const known = sampleOf(state);
  if (known) return showSample(known, signal);
  await editor.adopt(input);
  return showOwn(signal);
}

function showOwn(signal) {
  signal.throwIfAborted();
  truth = null;
  samples.mark(-1);
  return predict();
}

async function showSample(sample, signal) {
  if (sample) await editor.restore(editor.stateOf(sample.body));
  else editor.blank();
  signal.throwIfAborted();
  truth = sample?.label ?? null;
  samples.mark(samples.all.indexOf(sample));
  return predict();
}

function chooseLabel(label) {
  if (!asked.takesLabel) return;
  asked.label = label === predicted || label === asked.label ? "" : label;
  predict();
}

/** What failed is tried again: the input that is there, or all. */
function goOn() {
  return editor ? predict() : start();
}

/** What is served may have changed while the page lay open. */
async function comeBack() {
  if (!editor) return start();
  try {
    if (await choice.read()) choose((signal) => (choice.has(model.name) ? useVersion(choice.version, signal) : predict()));
  } catch (error) {
    complain(error);
  }
}

// The address

let writing = 0;

function remember() {
  clearTimeout(writing);
  writing = setTimeout(() => {
    const state = editor.state;
    const fits = writeAddress({ model: model.name, version: choice.version, ...asked.said, input: state });
    part("holds").textContent = fits && state ? "The address holds what you see: send it to a colleague." : "This input is too long for the address: a colleague needs the file too.";
  }, 200);
}

/** Shows what the address says. What of it is not there is told, and something else shown. */
function start() {
  return choose(async (signal) => {
    const address = readAddress();
    const missing = [];
    await choice.read(signal);
    if (address.model && !choice.has(address.model)) missing.push(`no model '${address.model}'`);
    if (!asked.set(address.attention, address.label)) missing.push(`no attention '${address.attention}'`);
    const isServed = choice.has(address.model);
    const name = isServed ? address.model : choice.first;
    try {
      await useModel(name, isServed ? (address.version ?? "") : "", signal);
    } catch (error) {
      if (error.status !== 404 || !address.version) throw error;
      missing.push(`no version '${address.version}'`);
      await useModel(name, "", signal);
    }
    if (missing.length) say(part("notice"), `The address asks for what is not here: ${missing.join(", ")}.`);
    await showInput(isServed || !address.model ? address.input : "", signal);
  });
}

// What people do

part("model").addEventListener("change", () =>
  choose(async (signal) => {
    await useModel(choice.name, "", signal);
    asked.label = "";
    await showInput("", signal);
  }),
);
part("version").addEventListener("change", () => choose((signal) => useVersion(choice.version, signal)));
part("choice").addEventListener("submit", (event) => event.preventDefault());
part("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  apiKey.value = part("key").value.trim();
  goOn();
});
part("save").addEventListener("click", () => save(editor.input));
for (const button of document.querySelectorAll("[data-copies]")) {
  button.addEventListener("click", async () => say(part("notice"), await copyText(part(button.dataset.copies))));
}
addEventListener("hashchange", start);
addEventListener("focus", comeBack);
document.addEventListener("visibilitychange", () => document.hidden || comeBack());
takeDropped((file) => editor?.take(file));
addEventListener("paste", (event) => editor?.pasted(event));
dark.addEventListener("change", () => model && predict());
new ResizeObserver(() => {
  if (drawn && picture.hasOutgrown(drawn.width)) predict({ isOnTheWay: true });
}).observe(part("picture"));

part("key-form").hidden = !apiKey.value;
part("key").value = apiKey.value;
start();
