// "Would this still be a …?": one synthetic item at a time beside its parent. A key is a verdict and
// the next item is there at once; verdicts go to the API behind the person's back, in their order.
// Every text goes in by textContent: names of files and classes are never read as HTML.
const AHEAD = 6; // pairs whose pictures are ready before they are needed
const BEHIND = 20; // pairs kept for undo
const FETCHED = 30;
const FLASH_MS = 120;
const ACTS = { accept: "keep", reject: "drop", skip: "skip", undo: "undo", redo: "redo" };
const ELSEWHERE = "[role=dialog],[role=alertdialog],[role=menu],[role=listbox]";

class Check {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(`[data-ref=${name}]`);
    this.ending = new AbortController();
    const { signal } = this.ending;
    addEventListener("keydown", (event) => this.key(event), { capture: true, signal });
    addEventListener("beforeunload", (event) => this.outbox.length && event.preventDefault(), { signal });
    for (const name of Object.values(ACTS)) {
      this.part(name).addEventListener("click", () => this.act(name));
    }
    this.part("helpOpen").addEventListener("click", () => this.part("help").showModal());
    this.part("helpClose").addEventListener("click", () => this.part("help").close());
    this.part("again").addEventListener("click", () => this.begin());
    this.outbox = new VerdictOutbox((...request) => this.ask(...request), (text) => this.notice(text));
  }

  /** Take what the page says; only another project, run or annotator begins anew. */
  draw(component) {
    const before = this.data;
    this.component = component;
    this.data = component.data;
    const same = ["api", "project", "annotator", "run"].every((name) => before?.[name] === this.data[name]);
    if (!same) this.begin();
    else if (before.token !== this.data.token) this.outbox.flush();
  }

  begin() {
    this.sitting = (this.sitting ?? 0) + 1;
    Object.assign(this, { queue: [], past: [], undone: [], pictures: new Map(), kept: 0, dropped: 0, skipped: 0 });
    Object.assign(this, { after: 0, left: null, more: true, loading: false });
    this.load();
    this.show();
  }

  async load() {
    if (this.loading || !this.more) return;
    this.loading = true;
    const { sitting } = this;
    try {
      // What is on its way would else come once more.
      if (this.after === 0) await this.outbox.sent();
      const run = this.data.run === null ? "" : `&run=${this.data.run}`;
      const answer = await this.ask(`synthetic?after=${this.after}&limit=${FETCHED}${run}`);
      const { items, left } = await answer.json();
      if (sitting !== this.sitting) return;
      if (this.left === null) this.left = left;
      this.more = items.length === FETCHED;
      this.after = items.at(-1)?.synthetic ?? this.after;
      this.queue.push(...items);
      this.notice("");
      this.loading = false;
    } catch (error) {
      if (sitting !== this.sitting) return;
      this.notice(`The server did not answer (${error.message}). It is asked again.`);
      setTimeout(() => {
        if (sitting !== this.sitting || !this.root.isConnected) return;
        this.loading = false;
        this.load();
      }, RETRY_MS);
    }
    this.show();
  }

  async ask(path, options = {}) {
    const headers = { ...options.headers, Authorization: `Bearer ${this.data.token}` };
    const answer = await fetch(`${this.data.api}${path}`, { ...options, headers });
    if (answer.ok) return answer;
    if (answer.status === 401) this.component.setTriggerValue("stale", this.sitting);
    const { detail } = await answer.json().catch(() => ({}));
    const passing = answer.status >= 500 || [401, 408, 425, 429].includes(answer.status);
    throw new (passing ? Error : Refused)(detail || `status ${answer.status}`);
  }

  /** A decoded image, or the reason why there is none. */
  picture(url, alt, side) {
    if (!this.pictures.has(url)) {
      const held = { node: null };
      held.done = this.ask(`${url}&size=card`).then(async (answer) => {
        const image = Object.assign(new Image(), { alt, draggable: false, className: side < 96 ? "small" : "" });
        image.src = URL.createObjectURL(await answer.blob());
        await image.decode();
        URL.revokeObjectURL(image.src);
        held.node = image;
      }).catch((error) => {
        held.node = Object.assign(document.createElement("span"), { className: "gone" });
        held.node.textContent = error.message;
      });
      this.pictures.set(url, held);
    }
    return this.pictures.get(url);
  }

  of(item) {
    return [
      this.picture(item.parent_image, "The image it was made of", Math.max(item.parent_width, item.parent_height)),
      this.picture(item.image, "The synthetic item", Math.max(item.width, item.height)),
    ];
  }

  /** Have the next pictures ready, and let go of those far behind. */
  prepare() {
    const near = [...this.past.slice(-BEHIND).map(({ item }) => item), ...this.queue.slice(0, AHEAD)];
    const wanted = new Set(near.flatMap((item) => [item.image, item.parent_image]));
    for (const url of this.pictures.keys()) if (!wanted.has(url)) this.pictures.delete(url);
    this.queue.slice(0, AHEAD).forEach((item) => this.of(item));
    if (this.queue.length < AHEAD) this.load();
  }

  show() {
    const item = this.queue[0];
    this.counts();
    this.prepare();
    const [parent, child] = item ? this.of(item) : [];
    const ready = Boolean(item && parent.node && child.node);
    const empty = !item && !this.loading && !this.more;
    this.root.dataset.state = ready ? "ready" : empty ? "empty" : "loading";
    this.part("empty").hidden = !empty;
    for (const name of ["keep", "drop", "skip"]) this.part(name).disabled = !ready;
    this.part("undo").disabled = !this.past.length;
    this.part("redo").disabled = !this.undone.length;
    if (empty) this.nothing();
    if (!item) {
      for (const side of ["parent", "child"]) this.part(side).replaceChildren(empty ? "" : spinner());
      return;
    }
    this.part("question").replaceChildren(`Would this still be ${/^[aeiou]/i.test(item.class) ? "an" : "a"} `,
      named(item.class), "?");
    this.part("parentName").textContent = `Made of ${item.parent_name}`;
    this.part("how").textContent = this.told(item);
    this.part("parent").replaceChildren(parent.node ?? spinner());
    this.part("child").replaceChildren(child.node ?? spinner());
    if (ready) this.root.dataset.shown = item.synthetic;
    else Promise.all([parent.done, child.done]).then(() => item === this.queue[0] && this.show());
  }

  /** `Shadow: factor 0.62, angle 120` */
  told({ recipe, parameters }) {
    const words = (text) => String(text).replaceAll("_", " ");
    const title = this.data.recipes[recipe] ?? words(recipe);
    const parts = Object.entries(parameters).map(([name, value]) =>
      `${this.data.parameters[name] ?? words(name)} `
      + (typeof value === "number" ? Number(value.toPrecision(3)) : words(value)));
    return parts.length ? `${title}: ${parts.join(", ")}` : title;
  }

  counts() {
    this.part("left").textContent = this.left === null ? "–" : this.left.toLocaleString("en-US");
    const parts = [["kept", this.kept], ["dropped", this.dropped], ["skipped", this.skipped]];
    this.part("sitting").textContent = parts.filter(([, n]) => n).map(([word, n]) => `· ${n} ${word}`).join(" ");
  }

  nothing() {
    this.part("question").textContent = "";
    this.part("emptyTitle").textContent = this.skipped ? "Only what you skipped is left." : "Nothing left to check.";
    this.part("emptyText").textContent = this.skipped
      ? "Unjudged items are learned from all the same."
      : "Kept items join the next round's training; dropped ones never do.";
    this.part("again").hidden = !this.skipped;
    this.part("again").textContent = `Show the ${this.skipped} skipped again`;
  }

  key(event) {
    if (!this.root.isConnected || event.repeat || event.isComposing || event.defaultPrevented) return;
    const target = event.composedPath()[0];
    const open = this.part("help").open;
    if (!open && target instanceof Element && (isTyping(target) || target.closest(ELSEWHERE))) return;
    const command = commandOf(event, "check");
    if (command === "help") this.part("help")[open ? "close" : "showModal"]();
    else if (open || !(this.classKey(event) || (ACTS[command] && this.act(ACTS[command])))) return;
    // The control that brought the person here would stay marked, and take the next Space.
    if (target instanceof HTMLElement && target !== document.body && !this.root.contains(target)) target.blur();
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  /** The key of its own class keeps an item; that of another says that it is of that one. */
  classKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const meant = this.data.classes[classKeyOf(event)];
    if (meant === undefined || !this.queue.length) return false;
    const own = meant === this.queue[0].class;
    if (!this.act(own ? "keep" : "drop")) return false;
    this.notice(own ? "" : `Dropped: you said ${meant}.`);
    return true;
  }

  /** @returns {boolean} whether there was something to do */
  act(name) {
    if (!this.outbox.failing) this.notice("");
    const done = name === "undo" ? this.undo() : name === "redo" ? this.redo() : this.say(name);
    if (!done) return false;
    const button = this.part(name);
    button.classList.add("pressed");
    setTimeout(() => button.classList.remove("pressed"), FLASH_MS);
    this.show();
    return true;
  }

  /** Nothing is judged before both pictures are on screen. */
  say(verdict) {
    if (this.root.dataset.state !== "ready") return false;
    this.undone = [];
    this.judge(this.queue.shift(), verdict);
    return true;
  }

  judge(item, verdict, own = false) {
    this.past.push({ item, verdict });
    this.tally(verdict, 1);
    if (verdict !== "skip") this.outbox.send(item.synthetic, verdict, own);
  }

  /** Say again what was taken back last, unless somebody else has judged it since. */
  redo() {
    const last = this.undone.pop();
    if (!last) return false;
    this.queue = this.queue.filter(({ synthetic }) => synthetic !== last.item.synthetic);
    this.judge(last.item, last.verdict, true);
    return true;
  }

  undo() {
    const last = this.past.pop();
    if (!last) return false;
    this.undone.push(last);
    this.queue.unshift(last.item);
    this.tally(last.verdict, -1);
    if (last.verdict !== "skip") this.outbox.send(last.item.synthetic, null, true);
    return true;
  }

  tally(verdict, by) {
    if (verdict === "skip") this.skipped += by;
    else {
      this.left -= by;
      if (verdict === "keep") this.kept += by;
      else this.dropped += by;
    }
  }

  notice(text) {
    this.part("notice").textContent = text;
    this.part("notice").hidden = !text;
  }

  close() {
    this.ending.abort();
  }
}

function named(text) {
  const made = document.createElement("span");
  made.className = "class";
  made.textContent = text;
  return made;
}

function spinner() {
  return Object.assign(document.createElement("span"), { className: "spinner" });
}

export default function (component) {
  const root = component.parentElement.querySelector("[data-ref=check]");
  root.labellerCheck ??= new Check(root);
  root.labellerCheck.draw(component);
  // A clean-up of an earlier call comes when a later one has taken over: then it is not the end.
  return () => setTimeout(() => root.isConnected || root.labellerCheck.close(), 0);
}
