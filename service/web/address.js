/** What the page shows ↔ the part of its address after #, so that it can be sent to a colleague. */

// Browsers take more, what people send one another through often does not.
const MOST_CHARACTERS = 60_000;

/** What is in the address now: strings by name, empty where there is nothing. */
export function readAddress() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

/** Puts what is not empty into the address. False where the input is too long for it: all else is there then. */
export function writeAddress(shown) {
  const told = Object.entries(shown).filter(([, value]) => value);
  const whole = String(new URLSearchParams(told));
  const fits = whole.length <= MOST_CHARACTERS;
  const hash = fits ? whole : String(new URLSearchParams(told.filter(([name]) => name !== "input")));
  history.replaceState(null, "", `#${hash}`);
  return fits;
}
