/** The numbers of an answer as tables, for those who do not see the picture. Whatever axes a part has, all are named. */

const MOST_CELLS = 5000;

/** In a `details` element, made when it is open. */
export class NumberTables {
  #details;
  #place;
  #answer = null;

  constructor(details) {
    this.#details = details;
    this.#place = document.createElement("div");
    details.append(this.#place);
    details.addEventListener("toggle", () => this.#fill());
  }

  show(answer) {
    this.#answer = answer;
    this.#fill();
  }

  #fill() {
    if (!this.#details.open || !this.#answer) return;
    const { prediction, attention, contributions } = this.#answer;
    this.#place.replaceChildren(
      table("Scores", Object.entries(prediction.scores).map(([label, score]) => [label, [score]]), ["label"], ["score"]),
      ...attention.map((entry) => partTable(capital(entry.name.replaceAll("_", " ")), entry.axes, entry.weights)),
      ...(contributions ? [partTable(`Contributions to ${contributions.label}, bias ${shown(contributions.bias)}`, contributions.axes, contributions.values)] : []),
    );
  }
}

/** The last of several axes goes to the right, the others down. */
function partTable(name, axes, values) {
  const across = axes.length > 1 ? axes.at(-1) : null;
  const down = across ? axes.slice(0, -1) : axes;
  const rows = leaves(values, down.length);
  const columns = across ? rows[0][1].map((_, place) => `${across} ${place}`) : ["value"];
  return table(name, rows.map(([places, cells]) => [places.join(", "), across ? cells : [cells]]), down, columns);
}

/** [places, value] for each place of the first `depth` axes. */
function leaves(values, depth) {
  if (depth === 0) return [[[], values]];
  return values.flatMap((value, place) => leaves(value, depth - 1).map(([places, leaf]) => [[place, ...places], leaf]));
}

function table(name, rows, down, columns) {
  const most = Math.max(1, Math.floor(MOST_CELLS / columns.length));
  const left = rows.length - most;
  const made = document.createElement("table");
  made.createCaption().textContent = left > 0 ? `${name} (the first ${most} of ${rows.length}; the answer below has all)` : name;
  made.createTHead().append(row([head(down.join(", "), "col"), ...columns.map((column) => head(column, "col"))]));
  made.createTBody().append(...rows.slice(0, most).map(([place, cells]) => row([head(place, "row"), ...cells.map(cell)])));
  const frame = document.createElement("div");
  Object.assign(frame, { className: "table-frame", tabIndex: 0 });
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", name);
  frame.append(made);
  return frame;
}

function row(cells) {
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
}

function head(text, scope) {
  const made = Object.assign(document.createElement("th"), { scope });
  made.textContent = text;
  return made;
}

function cell(value) {
  const made = document.createElement("td");
  made.textContent = shown(value);
  return made;
}

const shown = (value) => String(Number(value.toPrecision(4))).replace("-", "−");

const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);
