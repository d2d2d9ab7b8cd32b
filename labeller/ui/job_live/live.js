// The counts of a job, asked of the API every second: the page is not drawn again for them.
const EVERY_MS = 1000;
const digits = new Intl.NumberFormat("en-US");

class Live {
  constructor(root) {
    this.root = root;
  }

  draw(data) {
    const other = data.job !== this.data?.job;
    this.data = data;
    if (!other) return;
    this.fill(data.counts);
    this.show(data.first);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tick(data.job), EVERY_MS);
  }

  /** Make a place for each number, and one for what is still to come. */
  fill(counts) {
    const left = { name: "left", title: "Still to come", ink: "var(--st-border-color)" };
    this.part("numbers").replaceChildren(...[...counts, left].map(({ name, title, ink }) => {
      const made = document.createElement("div");
      made.style.setProperty("--ink", ink);
      const [term, number] = ["dt", "dd"].map((tag) => document.createElement(tag));
      term.textContent = title;
      number.dataset.ref = name;
      made.append(term, number);
      return made;
    }));
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
    for (const { name } of this.data.counts) {
      this.part(name).textContent = digits.format(detail[name] ?? 0);
    }
    const on = stage === this.data.stage;
    const { done, total, rate } = detail;
    this.part("left").textContent = on && total ? digits.format(Math.max(0, total - done)) : "–";
    const share = Math.min(100, 100 * progress);
    this.part("bar").setAttribute("aria-valuenow", share.toFixed(0));
    this.part("bar").firstElementChild.style.width = `${share}%`;
    const pace = rate >= 1 ? `${digits.format(Math.round(rate))} ${this.data.noun} a second` : "";
    const now = on ? pace : this.data.stages[stage] ?? "";
    this.part("note").textContent = state === "waiting" ? "Waiting to start" : now;
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
