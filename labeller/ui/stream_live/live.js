// The counts of a run, asked of the API every second: the page itself is not drawn again for them.
const EVERY_MS = 1000;
const COUNTS = ["asked", "accepted", "deferred"];
const digits = new Intl.NumberFormat("en-US");

class Live {
  constructor(root) {
    this.root = root;
    this.timer = null;
  }

  draw(data) {
    const other = data.job !== this.data?.job || data.run !== this.data?.run;
    this.data = data;
    this.show(data, data.note);
    if (!other) return;
    clearTimeout(this.timer);
    if (data.job !== null) this.timer = setTimeout(() => this.tick(data.job), EVERY_MS);
  }

  /** Ask once, and again in a second while the job goes on and the component is on the page. */
  async tick(job) {
    const answer = document.hidden ? null : await this.ask(job).catch(() => null);
    if (!this.root.isConnected || this.data.job !== job) {
      if (this.data.job === job) this.data = { ...this.data, job: undefined }; // drawn again: ask again
      return;
    }
    if (answer) this.take(answer);
    if (!answer || ["waiting", "running"].includes(answer.state)) {
      this.timer = setTimeout(() => this.tick(job), EVERY_MS);
    }
  }

  async ask(job) {
    const headers = { Authorization: `Bearer ${this.data.token}` };
    const answer = await fetch(`${this.data.api}jobs/${job}`, { headers });
    return answer.ok ? answer.json() : null;
  }

  /** The run counts everything that ever passed; the job's numbers are the run's. */
  take({ state, stage, detail }) {
    const running = state === "running";
    if (!COUNTS.every((name) => Number.isFinite(detail[name]))) {
      const what = stage === "start" || !stage ? "Starting …" : "Predicting new images first …";
      if (running) this.part("note").textContent = what;
      return;
    }
    const passed = COUNTS.reduce((sum, name) => sum + detail[name], 0);
    const before = COUNTS.reduce((sum, name) => sum + this.data[name], 0);
    if (passed < before) return; // what the page was drawn with is newer
    const known = stage === "stream" && Number.isFinite(detail.total);
    const left = Math.max(0, known ? detail.total - passed : before + this.data.left - passed);
    const rate = detail.rate >= 1 ? `${digits.format(Math.round(detail.rate))} images a second` : "";
    this.show({ ...detail, left }, running ? rate : this.data.note);
  }

  show(numbers, note) {
    const passed = COUNTS.reduce((sum, name) => sum + numbers[name], 0);
    const share = 100 * passed / Math.max(1, passed + numbers.left);
    for (const name of [...COUNTS, "left"]) this.part(name).textContent = digits.format(numbers[name]);
    this.part("bar").setAttribute("aria-valuenow", share.toFixed(0));
    this.part("bar").firstElementChild.style.width = `${share}%`;
    this.part("note").textContent = note;
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
