/**
 * The stage: draws a decoded bitmap at once. A canvas, because it shows what is drawn in the very
 * next frame; an <img> may decode again first.
 */
import { setShown, setText } from "./dom.js";
import { actualView, fitView, isLarger, panView, zoomView } from "./view.js";

const CRISP_SCALE = 3; // from here on single pixels are what the person wants to see

export class Stage {
  /**
   * @param {Record<string, HTMLElement>} refs
   * @param {(item: object, signal: AbortSignal) => Promise<ImageBitmap>} full loads all pixels
   */
  constructor(refs, full) {
    this.refs = refs;
    this.canvas = /** @type {HTMLCanvasElement} */ (refs.canvas);
    this.context = this.canvas.getContext("2d");
    this.full = full;
    this.item = null;
    this.bitmap = null;
    this.large = null;
    this.view = null;
    this.size = { width: 1, height: 1 };
    this.light = { brightness: 100, contrast: 100 };
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(refs.stage);
    this.resize();
  }

  /** Draw an item's bitmap, fitted; this is the whole of what a key press waits for. */
  show(item, bitmap) {
    this.dropLarge();
    this.item = item;
    this.bitmap = bitmap;
    this.view = fitView(this.size, item);
    this.draw();
    this.canvas.dataset.item = String(item.item);
    this.canvas.setAttribute("aria-label", `Image ${item.name}`);
  }

  /** Show nothing: no image yet, or none that can be shown. */
  clear() {
    this.dropLarge();
    this.item = null;
    this.bitmap = null;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    delete this.canvas.dataset.item;
    this.canvas.setAttribute("aria-label", "No image");
    this.showState();
  }

  draw() {
    const { context, canvas, view } = this;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.item || !view) return;
    const ratio = canvas.width / this.size.width;
    const image = this.large ?? this.bitmap;
    const smooth = view.fitted || view.scale * ratio < CRISP_SCALE;
    context.imageSmoothingEnabled = smooth;
    context.imageSmoothingQuality = "high";
    const width = this.item.width * view.scale * ratio;
    const height = this.item.height * view.scale * ratio;
    context.drawImage(
      image,
      Math.round(view.x * ratio),
      Math.round(view.y * ratio),
      Math.round(width),
      Math.round(height),
    );
    this.showState();
  }

  resize() {
    const box = this.refs.stage.getBoundingClientRect();
    if (box.width < 1 || box.height < 1) return;
    const ratio = window.devicePixelRatio || 1;
    this.size = { width: box.width, height: box.height };
    this.canvas.width = Math.max(1, Math.round(box.width * ratio));
    this.canvas.height = Math.max(1, Math.round(box.height * ratio));
    if (this.item) {
      const kept = this.view.fitted ? null : panView(this.view, this.size, this.item, 0, 0);
      this.view = kept ?? fitView(this.size, this.item);
    }
    this.draw();
  }

  fit() {
    this.move(() => fitView(this.size, this.item));
  }

  actual() {
    this.move(() => actualView(this.size, this.item, window.devicePixelRatio || 1));
  }

  /** Between the two views people switch most. */
  toggle() {
    if (this.view?.fitted) this.actual();
    else this.fit();
  }

  /** Zoom around a point of the stage; around its middle when none is given. */
  zoom(factor, x = this.size.width / 2, y = this.size.height / 2) {
    this.move(() => zoomView(this.view, this.size, this.item, factor, x, y));
  }

  pan(dx, dy) {
    this.move(() => panView(this.view, this.size, this.item, dx, dy));
  }

  get pannable() {
    return Boolean(this.item) && isLarger(this.view, this.size, this.item);
  }

  /** @param {() => import("./view.js").View} change */
  move(change) {
    if (!this.item) return;
    this.view = change();
    this.draw();
    this.sharpen();
  }

  /** Per cent; kept from image to image, because a dark series stays dark. */
  setLight(brightness, contrast) {
    this.light = { brightness, contrast };
    const plain = brightness === 100 && contrast === 100;
    this.canvas.style.filter = plain
      ? ""
      : `brightness(${brightness / 100}) contrast(${contrast / 100})`;
    setShown(this.refs.adjusted, !plain);
  }

  /** Fetch all pixels once the card's image is shown larger than it is. */
  async sharpen() {
    const { item, bitmap } = this;
    const shown = (item.width * this.view.scale * this.canvas.width) / this.size.width;
    if (this.large || this.sharpening || bitmap.width >= item.width || shown <= bitmap.width) return;
    const controller = new AbortController();
    this.sharpening = controller;
    this.showState();
    const large = await this.full(item, controller.signal).catch(() => null);
    if (controller.signal.aborted) {
      large?.close();
      return;
    }
    this.sharpening = null;
    this.large = large;
    this.draw();
  }

  dropLarge() {
    this.sharpening?.abort();
    this.sharpening = null;
    this.large?.close();
    this.large = null;
  }

  /** Say how large the image is shown, and that sharper pixels are on their way. */
  showState() {
    const { refs, view, item } = this;
    const ratio = this.canvas.width / this.size.width;
    const share = item ? Math.round(view.scale * ratio * 100) : 100;
    const sharper = this.sharpening ? " · loading all pixels…" : "";
    setText(refs.scale, item ? `${item.width} × ${item.height} · ${share}\u202f%${sharper}` : "");
    refs.fit.setAttribute("aria-pressed", String(Boolean(item && view.fitted)));
    refs.actual.setAttribute("aria-pressed", String(Boolean(item && !view.fitted && share === 100)));
    refs.stage.classList.toggle("pannable", this.pannable);
  }

  close() {
    this.watcher.disconnect();
    this.dropLarge();
  }
}
