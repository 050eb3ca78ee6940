/** Numbers as text: one line a step, a comma between features. */

/** Rows of numbers. Throws an Error whose message names the line that is wrong. */
export function readRows(text) {
  const json = text.trim();
  if (json.startsWith("{") || json.startsWith("[")) return fromJson(json);
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const separator = lines.some((line) => line.includes(";")) ? /\s*;\s*/ : lines.some((line) => line.includes(",")) ? /\s*,\s*/ : /\s+/;
  const rows = [];
  for (const [number, line] of lines.entries()) {
    if (!line) continue;
    const cells = line.split(separator).map((cell) => cell.replace(/^"(.*)"$/, "$1"));
    // Between semicolons a comma is a decimal one.
    const values = cells.map((cell) => readNumber(cell.replace(",", ".")));
    const wrong = values.findIndex((value) => !Number.isFinite(value));
    if (wrong < 0) rows.push(values);
    // Above the first numbers stand their names.
    else if (rows.length || values.some(Number.isFinite)) throw new Error(`line ${number + 1}: '${cells[wrong].slice(0, 40)}' is no number`);
  }
  if (!rows.length) throw new Error("there are no numbers in it");
  return rows;
}

export function writeRows(rows) {
  return rows.map((row) => row.join(", ")).join("\n");
}

/** NaN for what is no number; an empty cell is none either. */
export function readNumber(text) {
  return text.trim() === "" ? NaN : Number(text.replace("−", "-"));
}

function fromJson(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`it is no JSON: ${error.message}`);
  }
  const steps = Array.isArray(value) ? value : value.sequence;
  const rows = Array.isArray(steps) ? steps.map((step) => (Array.isArray(step) ? step : [step])) : [];
  if (!rows.length || !rows.flat().every(Number.isFinite)) throw new Error("a list of steps is expected, each a list of numbers");
  return rows;
}
