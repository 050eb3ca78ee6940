/** What is wanted of an answer: how much attention, and the contributions to which label. */

const ATTENTIONS = ["summary", "full", "none"]; // the first is what need not be said
const MOST_LISTED = 1000; // labels

export class AskedForm {
  #form;
  #label;
  #choice;
  #list;
  #labels = [];
  #hasContributions = false;

  /** A form with the radio buttons `attention`; a field for a label, the element that holds it, and its `datalist`.
   * `onasked()` is told of every other wish. */
  constructor({ form, label, choice, list }, { onasked }) {
    this.#form = form;
    this.#label = label;
    this.#choice = choice;
    this.#list = list;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", () => {
      this.#offer();
      onasked();
    });
    // Chosen from the list, or typed to its end.
    label.addEventListener("input", () => this.#labels.includes(label.value) && onasked());
  }

  /** The contract's labels, and whether there are contributions to them. */
  use({ labels, contributions }) {
    this.#labels = labels;
    this.#list.replaceChildren(...labels.slice(0, MOST_LISTED).map((label) => new Option(label)));
    this.#hasContributions = Boolean(contributions);
    if (!contributions) this.#label.value = "";
    this.#offer();
  }

  /** Whether a label would make a difference. */
  get takesLabel() {
    return this.#hasContributions && this.attention !== "none";
  }

  #offer() {
    this.#choice.hidden = !this.takesLabel;
  }

  get attention() {
    return this.#form.elements.attention.value;
  }

  /** False where there is no such attention; then it is the first. */
  set(attention, label) {
    const isOne = !attention || ATTENTIONS.includes(attention);
    this.#form.elements.attention.value = isOne && attention ? attention : ATTENTIONS[0];
    this.label = label ?? "";
    return isOne;
  }

  get label() {
    const typed = this.#label.value;
    return this.#labels.includes(typed) ? typed : typed.trim();
  }

  set label(label) {
    this.#label.value = label;
  }

  /** By name, without what need not be said. */
  get said() {
    return {
      ...(this.attention === ATTENTIONS[0] ? {} : { attention: this.attention }),
      ...(this.label ? { label: this.label } : {}),
    };
  }
}
