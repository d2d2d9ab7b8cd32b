/** The line above the image: progress through the queue, speed, budget. */
import { number, setShown, setText } from "./dom.js";

export class Meters {
  /** @param {Record<string, HTMLElement>} refs */
  constructor(refs) {
    this.refs = refs;
    this.queue = null;
    this.budget = null;
  }

  /** Take the counters of an answer. */
  set({ queue, budget }) {
    this.queue = queue ?? this.queue;
    this.budget = budget ?? this.budget;
  }

  /**
   * Show the counters as they will be once everything on its way has arrived.
   * @param {number} done acts not acknowledged yet @param {number} paid labels among them
   * @param {number|null} rate labels a minute
   */
  show(done, paid, rate) {
    this.showQueue(done);
    this.showBudget(paid);
    setText(this.refs.rate, rate == null ? "–" : number(Math.round(rate)));
    reserve(this.refs.rate, "999");
  }

  showQueue(onTheirWay) {
    const { queue, refs } = this;
    const known = Boolean(queue?.total);
    const done = known ? Math.min(queue.total, Math.max(0, queue.done + onTheirWay)) : 0;
    const share = known ? done / queue.total : 0;
    refs.fill.style.transform = `scaleX(${share})`;
    refs.progress.setAttribute("aria-valuemax", String(queue?.total ?? 0));
    refs.progress.setAttribute("aria-valuenow", String(done));
    const text = known ? `${number(done)} of ${number(queue.total)}` : "–";
    refs.progress.setAttribute("aria-valuetext", known ? `${text} in this queue` : "no queue");
    setText(refs.queue, text);
    reserve(refs.queue, `${number(queue?.total ?? 0)} of ${number(queue?.total ?? 0)}`);
  }

  showBudget(paid) {
    const { budget, refs } = this;
    if (!budget) return;
    const limited = budget.left != null;
    const left = limited ? Math.max(0, budget.left - paid * budget.price) : null;
    setText(refs.budget, number(limited ? left : budget.spent + paid * budget.price));
    reserve(refs.budget, number(limited ? budget.total : 9_999));
    setText(refs.budgetWord, limited ? "left" : "spent");
    setText(refs.budgetLong, limited ? "budget " : "");
    const low = limited && budget.total > 0 && left / budget.total < 0.1;
    refs.budgetFact.classList.toggle("low", low);
    setShown(refs.budgetFact, true);
  }
}

/** Keep room for the widest text, so that nothing beside it moves as numbers change. */
function reserve(node, widest) {
  const width = `${widest.length}ch`;
  if (node.style.minWidth !== width) node.style.minWidth = width;
}
