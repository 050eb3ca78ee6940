/** The input of an image model: a picture that is drawn, opened, dropped or pasted. What is not drawn on is sent as it
 * came, byte for byte. */

import { fromBase64, toBase64 } from "./base64.js";
import { Pen } from "./pen.js";

const FINEST = 280; // pixels of a canvas that is drawn on from nothing, along the model's longer side
const LARGEST = 1024; // pixels along the longer side of a picture that is drawn on
const SMALL = 200; // pixels along both sides of a picture whose pixels are shown as such
const SIDE = 19; // rem: the longer side on the screen
const MOST_IN_ADDRESS = 40_000; // letters
const MOST_IN_JSON = 75_000; // bytes
const DRAW = "Draw on it with mouse or finger, drop a file on it, or paste one.";
const UNSEEN = "The browser cannot show this file. It is sent as it is; what the service makes of it is in the answer.";

/** `shape`: rows and columns of the model. `onchange` and `onproblem` as for a series. */
export class PictureEditor {
  #shape;
  #canvas;
  #note;
  #file = null; // { blob, base64, name } as it came; null once it is drawn on. base64 is null where it is long
  #drawn = null; // the base64 of what was drawn, once it is asked for
  #shows = 0;
  #onchange;
  #onproblem;

  constructor(place, { shape, onchange, onproblem }) {
    this.#shape = shape;
    this.#onchange = onchange;
    this.#onproblem = onproblem;
    place.innerHTML = `
      <canvas class="sheet" tabindex="0" role="img" aria-label="The picture: draw with the pointer, or with the arrow keys while Shift is held"></canvas>
      <fieldset class="bar tools"><legend class="unseen">Pen</legend>
        <label><input type="radio" name="pen" value="#ffffff" checked> white</label>
        <label><input type="radio" name="pen" value="#000000"> black</label>
        <label>any <input type="color" name="colour" value="#d55e00" aria-label="another colour of the pen"></label>
        <label>width <input type="range" name="width" min="2" max="20" value="9" aria-label="width of the pen"></label>
      </fieldset>
      <div class="bar">
        <button type="button" data-does="clear">Clear</button>
        <label class="button">Open a picture <input class="unseen" type="file" accept="image/*"></label>
      </div>
      <p class="note"></p>`;
    this.#canvas = place.querySelector("canvas");
    this.#note = place.querySelector(".note");
    new Pen(this.#canvas, place.querySelector(".tools"), { ondrawn: (isOnTheWay) => this.#keepDrawing(isOnTheWay) });
    place.querySelector("[data-does=clear]").addEventListener("click", () => {
      this.blank();
      this.#onchange();
    });
    const file = place.querySelector("input[type=file]");
    file.addEventListener("change", () => {
      if (file.files.length) this.take(file.files[0]);
      file.value = "";
    });
  }

  /** { json } where it is short, and the file always. */
  get input() {
    const { blob, base64, name } = this.#file ?? { blob: fromBase64(this.#encoded), base64: this.#encoded, name: "drawn.png" };
    const json = base64 === null ? undefined : JSON.stringify({ image: base64 });
    return { json, file: blob, type: blob.type || "image/png", name };
  }

  get state() {
    const base64 = this.#file ? this.#file.base64 : this.#encoded;
    return base64 !== null && base64.length <= MOST_IN_ADDRESS ? base64 : "";
  }

  /** What `state` would be of a request's body. */
  stateOf(body) {
    return body.image.replace(/^data:[^,]*,/, "");
  }

  async restore(state) {
    await this.#show(fromBase64(state), "picture.png");
  }

  /** Another editor's `input`. */
  async adopt({ file, name }) {
    await this.#show(file, name);
  }

  blank() {
    const [rows, columns] = this.#shape;
    const scale = FINEST / Math.max(rows, columns);
    this.#lay(Math.round(columns * scale), Math.round(rows * scale), DRAW);
    this.#file = null;
  }

  change() {}

  /** A file that was opened, dropped or pasted. */
  async take(file) {
    try {
      if (await this.#show(file, file.name || "pasted.png")) this.#onchange();
    } catch (error) {
      this.#onproblem(error.message);
    }
  }

  pasted(event) {
    const [file] = event.clipboardData.files;
    if (file) this.take(file);
  }

  /** False where something else was shown, drawn or chosen meanwhile. */
  async #show(blob, name) {
    const turn = ++this.#shows;
    const base64 = blob.size <= MOST_IN_JSON ? await toBase64(blob) : null;
    // What a browser cannot show, TIFF above all, the service may well read.
    const picture = await createImageBitmap(blob).catch(() => null);
    if (turn !== this.#shows || !this.#canvas.isConnected) return false;
    if (picture) this.#lie(picture);
    else {
      this.blank();
      this.#note.textContent = UNSEEN;
    }
    this.#file = { blob, base64, name };
    return true;
  }

  #lie(picture) {
    const scale = Math.min(1, LARGEST / Math.max(picture.width, picture.height));
    this.#lay(Math.round(picture.width * scale), Math.round(picture.height * scale), DRAW);
    this.#canvas.getContext("2d").drawImage(picture, 0, 0, this.#canvas.width, this.#canvas.height);
    this.#canvas.classList.toggle("small", Math.max(picture.width, picture.height) < SMALL);
    picture.close();
  }

  /** An empty sheet. Transparency lies over black, as in the service. */
  #lay(width, height, note) {
    this.#canvas.width = Math.max(1, width);
    this.#canvas.height = Math.max(1, height);
    this.#canvas.style.maxWidth = `${SIDE * Math.min(1, width / Math.max(1, height))}rem`;
    this.#canvas.classList.remove("small");
    const context = this.#canvas.getContext("2d");
    context.fillStyle = "#000000";
    context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#note.textContent = note;
    this.#drawn = null;
  }

  get #encoded() {
    this.#drawn ??= this.#canvas.toDataURL("image/png").split(",")[1];
    return this.#drawn;
  }

  #keepDrawing(isOnTheWay) {
    this.#shows += 1;
    this.#file = null;
    this.#drawn = null;
    this.#onchange(isOnTheWay);
  }
}
