/**
 * One light question a second for the whole page: which queue there is, and how far it and the
 * budget are. Whoever shows any of it listens here, so that no two places tell different things.
 * Parts of a page have scripts of their own: what they share lies in the window.
 */
const PULSE_MS = 1_000;
const PULSE_HIDDEN_MS = 20_000; // nobody looks; what was missed comes with the first look
const PULSE_AWAY_MS = 5_000; // the server does not answer

class Pulse {
  constructor() {
    this.listeners = [];
    this.at = 0;
    document.addEventListener("visibilitychange", () => document.hidden || this.beat());
  }

  /**
   * @param {{ask: () => Promise<object>, hear: (answer: object) => void}} listener
   * @returns {() => void} ends it
   */
  join(listener) {
    this.listeners.push(listener);
    if (this.listeners.length === 1) this.later(PULSE_MS);
    return () => {
      this.listeners = this.listeners.filter((other) => other !== listener);
      if (!this.listeners.length) clearTimeout(this.timer);
    };
  }

  /** Tell all others what one has heard by its own requests; older news is none. */
  tell(answer, from = null) {
    if (!(answer?.at >= this.at)) return;
    this.at = answer.at;
    for (const listener of this.listeners) if (listener !== from) listener.hear(answer);
  }

  async beat() {
    clearTimeout(this.timer);
    if (this.asking || !this.listeners.length) return;
    this.asking = true;
    const answer = await this.listeners.at(-1).ask().catch(() => null);
    this.asking = false;
    this.tell(answer);
    const usual = document.hidden ? PULSE_HIDDEN_MS : PULSE_MS;
    this.later(answer ? usual : Math.max(usual, PULSE_AWAY_MS));
  }

  later(milliseconds) {
    clearTimeout(this.timer);
    if (this.listeners.length) this.timer = setTimeout(() => this.beat(), milliseconds);
  }
}

/** The pulse of a project in this window. */
function pulseOf(project) {
  const pulses = (globalThis.__labellerPulses ??= new Map());
  if (!pulses.has(project)) pulses.set(project, new Pulse());
  return pulses.get(project);
}
