/** Inputs of the model's test data, one button each; a picture shows itself. */

/** `onsample(sample)` is told which one is wanted. */
export class Samples {
  #place;
  #samples = [];
  #last = -1;

  constructor(place, { onsample }) {
    this.#place = place;
    place.addEventListener("click", ({ target }) => {
      const { number = this.#last + 1 } = target.closest("button")?.dataset ?? { number: -1 };
      if (Number(number) >= 0) onsample(this.#samples[Number(number) % this.#samples.length]);
    });
  }

  get all() {
    return this.#samples;
  }

  /** As GET /models/{name}/samples has them; none where the model came without. */
  set all(samples) {
    this.#samples = samples;
    this.#last = -1;
    const next = document.createElement("button");
    next.type = "button";
    next.className = "next";
    next.textContent = "New sample";
    this.#place.replaceChildren(...(samples.length ? [next] : []), ...samples.map(button));
    this.#place.hidden = !samples.length;
  }

  /** Marks the one that is shown; -1: none is. */
  mark(number) {
    if (number >= 0) this.#last = number;
    for (const one of this.#place.querySelectorAll("[data-number]")) one.setAttribute("aria-pressed", one.dataset.number === String(number));
  }
}

function button(sample, number) {
  const made = document.createElement("button");
  const told = `sample ${number + 1}, true label ${sample.label}`;
  made.type = "button";
  made.dataset.number = number;
  made.title = told;
  made.setAttribute("aria-pressed", "false");
  made.setAttribute("aria-label", told);
  if (sample.body.image) {
    const picture = document.createElement("img");
    picture.src = sample.body.image.startsWith("data:") ? sample.body.image : `data:image/png;base64,${sample.body.image}`;
    picture.alt = "";
    made.append(picture);
  } else {
    made.textContent = sample.label;
  }
  return made;
}
