/** The banner over the image: what keeps labels from arriving, and what was not taken. */
import { count, el, setShown, setText } from "./dom.js";

const PATIENCE = 1; // failures before the person is told: one hiccup is nobody's business

export class Banner {
  /**
   * @param {Record<string, HTMLElement>} refs
   * @param {() => void} retry sends again now
   */
  constructor(refs, retry) {
    this.refs = refs;
    this.refused = [];
    refs.retry.addEventListener("click", retry);
    refs.dismiss.addEventListener("click", () => {
      this.refused = [];
      this.showRefused();
    });
  }

  /**
   * @param {import("./outbox.js").Outbox} outbox
   * @param {boolean} away whether other requests get no answer either
   * @param {string} problem what the server said to those
   */
  show(outbox, away, problem) {
    const failing = outbox.failures >= PATIENCE || away;
    setShown(this.refs.away, failing);
    if (failing) setText(this.refs.awayText, this.awayText(outbox, outbox.problem || problem));
    const others = outbox.foreign;
    setShown(this.refs.foreign, others.length > 0);
    if (others.length) setText(this.refs.foreignText, this.foreignText(others));
    setShown(this.refs.unkept, outbox.unkept > 0);
  }

  awayText(outbox, problem) {
    const waiting = outbox.sendable.length;
    const kept = outbox.unkept ? "in this page only: do not close it" : "in this browser";
    const why = problem ? `The server says “${problem.replace(/\.$/, "")}”` : "Server away";
    if (!waiting) return `${why}. Trying again…`;
    return `${why} — ${count(waiting, "label")} kept ${kept}, sending again…`;
  }

  foreignText(entries) {
    const names = [...new Set(entries.map((entry) => entry.annotator))].join(", ");
    return `${count(entries.length, "label")} by ${names} wait in this browser. Choose that name to send them.`;
  }

  /** @param {string} what was not taken @param {string} why */
  refuse(what, why) {
    this.refused.push(`${what}: ${why}`);
    this.showRefused();
  }

  showRefused() {
    const shown = this.refused.slice(-3);
    setShown(this.refs.refused, shown.length > 0);
    const more = this.refused.length - shown.length;
    const lines = shown.map((text) => el("li", {}, text));
    if (more > 0) lines.unshift(el("li", {}, `… and ${more} more`));
    this.refs.refusedList.replaceChildren(...lines);
  }
}
