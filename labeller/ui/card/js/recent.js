/** The strip of the latest labels; a click takes one back and shows its image again. */
import { el, safeColour } from "./dom.js";

const SHOWN = 8;
const SIDE = 56; // CSS pixels

export class Recent {
  /**
   * @param {HTMLElement} list
   * @param {import("./images.js").Images} images
   * @param {(key: string) => void} back
   */
  constructor(list, images, back) {
    this.list = list;
    this.images = images;
    this.back = back;
    this.tiles = new Map();
    this.ending = new AbortController();
  }

  /**
   * Show the latest acts, newest first.
   * @param {import("./history.js").Act[]} acts newest last
   * @param {(act: object) => {text: string, colour: string}} describe
   */
  show(acts, describe) {
    const latest = acts.slice(-SHOWN).reverse();
    const keys = new Set(latest.map((act) => act.key));
    for (const [key, tile] of this.tiles) {
      if (keys.has(key)) continue;
      tile.remove();
      this.tiles.delete(key);
    }
    for (const act of latest.toReversed()) {
      if (!this.tiles.has(act.key)) this.tiles.set(act.key, this.tile(act, describe(act)));
    }
    const order = latest.map((act) => this.tiles.get(act.key));
    if (order.some((tile, i) => this.list.children[i] !== tile)) this.list.replaceChildren(...order);
  }

  tile(act, { text, colour }) {
    const canvas = /** @type {HTMLCanvasElement} */ (el("canvas", { "aria-hidden": "true" }));
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    canvas.width = canvas.height = SIDE * ratio;
    const title = `${text}: ${act.item.name}. Click to take it back and look again.`;
    const button = el(
      "button",
      { type: "button", class: "recent", title, "aria-label": `Go back to ${act.item.name}, ${text}` },
      canvas,
      el("span", { class: "recent-name" }, text),
    );
    button.style.setProperty("--class-colour", safeColour(colour));
    button.addEventListener("click", () => this.back(act.key));
    this.paint(canvas, act.item);
    return el("li", {}, button);
  }

  /** From the bitmap that was on the stage; after a reload from the server. */
  async paint(canvas, item) {
    const held = this.images.of(item)?.bitmap;
    if (held) {
      cover(canvas, held);
      return;
    }
    const bitmap = await this.images.thumb(item, this.ending.signal).catch(() => null);
    if (bitmap) cover(canvas, bitmap);
    bitmap?.close();
  }

  close() {
    this.ending.abort();
    this.list.replaceChildren();
  }
}

/** Fill the square with the image's middle. */
function cover(canvas, bitmap) {
  const side = Math.min(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "medium";
  context.drawImage(
    bitmap,
    (bitmap.width - side) / 2,
    (bitmap.height - side) / 2,
    side,
    side,
    0,
    0,
    canvas.width,
    canvas.height,
  );
}
