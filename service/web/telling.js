/** An answer for programs: the request as a line for a shell, the answer as JSON that can be read. */

// A shell takes 128 KiB in one word.
const MOST_IN_LINE = 100_000;
const SAVED_WITHIN_MS = 60_000;

/** The request as curl sends it. `input`: { json } where that is short, { name, type } of its file. A key is named, never
 * told. */
export function curlLine(url, input, hasKey) {
  const parts = [`curl -s ${quoted(url)}`];
  if (hasKey) parts.push('-H "Authorization: Bearer $HEED_API_KEY"');
  if (input.json !== undefined && input.json.length <= MOST_IN_LINE) {
    parts.push("-H 'Content-Type: application/json'", `-d ${quoted(input.json)}`);
  } else {
    parts.push(`-H 'Content-Type: ${input.type}'`, `--data-binary ${quoted(`@${input.name}`)}`);
  }
  return parts.join(" \\\n  ");
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** JSON with each innermost list on one line. */
export function readable(value, indent = "") {
  const deeper = `${indent}  `;
  if (Array.isArray(value)) {
    if (!value.some((one) => one !== null && typeof one === "object")) return `[${value.map((one) => JSON.stringify(one)).join(", ")}]`;
    return `[\n${value.map((one) => deeper + readable(one, deeper)).join(",\n")}\n${indent}]`;
  }
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value).map(([name, one]) => `${deeper}${JSON.stringify(name)}: ${readable(one, deeper)}`);
  return members.length ? `{\n${members.join(",\n")}\n${indent}}` : "{}";
}

/** The file that a long curl line names, which nobody has of what was drawn or typed. */
export function save({ file, name }) {
  const url = URL.createObjectURL(file);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), SAVED_WITHIN_MS);
}

/** What became of it, to be told. */
export async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return "Copied.";
  } catch {
    // Refused by the browser, or not there: pages of another host without TLS have no clipboard.
    getSelection().selectAllChildren(element);
    return "The browser does not let a page copy here. It is selected now: copy it with the keyboard.";
  }
}
