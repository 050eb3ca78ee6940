/** Shows a Vega-Lite specification, and says what of it is pointed at: a label, or a value of the input to be dragged. */

import { compile, vegaEmbed } from "./vega.js";

const MARGIN = 16; // PADDING in models/look.py, and in the style sheet
const SCROLL_BAR = 24; // pixels, at most
const REACH_PIXELS = { mouse: 14, pen: 18, touch: 26 };
const FLAT_PIXELS = 60;
const OPTIONS = {
  mode: "vega",
  // No evaluation of text as a program: expressions are interpreted.
  ast: true,
  actions: false,
  renderer: "svg",
  defaultStyle: false,
  tooltip: { disableDefaultStyle: true, theme: "heed" },
};

/** What an answer looks like, in a figure. `onlabel(label)` is told of a click on a score, `onvalue(step, feature,
 * value, isOnTheWay)` of a point of the input's lines that is dragged, the last time when it is let go. */
export class Picture {
  #figure;
  #shown = null;
  #onlabel;
  #onvalue;

  constructor(figure, { onlabel, onvalue }) {
    this.#figure = figure;
    this.#onlabel = onlabel;
    this.#onvalue = onvalue;
    figure.addEventListener("pointerdown", (event) => this.#grab(event));
    figure.addEventListener("pointermove", (event) => {
      if (!event.buttons) figure.classList.toggle("can-drag", Boolean(this.#near(event, event.pointerType)));
    });
    // A finger on a point drags it; anywhere else it scrolls.
    const hold = (event) => this.#near(event.touches[0], "touch") && event.preventDefault();
    figure.addEventListener("touchstart", hold, { passive: false });
  }

  /** The width that a picture may have, in pixels. Its own margin hangs over, so that what is drawn begins and ends with
   * the text. */
  get width() {
    return Math.min(Math.max(Math.floor(this.#figure.clientWidth) + 2 * MARGIN, 240), 1600);
  }

  /** Whether there is another width now, by more than a scroll bar that came with the picture. */
  hasOutgrown(width) {
    return Math.abs(this.width - width) > SCROLL_BAR;
  }

  /** Whether the input is drawn as points that can be taken. */
  get hasPoints() {
    return inputPoints(this.#figure).length > 0;
  }

  /** Draws it aside, and then puts it where the last one was. Rejects where `signal` has ended it meanwhile. */
  async show(spec, signal) {
    const place = document.createElement("div");
    const drawn = await vegaEmbed(place, compiled(spec), OPTIONS);
    if (signal.aborted) {
      drawn.finalize();
      throw signal.reason;
    }
    drawn.view.addEventListener("click", (_, item) => {
      if (typeof item?.datum?.score === "number") this.#onlabel(item.datum.label);
    });
    this.#shown?.finalize();
    this.#shown = drawn;
    this.#figure.replaceChildren(place);
  }

  /** Nothing is shown. */
  clear() {
    this.#shown?.finalize();
    this.#shown = null;
    this.#figure.replaceChildren();
  }

  #grab(event) {
    const point = event.button === 0 ? this.#near(event, event.pointerType) : null;
    if (!point) return;
    event.preventDefault();
    const { step, feature, value, unitsPerPixel } = point;
    const isMine = (other) => other.pointerId === event.pointerId;
    // The scale may change under the hand: what a pixel is worth stays as it was when the point was taken.
    const tell = (moved, isOnTheWay) =>
      this.#onvalue(step, feature, value + (moved.clientY - event.clientY) * unitsPerPixel, isOnTheWay);
    const move = (moved) => isMine(moved) && tell(moved, true);
    const leave = (left) => {
      if (!isMine(left)) return;
      for (const [name, listener] of Object.entries(listeners)) removeEventListener(name, listener);
      this.#figure.classList.remove("is-dragging");
      if (left.type === "pointerup" && left.clientY !== event.clientY) tell(left, false);
    };
    const listeners = { pointermove: move, pointerup: leave, pointercancel: leave };
    for (const [name, listener] of Object.entries(listeners)) addEventListener(name, listener);
    this.#figure.classList.add("is-dragging");
  }

  /** The point of the input that is nearest to the pointer, if one is near. */
  #near({ clientX, clientY }, pointerType) {
    const distance = (point) => Math.hypot(point.left - clientX, point.top - clientY);
    const points = inputPoints(this.#figure);
    const nearest = points.reduce((best, point) => (!best || distance(point) < distance(best) ? point : best), null);
    if (!nearest || distance(nearest) > (REACH_PIXELS[pointerType] ?? REACH_PIXELS.mouse)) return null;
    return { ...nearest, unitsPerPixel: unitsPerPixel(points) };
  }
}

/** As Vega takes it. The title is left out: the page says it already, and larger. */
function compiled({ title, ...spec }) {
  const { $schema, ...made } = compile(spec).spec;
  return made;
}

/** The points of the panel that draws the input: {step, feature, value}, and {left, top} of their middle on the screen.
 * The renderer keeps what an element draws with the element. */
function inputPoints(figure) {
  return [...figure.querySelectorAll(".mark-symbol path")].flatMap((element) => {
    const datum = element.__data__?.datum ?? {};
    if (!("value" in datum && "x" in datum && "y" in datum)) return [];
    const box = element.getBoundingClientRect();
    return [{ step: datum.x, feature: datum.y, value: datum.value, left: box.x + box.width / 2, top: box.y + box.height / 2 }];
  });
}

/** Of a linear scale, told by its highest and lowest point. Where all are at one height, whatever a hand can place. */
function unitsPerPixel(points) {
  const highest = points.reduce((a, b) => (b.top < a.top ? b : a));
  const lowest = points.reduce((a, b) => (b.top > a.top ? b : a));
  if (lowest.top === highest.top) return -Math.max(Math.abs(highest.value), 1) / FLAT_PIXELS;
  return (lowest.value - highest.value) / (lowest.top - highest.top);
}
