/**
 * The items this tab holds on a lease: claimed ahead, renewed while somebody is here, given back when
 * the page is left. What the server says it leased is the truth; the list here follows it.
 */
import { Ticker } from "./ticker.js";

const HOLD = 12; // enough to never wait, few enough to leave a small queue to others as well
const LOW = 9;
const MOST_CLAIMED = 50;
const MANY_PENDING = 30; // with more on their way, an answer may not list all leases
const EMPTY_POLL_MS = 2_500;
const SPENT_PAUSE_MS = 5_000; // the queue had no more a moment ago
const IDLE_MS = 15 * 60_000; // nobody is here: others may have the items
const AWAY_MS = 10_000; // no act for so long: an image may be changed without changing a label
const LONGEST_CLAIM_WAIT_MS = 10_000;

export class Supply {
  /**
   * @param {object} options
   * @param {import("./transport.js").Transport} options.transport
   * @param {import("./outbox.js").Outbox} options.outbox
   * @param {string} options.annotator @param {string} options.session
   * @param {number} options.leaseSeconds
   * @param {(answer: object|null) => void} options.changed after the list or what is known changed
   */
  constructor(options) {
    Object.assign(this, options);
    /** @type {object[]} items not labelled yet; the first is on the stage */
    this.queue = [];
    /** Items done here -> when the server acknowledged it; Infinity while it has not. */
    this.done = new Map();
    /** Items put back by hand (undo, refusal): they stay whatever is leased. */
    this.kept = new Set();
    /** Refused or undone items that cannot be paid for now: they come back with the budget. */
    this.shelf = [];
    this.empty = null;
    this.failures = 0;
    this.nextAt = 0;
    this.seenAt = performance.now();
    this.actedAt = this.sureAt = Date.now(); // goes on while the computer sleeps
    this.ticker = new Ticker((this.leaseSeconds * 1000) / 3, () => this.tick());
    this.poll = setInterval(() => this.look(), EMPTY_POLL_MS);
  }

  get current() {
    return this.queue[0] ?? null;
  }

  /** Take an item, the current one, off the list: something was done to it. */
  take(item = this.queue[0]) {
    for (const list of ["queue", "shelf"]) {
      if (this[list][0] === item) this[list].shift();
      else this[list] = this[list].filter((other) => other.item !== item.item);
    }
    this.actedAt = Date.now();
    this.done.set(item.item, Infinity);
    this.kept.delete(item.item);
    return item;
  }

  /** Put an item in front again. */
  putBack(item) {
    this.done.delete(item.item);
    this.kept.add(item.item);
    for (const list of ["shelf", "queue"]) {
      this[list] = this[list].filter((other) => other.item !== item.item);
    }
    this.queue.unshift(item);
    this.actedAt = Date.now();
  }

  /** An event for this item has arrived. */
  acknowledged(id) {
    if (this.done.get(id) === Infinity) this.done.set(id, performance.now());
  }

  /** Claim more if little is left and more may be had. */
  refill() {
    const resting = this.resting || this.closed || this.queue.length > LOW;
    if (resting || performance.now() < this.nextAt) return;
    this.claim();
  }

  /** Ask what is ours now and for more; one request at a time. */
  async claim() {
    if (this.claiming || this.closed) return;
    this.claiming = true;
    const startedAt = performance.now();
    const pending = this.outbox.entries.length;
    const n = Math.min(MOST_CLAIMED, HOLD + pending);
    try {
      const body = { session: this.session, n };
      const answer = await this.transport.post(this.annotator, "queue/claim", body);
      this.failures = 0;
      if (!this.closed) this.claimed(answer, n, startedAt, pending < MANY_PENDING);
    } catch (error) {
      this.failed(error);
    } finally {
      this.claiming = false;
    }
  }

  claimed(answer, n, startedAt, whole) {
    this.empty = answer.empty;
    this.shelve(answer.empty?.reason === "budget");
    const leased = new Set(answer.items.map(({ item }) => item));
    // The image that somebody looks at stays, unless its lease ran out while nobody did.
    const first = this.slept() ? -1 : 0;
    const stays = ({ item }, i) => i === first || this.kept.has(item) || leased.has(item);
    this.sureAt = Date.now();
    if (whole) {
      this.release(this.queue.filter((item, i) => !stays(item, i))); // whoever needs them
      this.queue = this.queue.filter(stays);
    }
    const held = new Set(this.queue.map(({ item }) => item));
    // Done before the server answered, or not arrived yet: it lists them as ours all the same.
    const isDone = (id) => (this.done.get(id) ?? -1) >= startedAt;
    for (const item of answer.items) {
      if (!held.has(item.item) && !isDone(item.item)) this.queue.push(item);
    }
    this.nextAt = answer.items.length < n ? performance.now() + SPENT_PAUSE_MS : 0;
    this.changed(answer);
  }

  /** Whether the leases have run out and nobody is in the middle of labelling. */
  slept() {
    const now = Date.now();
    return now - this.sureAt > this.leaseSeconds * 1000 && now - this.actedAt > AWAY_MS;
  }

  /** Put what cannot be paid for aside, or back. */
  shelve(spent) {
    const [from, to] = spent ? ["queue", "shelf"] : ["shelf", "queue"];
    this[to] = [...this[from], ...this[to]];
    this[from] = [];
  }

  failed(error) {
    this.failures += 1;
    const wait = Math.min(LONGEST_CLAIM_WAIT_MS, 500 * 2 ** this.failures);
    this.nextAt = performance.now() + wait;
    this.problem = error.status ? error.detail : "";
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.queue.length <= LOW && this.claim(), wait);
    this.changed(null);
  }

  /** With nothing to label, look again every few seconds: another queue may come. */
  look() {
    if (this.queue.length || document.hidden || this.resting || this.failures) return;
    if (this.outbox.sendable.length === 0) this.claim();
  }

  /** Ask again at once. */
  claimNow() {
    this.nextAt = 0;
    clearTimeout(this.retry);
    return this.claim();
  }

  async tick() {
    await this.transport.renewTokens();
    if (this.closed || this.resting || !this.queue.length) return;
    if (performance.now() - this.seenAt > IDLE_MS) {
      this.rest();
      return;
    }
    const body = { session: this.session };
    const answer = await this.transport.post(this.annotator, "queue/renew", body).catch(() => null);
    if (!answer || this.closed) return;
    if (this.slept()) {
      this.claimNow();
      return;
    }
    this.sureAt = Date.now();
    const leased = this.queue.filter(({ item, again }) => !again && !this.kept.has(item)).length;
    if (answer.renewed < leased) this.claimNow(); // some were lost while the page slept
    this.changed(answer);
  }

  /** Somebody is here. */
  seen() {
    this.seenAt = performance.now();
    if (!this.resting) return;
    this.resting = false;
    this.claimNow();
  }

  /** Nobody has been here for long: keep what is on the screen, give the leases back. */
  rest() {
    this.resting = true;
    this.release();
  }

  /** Give back what is not labelled; goes on when the page is being closed. */
  release(list = this.queue) {
    const items = list.map(({ item }) => item);
    if (!items.length) return;
    const body = { session: this.session, items };
    this.transport.post(this.annotator, "queue/release", body, true).catch(() => {});
  }

  close() {
    this.closed = true;
    this.ticker.close();
    clearInterval(this.poll);
    clearTimeout(this.retry);
    this.release();
  }
}
