// The counts of a synthesis run, asked of the API every second: the page is not drawn again for them.
const EVERY_MS = 1000;
const COUNTS = ["made", "unchanged", "failed"];
const digits = new Intl.NumberFormat("en-US");

class Live {
  constructor(root) {
    this.root = root;
  }

  draw(data) {
    const other = data.job !== this.data?.job;
    this.data = data;
    if (!other) return;
    this.show(data.first);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tick(data.job), EVERY_MS);
  }

  /** Ask once, and again in a second while the job goes on and the component is on the page. */
  async tick(job) {
    const answer = document.hidden ? null : await this.ask(job).catch(() => null);
    if (!this.root.isConnected || this.data.job !== job) return;
    if (answer) this.show(answer);
    if (!answer || ["waiting", "running"].includes(answer.state)) {
      this.timer = setTimeout(() => this.tick(job), EVERY_MS);
    }
  }

  async ask(job) {
    const headers = { Authorization: `Bearer ${this.data.token}` };
    const answer = await fetch(`${this.data.api}jobs/${job}`, { headers });
    return answer.ok ? answer.json() : null;
  }

  show({ state, stage, progress, detail }) {
    for (const name of COUNTS) this.part(name).textContent = digits.format(detail[name] ?? 0);
    const making = stage === this.data.making;
    const { done, total, rate } = detail;
    this.part("left").textContent = making && total ? digits.format(Math.max(0, total - done)) : "–";
    const share = Math.min(100, 100 * progress);
    this.part("bar").setAttribute("aria-valuenow", share.toFixed(0));
    this.part("bar").firstElementChild.style.width = `${share}%`;
    const pace = making && rate >= 1 ? `${digits.format(Math.round(rate))} items a second` : "";
    const before = making ? "" : this.data.stages[stage] ?? "";
    this.part("note").textContent = state === "waiting" ? "Waiting to start" : pace || before;
  }

  part(name) {
    return this.root.querySelector(`[data-ref=${name}]`);
  }
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".live");
  root.labellerLive ??= new Live(root);
  root.labellerLive.draw(data);
}
