/**
 * The class list: a button for each class with its key, colour and counts; with many classes a box
 * to find one by typing.
 */
import { el, number, safeColour, setShown, setText } from "./dom.js";

const FILTER_FROM = 21;
const FLASH_MS = 500;

/** @typedef {{id: number, name: string, key: string|null, colour: string}} ClassInfo */

export class ClassList {
  /**
   * @param {Record<string, HTMLElement>} refs
   * @param {(id: number) => void} choose called when a class is clicked or picked in the box
   */
  constructor(refs, choose) {
    this.refs = refs;
    this.choose = choose;
    /** @type {ClassInfo[]} */
    this.classes = [];
    this.rows = new Map();
    this.totals = new Map();
    this.session = new Map();
    this.selected = 0;
    this.found = [];
    refs.filter.addEventListener("input", () => this.search());
    refs.filter.addEventListener("keydown", (event) => this.key(event));
    refs.filter.addEventListener("blur", () => this.mark(-1));
    refs.filter.addEventListener("focus", () => this.mark(0));
  }

  /** @param {ClassInfo[]} classes in their order */
  set(classes) {
    const same = JSON.stringify(classes) === JSON.stringify(this.classes);
    if (same && this.rows.size) return;
    this.classes = classes;
    this.byKey = new Map(classes.filter((c) => c.key).map((c) => [c.key.toLowerCase(), c]));
    this.byId = new Map(classes.map((c) => [c.id, c]));
    this.rows = new Map(classes.map((info) => [info.id, this.row(info)]));
    this.refs.classes.replaceChildren(...[...this.rows.values()].map((row) => row.item));
    setShown(this.refs.filterBox, classes.length >= FILTER_FROM);
    this.refs.card.classList.toggle("many", classes.length >= FILTER_FROM);
    this.search();
    this.showCounts();
  }

  row(info) {
    const key = info.key ? el("kbd", { "aria-hidden": "true" }, info.key.toUpperCase()) : null;
    const name = el("span", { class: "class-name" }, info.name);
    const counts = el("span", { class: "class-counts" });
    const button = el(
      "button",
      { type: "button", class: "class", title: info.name, "aria-keyshortcuts": info.key },
      el("span", { class: "class-key" }, key),
      el("span", { class: "dot" }),
      name,
      counts,
    );
    button.style.setProperty("--class-colour", safeColour(info.colour));
    button.addEventListener("click", () => this.choose(info.id));
    return { item: el("li", {}, button), button, counts, text: info.name.toLowerCase() };
  }

  /** @param {Map<number, number>} totals labels in the project @param {Map<number, number>} session here */
  counts(totals, session) {
    this.totals = totals;
    this.session = session;
    this.showCounts();
  }

  showCounts() {
    for (const [id, { counts, button }] of this.rows) {
      const here = this.session.get(id) ?? 0;
      const all = Math.max(this.totals.get(id) ?? 0, here);
      setText(counts, here ? `${number(here)} / ${number(all)}` : number(all));
      const name = this.byId.get(id).name;
      const label = `${name}, ${here} in this session, ${all} in all`;
      if (button.getAttribute("aria-label") !== label) button.setAttribute("aria-label", label);
    }
  }

  /** Mark the class that the model suggests. @param {number|null} id */
  suggest(id) {
    if (id === this.suggested) return;
    this.rows.get(this.suggested)?.button.classList.remove("suggested");
    this.rows.get(id)?.button.classList.add("suggested");
    this.suggested = id;
  }

  /** Show which class was just given. */
  flash(id) {
    const lit = "color-mix(in srgb, var(--class-colour) 25%, var(--back))";
    this.rows.get(id)?.button.animate([{ backgroundColor: lit }, {}], { duration: FLASH_MS });
  }

  get filtering() {
    return !this.refs.filterBox.hidden;
  }

  focusFilter() {
    if (!this.filtering) return;
    this.refs.filter.focus();
    this.refs.filter.select();
  }

  /** Names that begin with what is typed come before those that only hold it. */
  search() {
    const text = this.refs.filter.value.trim().toLowerCase();
    const hits = this.classes.filter(({ id }) => this.rows.get(id).text.includes(text));
    const begins = ({ id }) => (this.rows.get(id).text.startsWith(text) ? 0 : 1);
    this.found = text ? hits.sort((a, b) => begins(a) - begins(b)) : hits;
    const shown = new Set(this.found.map(({ id }) => id));
    for (const [id, { item }] of this.rows) setShown(item, shown.has(id));
    if (text) this.refs.classes.append(...this.found.map(({ id }) => this.rows.get(id).item));
    else this.refs.classes.append(...[...this.rows.values()].map(({ item }) => item));
    setShown(this.refs.noMatch, this.classes.length > 0 && !this.found.length);
    this.mark(this.typing ? 0 : -1);
  }

  /** Whether the box has the focus (inside a shadow root the document does not know). */
  get typing() {
    return this.refs.filter.getRootNode().activeElement === this.refs.filter;
  }

  /** Select a found class; -1 for none. */
  mark(at) {
    this.selected = at;
    for (const { button } of this.rows.values()) button.classList.remove("selected");
    const chosen = this.found[at];
    const row = chosen && this.rows.get(chosen.id);
    row?.button.classList.add("selected");
    if (row && this.typing) row.button.scrollIntoView({ block: "nearest" });
    setText(this.refs.matches, this.typing && chosen ? this.spoken(chosen) : "");
  }

  spoken(chosen) {
    return `${this.found.length} of ${this.classes.length} classes; Enter labels ${chosen.name}`;
  }

  key(event) {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.found.length) {
      this.mark((this.selected + step + this.found.length) % this.found.length);
    } else if (event.key === "Enter") {
      const chosen = this.found[this.selected];
      if (chosen && !event.repeat) {
        this.refs.filter.value = "";
        this.choose(chosen.id);
        this.search();
      }
    } else if (event.key === "Escape") {
      this.refs.filter.value = "";
      this.search();
      this.refs.card.focus({ preventScroll: true });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
