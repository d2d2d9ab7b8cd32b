/**
 * What the annotator did and the server has not acknowledged yet.
 *
 * First in, first out, one request at a time: an undo never overtakes its label. Each event is in
 * localStorage before anything else happens, under its own name, so writing one costs the same
 * however many wait. Keys make sending twice harmless; hence every doubt is settled by sending again.
 * An outbox belongs to the page, not to the card: it goes on sending while another page is shown.
 */
import { isAlive } from "./session.js";
import { Kept, ordered } from "./storage.js";
import { ApiError } from "./transport.js";

const BATCH = 100;
const FIRST_SEND_WAIT_MS = 400;
const LONGEST_SEND_WAIT_MS = 15_000;

/**
 * @typedef {object} Entry
 * @property {string} annotator
 * @property {string} session
 * @property {"labels"|"undo"} path
 * @property {object} event what the API takes
 * @property {object} about what the card needs to bring it back when it is refused
 * @property {string} [name] its name in storage
 */

export class Outbox {
  /** @param {string} project @param {import("./transport.js").Transport} transport */
  constructor(project, transport) {
    this.kept = new Kept("localStorage", `labeller/outbox/${project}/`);
    this.transport = transport;
    /** @type {Entry[]} */
    this.entries = [];
    this.sending = false;
    this.failures = 0;
    this.problem = "";
    this.wakeAt = 0;
    this.timer = 0;
    this.unkept = 0;
    this.sequence = Date.now() * 8; // after a reload, later than anything stored before it
    /** The card that is shown, if any; answers that come while none is wait for the next. */
    this.listener = null;
    this.missed = [];
    addEventListener("online", () => this.sendNow());
    addEventListener("beforeunload", (event) => this.unkept > 0 && event.preventDefault());
  }

  /** Tell a card what arrives from now on, and what arrived while there was none. */
  attach(listener) {
    this.listener = listener;
    for (const [entry, result] of this.missed.splice(0)) listener.acknowledged(entry, result);
  }

  /** @param {Entry} entry */
  add(entry) {
    this.sequence += 1;
    entry.name = `${entry.session}/${ordered(this.sequence)}`;
    if (!this.kept.set(entry.name, entry)) {
      entry.unkept = true;
      this.unkept += 1;
    }
    this.entries.push(entry);
    setTimeout(() => this.send(), 0); // the key press that made it goes first
  }

  /** Load what an earlier life of this tab, or a tab that is gone, left behind. */
  async adopt(session) {
    const names = this.kept.names();
    const sessions = new Set(names.map((name) => name.split("/")[0]));
    for (const other of sessions) {
      if (other !== session && (await isAlive(other))) sessions.delete(other);
    }
    const here = new Set(this.entries.map((entry) => entry.name));
    const found = names
      .filter((name) => sessions.has(name.split("/")[0]) && !here.has(name))
      .map((name) => ({ ...this.kept.get(name), name }))
      .filter((entry) => entry.event?.key && entry.annotator && entry.session);
    this.entries = [...found, ...this.entries];
    const numbers = found.map(({ name }) => Number(name.split("/")[1]));
    this.sequence = Math.max(this.sequence, ...numbers); // even if the clock went back
    this.send();
  }

  /** Entries that can be sent now: those of annotators whose token this page has. */
  get sendable() {
    return this.entries.filter((entry) => this.transport.knows(entry.annotator));
  }

  /** Entries of other annotators, kept until that name is chosen again. */
  get foreign() {
    return this.entries.filter((entry) => !this.transport.knows(entry.annotator));
  }

  /** Whether an event for this item is still on its way. */
  has(item) {
    return this.entries.some((entry) => entry.about?.item?.item === item);
  }

  /** @returns {Promise<void>} when nothing can be sent now or everything is acknowledged */
  get settled() {
    return this.run ?? Promise.resolve();
  }

  /** Forget the waiting time: the network is back, there is a new token, or someone pressed a button. */
  sendNow() {
    this.wakeAt = 0;
    return this.send();
  }

  send() {
    if (!this.sending) this.run = this.drain();
    return this.settled;
  }

  async drain() {
    this.sending = true;
    try {
      while (this.wakeAt <= performance.now()) {
        const batch = this.nextBatch();
        if (!batch.length || !(await this.post(batch))) break;
      }
    } finally {
      this.sending = false;
    }
    this.listener?.outboxChanged();
  }

  /** The longest run from the front that fits into one request. */
  nextBatch(most = this.narrow ?? BATCH) {
    const sendable = this.sendable;
    const first = sendable[0];
    const same = (entry) =>
      entry.path === first.path &&
      entry.session === first.session &&
      entry.annotator === first.annotator;
    const end = sendable.findIndex((entry) => !same(entry));
    return sendable.slice(0, Math.min(most, end < 0 ? sendable.length : end));
  }

  /** @returns {Promise<boolean>} whether to go on at once */
  async post(batch) {
    const { path, annotator, session } = batch[0];
    try {
      const body = { session, events: batch.map((entry) => entry.event) };
      this.acknowledge(batch, await this.transport.post(annotator, path, body, true));
      this.failures = 0;
      this.problem = "";
      this.narrow = undefined;
      return true;
    } catch (error) {
      return this.failed(batch, error);
    }
  }

  acknowledge(batch, answer) {
    const results = new Map(answer.results.map((result) => [result.key, result]));
    const acknowledged = batch.filter((entry) => results.has(entry.event.key));
    if (!acknowledged.length) throw new ApiError(502, "the answer is incomplete");
    this.forget(acknowledged);
    for (const entry of acknowledged) this.tell(entry, results.get(entry.event.key));
    this.listener?.metered(answer);
  }

  tell(entry, result) {
    if (this.listener) this.listener.acknowledged(entry, result);
    else if (result.status === "refused") this.missed.push([entry, result]);
  }

  /** Decide what a failure means: wait, send less at a time, or set one bad event aside. */
  failed(batch, error) {
    const malformed = error instanceof ApiError && [413, 422].includes(error.status);
    if (malformed && batch.length > 1) {
      this.narrow = 1; // find the one event that spoils the batch
      return true;
    }
    if (malformed) {
      this.narrow = undefined;
      this.forget(batch);
      const { key, item } = batch[0].event;
      this.tell(batch[0], { key, item, status: "refused", reason: error.detail });
      return true;
    }
    this.failures += 1;
    const known = error instanceof ApiError && error.status !== 0;
    this.problem = known ? error.detail : "";
    const wait = Math.min(LONGEST_SEND_WAIT_MS, FIRST_SEND_WAIT_MS * 2 ** Math.min(this.failures, 10));
    this.wakeAt = performance.now() + wait * (0.75 + Math.random() / 2);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), this.wakeAt - performance.now() + 5);
    return false;
  }

  forget(batch) {
    const gone = new Set(batch.map((entry) => entry.name));
    this.entries = this.entries.filter((entry) => !gone.has(entry.name));
    for (const entry of batch) {
      if (entry.unkept) this.unkept -= 1;
      this.kept.remove(entry.name);
    }
  }
}

/** One outbox a project and page. */
const outboxes = new Map();

/** @returns {Outbox} */
export function outboxOf(project, transport) {
  if (!outboxes.has(project)) outboxes.set(project, new Outbox(project, transport));
  return outboxes.get(project);
}
