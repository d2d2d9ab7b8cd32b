/**
 * Images decoded before they are needed. They are fetched with the token in a header (an address
 * would end up in logs), turned into bitmaps off the main thread, and closed when out of reach.
 */
import { ApiError } from "./transport.js";

const PARALLEL = 4;
const LONGEST_IMAGE_WAIT_MS = 10_000;
/** Longest side of what is decoded for zooming: beyond it browsers run out of canvas memory. */
const MOST_FULL = 8_192;

/**
 * @typedef {object} Held
 * @property {object} item
 * @property {"waiting"|"loading"|"ready"|"failed"} state
 * @property {ImageBitmap|null} bitmap
 * @property {string} reason why it failed
 */

export class Images {
  /**
   * @param {import("./transport.js").Transport} transport @param {string} annotator
   * @param {(held: Held) => void} changed called when an image is ready or has failed
   */
  constructor(transport, annotator, changed) {
    this.transport = transport;
    this.annotator = annotator;
    this.changed = changed;
    /** @type {Map<number, Held & {controller?: AbortController, tries: number}>} */
    this.held = new Map();
    this.loading = 0;
    this.away = false;
  }

  /** @returns {Held|undefined} */
  of(item) {
    return this.held.get(item.item);
  }

  /** Hold these items' images, the most urgent first, and let go of all others. */
  focus(items) {
    const wanted = new Map(items.map((item) => [item.item, item]));
    for (const [id, held] of this.held) {
      if (wanted.has(id)) continue;
      held.controller?.abort();
      held.bitmap?.close();
      this.held.delete(id);
    }
    const before = this.held;
    this.held = new Map();
    for (const [id, item] of wanted) {
      const fresh = { item, state: "waiting", bitmap: null, reason: "", tries: 0 };
      this.held.set(id, before.get(id) ?? fresh);
    }
    this.pump();
  }

  /** Try again now what failed to come. */
  retry() {
    for (const held of this.held.values()) if (held.state === "waiting") held.readyAt = 0;
    this.pump();
  }

  /** Forget that an image failed: its file may have been put back. */
  again(item) {
    const held = this.of(item);
    if (held?.state === "failed") Object.assign(held, { state: "waiting", reason: "", readyAt: 0 });
    this.pump();
  }

  pump() {
    for (const held of this.held.values()) {
      if (this.loading >= PARALLEL) return;
      if (held.state === "waiting" && !(held.readyAt > performance.now())) this.load(held);
    }
  }

  async load(held) {
    held.state = "loading";
    held.controller = new AbortController();
    this.loading += 1;
    try {
      const path = `${held.item.image}&size=card`;
      const blob = await this.transport.blob(this.annotator, path, held.controller.signal);
      const bitmap = await decoded(blob);
      if (held.controller.signal.aborted) bitmap.close();
      else Object.assign(held, { bitmap, state: "ready" });
    } catch (error) {
      this.failed(held, error);
    } finally {
      this.loading -= 1;
    }
    if (this.of(held.item) === held && held.state !== "loading") {
      if (held.state === "ready") this.away = false;
      this.changed(held);
    }
    this.pump();
  }

  /** A file that is gone stays gone; a server that is away comes back. */
  failed(held, error) {
    if (held.controller.signal.aborted) return;
    const passing = error instanceof ApiError && error.passing;
    if (!passing) {
      const reason = error instanceof ApiError ? error.detail : "The browser cannot show this image.";
      Object.assign(held, { state: "failed", reason });
      return;
    }
    this.away = true;
    held.tries += 1;
    const wait = Math.min(LONGEST_IMAGE_WAIT_MS, 300 * 2 ** held.tries);
    Object.assign(held, { state: "waiting", readyAt: performance.now() + wait });
    setTimeout(() => this.pump(), wait + 5);
  }

  /** @returns {Promise<ImageBitmap>} all pixels of an item, as many as a browser can hold */
  async full(item, signal) {
    const blob = await this.transport.blob(this.annotator, `${item.image}&size=full`, signal);
    const longest = Math.max(item.width, item.height);
    if (longest <= MOST_FULL) return createImageBitmap(blob);
    const scale = MOST_FULL / longest;
    return createImageBitmap(blob, {
      resizeWidth: Math.max(1, Math.round(item.width * scale)),
      resizeHeight: Math.max(1, Math.round(item.height * scale)),
      resizeQuality: "high",
    });
  }

  /** @returns {Promise<ImageBitmap>} a small one for the recent strip */
  async thumb(item, signal) {
    return createImageBitmap(
      await this.transport.blob(this.annotator, `${item.image}&size=thumb`, signal),
    );
  }

  close() {
    this.focus([]);
  }
}

async function decoded(blob) {
  try {
    return await createImageBitmap(blob);
  } catch {
    throw new ApiError(415, "The browser cannot show this image. Flag or skip it.");
  }
}
