/** An answer in words: what was predicted, how long it took, what went wrong. The picture is drawn beside it. */

import { readable } from "./telling.js";

/** `part(id)` finds an element of the page; `onretry()` is told that somebody wants to try again. */
export class AnswerPanel {
  #part;
  #onretry;

  constructor(part, { onretry }) {
    this.#part = part;
    this.#onretry = onretry;
  }

  /** `truth`: the label of the sample that is shown, or null. `timing`: milliseconds by name. */
  show(answer, { truth, milliseconds, timing, hint }) {
    const { label, score } = answer.prediction;
    this.#part("problem").hidden = true;
    this.#part("picture").classList.remove("is-old");
    say(this.#part("said"), `Predicted ${label}, score ${score.toFixed(4)}`);
    say(this.#part("truth"), truth === null ? "" : `True label: ${truth}`);
    this.#part("truth").className = truth === null ? "" : truth === label ? "right" : "wrong";
    say(this.#part("hint"), hint);
    const parts = Object.entries(timing).map(([name, ms]) => `${name} ${ms.toFixed(2)} ms`);
    const within = parts.length ? ` In the service: ${parts.join(", ")}.` : "";
    say(this.#part("times"), `Answered in ${milliseconds.toFixed(1)} ms, picture included.${within}`);
    say(this.#part("json"), readable(answer));
    this.#part("numbers").hidden = false;
  }

  /** A Problem takes the answer's place. What is still drawn is of an earlier request, and looks so. */
  fail(problem) {
    const title = document.createElement("strong");
    title.textContent = problem.status ? `${problem.title} (${problem.status})` : problem.title;
    const retry = document.createElement("button");
    retry.type = "button";
    retry.textContent = "Try again";
    retry.addEventListener("click", () => this.#onretry());
    this.#part("problem").replaceChildren(title, ` ${problem.message} `, ...(problem.mayPass ? [retry] : []));
    this.#part("problem").hidden = false;
    this.#part("picture").classList.add("is-old");
    this.#part("numbers").hidden = true;
    for (const id of ["json", "times", "truth", "hint"]) say(this.#part(id), "");
    say(this.#part("said"), "No prediction");
  }
}

/** A screen reader reads what changed, and not the same again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
