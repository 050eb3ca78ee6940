/** Draws on a canvas: with a pointer, or with the arrow keys while Shift is held. */

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEPS = 25; // from edge to edge, with keys

/** `tools`: a fieldset with `pen` (colours to choose from), `colour` (any) and `width` (in percent of the longer side).
 * `ondrawn(isOnTheWay)` is told of what was drawn, the last time when the pointer is lifted. */
export class Pen {
  #canvas;
  #tools;
  #ondrawn;

  constructor(canvas, tools, { ondrawn }) {
    this.#canvas = canvas;
    this.#tools = tools;
    this.#ondrawn = ondrawn;
    tools.querySelector("[name=colour]").addEventListener("input", () => {
      for (const one of tools.querySelectorAll("[name=pen]")) one.checked = false;
    });
    this.#followPointer();
    this.#followKeys();
  }

  #line(from, to) {
    const context = this.#canvas.getContext("2d");
    const chosen = this.#tools.querySelector("[name=pen]:checked") ?? this.#tools.querySelector("[name=colour]");
    const longer = Math.max(this.#canvas.width, this.#canvas.height);
    context.strokeStyle = chosen.value;
    context.lineWidth = Math.max(1, (longer * this.#tools.querySelector("[name=width]").value) / 100);
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
  }

  #followPointer() {
    const canvas = this.#canvas;
    const place = ({ clientX, clientY }) => {
      const box = canvas.getBoundingClientRect();
      return [((clientX - box.left) / box.width) * canvas.width, ((clientY - box.top) / box.height) * canvas.height];
    };
    let pen = null; // { pointer, last } while one is down
    const isMine = (event) => pen?.pointer === event.pointerId;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || pen) return;
      canvas.setPointerCapture(event.pointerId);
      pen = { pointer: event.pointerId, last: place(event) };
      this.#line(pen.last, pen.last);
      this.#ondrawn(true);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!isMine(event)) return;
      const points = event.getCoalescedEvents?.() ?? [];
      for (const next of (points.length ? points : [event]).map(place)) {
        this.#line(pen.last, next);
        pen.last = next;
      }
      this.#ondrawn(true);
    });
    const leave = (event) => {
      if (!isMine(event)) return;
      pen = null;
      this.#ondrawn(false);
    };
    canvas.addEventListener("pointerup", leave);
    canvas.addEventListener("pointercancel", leave);
  }

  #followKeys() {
    let [across, down] = [0.5, 0.5];
    const place = () => [across * this.#canvas.width, down * this.#canvas.height];
    const within = (share) => Math.min(1, Math.max(0, share));
    this.#canvas.addEventListener("keydown", (event) => {
      const direction = DIRECTIONS[event.key];
      if (!direction) return;
      event.preventDefault();
      const from = place();
      across = within(across + direction[0] / STEPS);
      down = within(down + direction[1] / STEPS);
      if (!event.shiftKey) return;
      this.#line(from, place());
      this.#ondrawn(true);
    });
  }
}
