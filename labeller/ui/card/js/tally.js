/** Labels of each class: in this session, and in the whole project as far as it is known here. */

const REFRESH_MS = 60_000;

export class Tally {
  /**
   * @param {import("./transport.js").Transport} transport @param {string} annotator
   * @param {import("./outbox.js").Outbox} outbox
   * @param {(classes: object[]) => void} changed with the classes as they are on the server
   */
  constructor(transport, annotator, outbox, changed) {
    Object.assign(this, { transport, annotator, outbox, changed });
    this.session = new Map();
    this.totals = new Map();
    this.labelled = 0;
    this.timer = setInterval(() => document.hidden || this.fetch(), REFRESH_MS);
  }

  /** @param {import("./history.js").Act[]} acts those of this session so far */
  begin(acts) {
    for (const act of acts) this.count(this.session, act, 1);
    this.labelled = acts.filter((act) => act.kind === "label").length;
    this.fetch();
  }

  /** @param {import("./history.js").Act} act @param {1|-1} step */
  add(act, step) {
    if (act.kind === "label") this.labelled += step;
    this.count(this.session, act, step);
    this.count(this.totals, act, step);
  }

  count(counts, { kind, classId }, step) {
    if (kind === "label") counts.set(classId, Math.max(0, (counts.get(classId) ?? 0) + step));
  }

  /** Others label too: take the server's numbers, and add what is still on its way. */
  async fetch() {
    const classes = await this.transport.get(this.annotator, "classes").catch(() => null);
    if (!classes || this.closed) return;
    this.totals = new Map(classes.map(({ id, labels }) => [id, labels]));
    for (const { about } of this.outbox.entries) {
      const undo = about.kind === "undo" && about.classId !== null;
      this.count(this.totals, { ...about, kind: undo ? "label" : about.kind }, undo ? -1 : 1);
    }
    this.changed(classes);
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
  }
}
