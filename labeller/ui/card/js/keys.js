/**
 * Keys: one press, one action, wherever the focus is, except where a person types or a control
 * needs the key itself. A key that stays down never labels faster than the project's interval.
 * Which key does what is in the table of keys (labeller/ui/keys), which stands before this script.
 */
import { origin } from "./dom.js";

const OPEN_ELSEWHERE = "[role=dialog],[role=alertdialog],[role=menu],[role=listbox]";
const ACTIVATED = "button,a[href],summary,select,[role=button],[role=tab],[role=checkbox],[role=switch]";
const MOVED = "input,[role=slider],[role=radio],[role=tab],[role=separator]";
const MODIFIERS = new Set(["Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock"]);
/** A keyboard that repeats by releasing and pressing again does it faster than any finger. */
const BOUNCE_MS = 15;

export class Keys {
  /**
   * @param {HTMLElement} card
   * @param {{classKey: Function, command: Function, busy: () => boolean}} actions
   */
  constructor(card, actions) {
    this.card = card;
    this.actions = actions;
    this.interval = 150;
    this.actedAt = -Infinity;
    this.down = new Set();
    this.releasedAt = new Map();
    this.byPointer = false;
    this.ending = new AbortController();
    const { signal } = this.ending;
    const early = { capture: true, signal };
    addEventListener("keydown", (event) => this.pressed(event), early);
    addEventListener("keyup", (event) => this.released(event), early);
    addEventListener("blur", () => this.down.clear(), { signal });
    addEventListener("pointerdown", (event) => this.pointed(event), early);
  }

  /** Whether some key stays down: clicks count as held then, too. */
  get holding() {
    return [...this.down].some((code) => code !== this.fresh);
  }

  /** @param {boolean} held @returns {boolean} whether an action now would be a spray of a held key */
  tooSoon(held) {
    return held && performance.now() - this.actedAt < this.interval;
  }

  /** Remember that something was done just now. */
  acted() {
    this.actedAt = performance.now();
  }

  pressed(event) {
    if (event.key === "Tab") this.byPointer = false;
    if (MODIFIERS.has(event.key)) return;
    if (event.isComposing || event.defaultPrevented || this.actions.busy()) return;
    const held = event.repeat || this.bounced(event);
    const others = this.down.size > 0 && !this.down.has(event.code);
    this.down.add(event.code);
    this.fresh = event.repeat ? null : event.code; // what it presses now is not held yet
    setTimeout(() => (this.fresh = null), 0);
    const target = origin(event);
    if (this.belongsElsewhere(event, target)) return;
    if (this.act(event, held || others)) this.take(event, target);
  }

  released(event) {
    this.down.delete(event.code);
    this.releasedAt.set(event.code, event.timeStamp);
    // Firefox presses a focused button when Space is released.
    if (event.key === " " && this.taken) event.preventDefault();
    this.taken = false;
  }

  bounced({ code, timeStamp }) {
    return timeStamp - (this.releasedAt.get(code) ?? -Infinity) < BOUNCE_MS;
  }

  /** The key was ours: nobody else acts on it, and a button clicked before does not either. */
  take(event, target) {
    event.preventDefault();
    event.stopImmediatePropagation();
    this.taken = event.key === " ";
    if (this.byPointer && target instanceof HTMLElement && target.matches(ACTIVATED)) target.blur();
  }

  /** @returns {boolean} whether the key means something here */
  act(event, held) {
    const altGraph = event.getModifierState?.("AltGraph");
    const plain = altGraph || !(event.ctrlKey || event.metaKey || event.altKey);
    const key = plain && classKeyOf(event);
    if (key && this.actions.classKey(key, held)) return true;
    const command = commandOf(event, "label");
    return command ? this.actions.command(command, held) !== false : false;
  }

  belongsElsewhere(event, target) {
    if (!(target instanceof Element) || target === document.body) return false;
    if (isTyping(target)) return true;
    const inCard = this.card.contains(target);
    if (!inCard && target.closest(OPEN_ELSEWHERE)) return true;
    const { key } = event;
    if (key === " " || key === "Enter") {
      const boxed = target.matches("input[type=checkbox],input[type=radio]");
      return (boxed || Boolean(target.closest(ACTIVATED))) && !this.byPointer;
    }
    const moves = key.startsWith("Arrow") || ["Home", "End", "PageUp", "PageDown"].includes(key);
    return moves && (target.matches(MOVED) || (!inCard && target.closest("[data-testid=stSidebar]")));
  }

  /** A click in the card brings the keys back from wherever the focus was. */
  pointed(event) {
    this.byPointer = true;
    const target = origin(event);
    if (!(target instanceof Element) || !this.card.contains(target)) return;
    if (target.closest("input,textarea,dialog")) return;
    if (event.pointerType === "mouse") event.preventDefault();
    this.card.focus({ preventScroll: true });
  }

  close() {
    this.ending.abort();
  }
}
