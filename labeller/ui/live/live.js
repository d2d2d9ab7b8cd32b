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
    if (other) this.fill(data.counts);
    this.show(data.first);
    if (!other) return;
    clearTimeout(this.timer);
    if (data.job !== null) this.timer = setTimeout(() => this.tick(data.job), EVERY_MS);
  }

  /** Make a place for each number, and one for what is still to come. */
  fill(counts) {
    const left = { name: "left", title: "Still to come", ink: "var(--st-border-color)" };
    this.shown = 0;
    this.part("numbers").replaceChildren(...[...counts, left].map(({ name, title, ink }) => {
      const made = document.createElement("div");
      made.style.setProperty("--ink", ink);
      const [term, number] = ["dt", "dd"].map((tag) => document.createElement(tag));
      term.textContent = title;
      number.dataset.ref = name;
      number.textContent = name === "left" ? "–" : "0";
      made.append(term, number);
      return made;
    }));
  }

  /** Ask once, and again in a second while the job goes on and the component is on the page. */
  async tick(job) {
    const answer = document.hidden ? null : await this.ask(job).catch(() => null);
    if (!this.root.isConnected || this.data.job !== job) {
      if (this.data.job === job) this.data = { ...this.data, job: undefined }; // drawn again: ask again
      return;
    }
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

  /** Show what is known of the job; what is older than what is shown already is left out. */
  show({ state, stage, progress, detail, cancel_requested: stopping }) {
    const names = this.data.counts.map(({ name }) => name);
    if (names.every((name) => Number.isFinite(detail[name]))) {
      const sum = names.reduce((total, name) => total + detail[name], 0);
      if (sum < this.shown) return;
      this.shown = sum;
      for (const name of names) this.part(name).textContent = digits.format(detail[name]);
    }
    const { done, total, rate } = detail;
    const on = stage === this.data.stage && Number.isFinite(total);
    if (on) this.part("left").textContent = digits.format(Math.max(0, total - done));
    if (this.data.whole) this.fillBar(progress);
    else if (on) this.fillBar(done / Math.max(1, total));
    const pace = rate >= 1 ? `${digits.format(Math.round(rate))} ${this.data.noun} a second` : "";
    const going = on ? pace : this.data.stages[stage || "start"] ?? "";
    const note = state === "running" ? going : this.data.note;
    this.part("note").textContent = stopping ? "Stopping at the next safe place …" : note;
  }

  fillBar(part) {
    const share = Math.min(100, 100 * part);
    this.part("bar").setAttribute("aria-valuenow", share.toFixed(0));
    this.part("bar").firstElementChild.style.width = `${share}%`;
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
