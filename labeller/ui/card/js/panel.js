/** Everything around the image: buttons, name, suggestion, and keeping all of it up to date. */
import { percent, safeColour, setShown, setText } from "./dom.js";
import { closeConnectionDialogs, topOf } from "./host.js";

const PAN_PIXELS = 80;
const ZOOM_STEP = 1.35;
const NOTE_MS = 2_600;
const NOTE_CHARACTER_MS = 60; // time to read it
const GIVEN_MS = 1_000;

export class Panel {
  /** @param {import("./card.js").Card} card */
  constructor(card) {
    this.card = card;
    this.refs = card.refs;
    const { refs } = this;
    const held = () => card.keys.holding;
    const buttons = {
      accept: () => card.accept(held()),
      skip: () => this.command("skip", held()),
      flag: () => this.command("flag", held()),
      undo: () => card.undo(held()),
      redo: () => card.redo(held()),
      helpOpen: () => this.command("help"),
      zoomIn: () => this.command("zoomIn"),
      zoomOut: () => this.command("zoomOut"),
      fit: () => this.command("fit"),
      actual: () => this.command("actual"),
      adjust: () => this.showLight(refs.light.hidden),
      resetLight: () => this.resetLight(),
      failedRetry: () => this.retryImage(),
    };
    for (const [name, work] of Object.entries(buttons)) refs[name].addEventListener("click", work);
    for (const slider of [refs.brightness, refs.contrast]) {
      slider.addEventListener("input", () => this.setLight());
    }
    refs.light.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.showLight(false);
    });
    // Inside a shadow root the page's own shortcuts do not see that a person is typing.
    refs.card.addEventListener("keydown", (event) => event.stopPropagation());
    this.place();
  }

  /** Follow the window, the network and the page's life until `signal`. */
  listen(signal) {
    const { card } = this;
    const on = (target, name, work) => target.addEventListener(name, work, { signal, passive: true });
    on(window, "resize", () => this.place());
    on(window, "online", () => card.tryNow());
    on(window, "pagehide", () => card.supply.release());
    on(window, "pageshow", (event) => event.persisted && card.tryNow());
    on(document, "visibilitychange", () => document.hidden || card.supply.claimNow());
    for (const name of ["keydown", "pointerdown", "pointermove", "wheel"]) {
      on(window, name, () => card.supply.seen());
    }
    closeConnectionDialogs(signal, () => card.supply.claimNow());
    this.place();
    if (document.activeElement === document.body) this.refs.card.focus({ preventScroll: true });
  }

  /** Fill the window from where the card begins down to its lower edge. */
  place() {
    this.refs.card.style.setProperty("--top", `${topOf(this.refs.card)}px`);
  }

  /** @param {string} name @param {boolean} held @returns {boolean|void} false: not for us */
  command(name, held = false) {
    const { card } = this;
    const { stage } = card;
    switch (name) {
      case "accept":
        return card.accept(held);
      case "undo":
        return card.undo(held);
      case "redo":
        return card.redo(held);
      case "skip":
        return this.skip(held);
      case "flag":
        return card.current ? card.dialogs.showFlag() : false;
      case "help":
        return card.dialogs.showHelp();
      case "filter":
        return card.classList.filtering ? card.classList.focusFilter() : false;
      case "zoomIn":
        return stage.zoom(ZOOM_STEP);
      case "zoomOut":
        return stage.zoom(1 / ZOOM_STEP);
      case "fit":
        return stage.fit();
      case "actual":
        return stage.actual();
      default:
        return this.pan(name);
    }
  }

  skip(held) {
    if (!this.card.keys.tooSoon(held)) this.card.act("skip");
  }

  pan(name) {
    const { stage } = this.card;
    if (!stage.pannable) return false;
    const dx = { panLeft: 1, panRight: -1 }[name] ?? 0;
    const dy = { panUp: 1, panDown: -1 }[name] ?? 0;
    return stage.pan(dx * PAN_PIXELS, dy * PAN_PIXELS);
  }

  /** Name, suggestion and failure of the current item; called at each key press, so it is short. */
  describe(item, held) {
    const { refs, card } = this;
    const { state } = held ?? {};
    const seen = state === "ready"; // an image that is not on screen yet has no name and no suggestion
    const suggestion = seen ? item.suggestion : null;
    const suggested = suggestion && card.classList.byId?.get(suggestion.class);
    const name = seen || state === "failed" ? item.name : "";
    setText(refs.name, name);
    refs.name.title = name;
    setText(refs.suggested, suggested ? suggested.name : seen ? "No suggestion" : "");
    setText(refs.confidence, suggested ? percent(suggestion.confidence ?? 0) : "");
    setShown(refs.suggestedWord, Boolean(suggested));
    refs.accept.disabled = !suggested;
    refs.accept.style.setProperty("--class-colour", safeColour(suggested?.colour));
    card.classList.suggest(suggested ? suggested.id : null);
    refs.skip.disabled = refs.flag.disabled = !item;
    setShown(refs.loading, Boolean(item) && !seen && state !== "failed");
    setShown(refs.failed, state === "failed");
    setText(refs.failedText, state === "failed" ? held.reason : "");
    if (item) card.empty.hide();
    else this.describeEmpty();
  }

  describeEmpty() {
    const { card } = this;
    const { supply, meters, outbox } = card;
    const { budget, queue } = meters;
    const sending = outbox.sendable.length > 0;
    if (supply?.empty && !sending) {
      card.empty.show(supply.empty, { session: card.tally.labelled, budget, queue });
    } else card.empty.wait(sending ? "Sending the last labels…" : "Fetching images…");
  }

  render() {
    const { card } = this;
    const { outbox, history, supply, tally } = card;
    const ours = outbox.sendable;
    const step = ({ kind }) => (kind === "undo" ? -1 : 1);
    const done = ours.reduce((sum, { about }) => sum + step(about), 0);
    const paying = ours.filter(({ about }) => about.classId !== null);
    const paid = paying.reduce((sum, { about }) => sum + step(about), 0);
    card.meters.show(done, paid, history?.rate() ?? null);
    card.classList.counts(tally.totals, tally.session);
    card.recent.show(history?.latest(8) ?? [], (act) => this.summary(act));
    const failing = (supply?.failures ?? 0) > 0;
    card.banner.show(outbox, failing || card.images.away, failing ? supply.problem : "");
    this.refs.undo.disabled = !history?.length;
    this.refs.redo.disabled = !history?.undone.length;
    setText(this.refs.recentNone, history?.length ? "" : "Your latest labels appear here.");
    if (!card.current) this.describeEmpty();
  }

  /** @returns {{text: string, colour: string}} an act in a word */
  summary({ kind, classId }) {
    const info = this.card.classList.byId?.get(classId);
    if (kind === "label") return { text: info?.name ?? "label", colour: info?.colour ?? "" };
    return { text: kind === "skip" ? "Skipped" : "Flagged", colour: "" };
  }

  /** What was sent, in words. */
  what({ kind, item }, className) {
    const verb = { label: `as ${className ?? "a class"}`, skip: "skipped", flag: "flagged" }[kind];
    return kind === "undo" ? `Undo for ${item.name}` : `${item.name} ${verb}`;
  }

  /** Confirm an act on screen and aloud. */
  confirm(act) {
    const { text, colour } = this.summary(act);
    const { refs } = this;
    setText(refs.givenText, text);
    refs.given.style.setProperty("--class-colour", safeColour(colour));
    this.fading?.cancel();
    this.fading = refs.given.animate({ opacity: [1, 1, 0] }, { duration: GIVEN_MS, easing: "ease-out" });
    const next = this.card.current ? ` Next: ${this.card.current.name}.` : "";
    setText(refs.live, `${text}.${next}`);
  }

  /** A short note that goes by itself. */
  note(text) {
    const { refs } = this;
    setText(refs.noteText, text);
    setShown(refs.note, true);
    clearTimeout(this.noteTimer);
    const long = Math.max(NOTE_MS, text.length * NOTE_CHARACTER_MS);
    this.noteTimer = setTimeout(() => setShown(refs.note, false), long);
  }

  showLight(shown) {
    setShown(this.refs.light, shown);
    this.refs.adjust.setAttribute("aria-expanded", String(shown));
    if (shown) this.refs.brightness.focus();
  }

  setLight() {
    const { brightness, contrast } = this.refs;
    setText(this.refs.brightnessValue, `${brightness.value}\u202f%`);
    setText(this.refs.contrastValue, `${contrast.value}\u202f%`);
    this.card.stage.setLight(Number(brightness.value), Number(contrast.value));
  }

  resetLight() {
    this.refs.brightness.value = this.refs.contrast.value = "100";
    this.setLight();
  }

  retryImage() {
    const { card } = this;
    if (!card.current) return;
    card.images.again(card.current);
    card.show();
  }
}
