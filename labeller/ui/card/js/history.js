/**
 * What was done in this session, oldest first: the undo list, the recent strip, counts and speed.
 * Kept in sessionStorage, one name per act, so that undo goes back to the start after a reload too.
 */
import { Kept, ordered } from "./storage.js";

const MOST_KEPT = 4_000; // a few megabytes is all a browser gives; older ones stay in memory
const RATE_ACTS = 30;
const LONGEST_GAP_MS = 60_000; // a longer pause is a break, not slow labelling

/**
 * @typedef {object} Act
 * @property {string} key of its event
 * @property {"label"|"skip"|"flag"} kind
 * @property {number|null} classId
 * @property {object} item as it was claimed, so that it can be shown again
 * @property {number} at milliseconds since the epoch
 */

export class History {
  /** @param {string} project @param {string} session */
  constructor(project, session) {
    this.kept = new Kept("sessionStorage", `labeller/history/${project}/${session}/`);
    /** @type {Act[]} */
    this.acts = [];
    this.names = [];
    for (const name of this.kept.names()) {
      const act = this.kept.get(name);
      if (!act?.item) continue;
      this.acts.push(act);
      this.names.push(name);
    }
    this.sequence = Number(this.names.at(-1) ?? 0);
    this.keptUndone = new Kept("sessionStorage", `labeller/undone/${project}/${session}/`);
    /** @type {Act[]} what was taken back and may be done again, the latest last */
    this.undone = this.keptUndone.names().map((name) => this.keptUndone.get(name));
    this.undone = this.undone.filter((act) => act?.item);
  }

  get length() {
    return this.acts.length;
  }

  /** Remember that an act was taken back. @param {Act} act */
  addUndone(act) {
    this.undone.push(act);
    this.keptUndone.set(ordered(this.undone.length), act);
  }

  /** @returns {Act|null} what was taken back last, no longer to be done again */
  takeUndone() {
    this.keptUndone.remove(ordered(this.undone.length));
    return this.undone.pop() ?? null;
  }

  /** Whoever does something new leaves what was undone behind. */
  forgetUndone() {
    while (this.undone.length) this.takeUndone();
  }

  /** Forget one that was not taken back after all. @param {string} key */
  dropUndone(key) {
    const rest = this.undone.filter((act) => act.key !== key);
    if (rest.length === this.undone.length) return;
    this.forgetUndone();
    for (const act of rest) this.addUndone(act);
  }

  /** @param {Act} act */
  add(act) {
    this.sequence += 1;
    const name = ordered(this.sequence);
    this.acts.push(act);
    this.names.push(name);
    if (this.acts.length > MOST_KEPT) this.kept.remove(this.names[this.acts.length - 1 - MOST_KEPT]);
    this.kept.set(name, act);
  }

  last() {
    return this.acts.at(-1) ?? null;
  }

  find(key) {
    return this.acts.find((act) => act.key === key) ?? null;
  }

  /** @param {string} key @returns {Act|null} the act taken out */
  remove(key) {
    const at = this.acts.findLastIndex((act) => act.key === key);
    if (at < 0) return null;
    this.kept.remove(this.names[at]);
    this.names.splice(at, 1);
    return this.acts.splice(at, 1)[0];
  }

  /** The latest acts, newest last. */
  latest(most) {
    return this.acts.slice(-most);
  }

  /** @returns {number|null} labels a minute over the latest acts, breaks left out */
  rate() {
    const acts = this.latest(RATE_ACTS + 1);
    if (acts.length < 4) return null;
    let time = 0;
    for (let i = 1; i < acts.length; i += 1) {
      time += Math.min(LONGEST_GAP_MS, Math.max(0, acts[i].at - acts[i - 1].at));
    }
    return time > 0 ? ((acts.length - 1) * 60_000) / time : null;
  }
}
