// Verdicts on their way to the API: in their order, sent again until they have arrived.
const RETRY_MS = 2000;
const SENT = 50;

class Refused extends Error {}

class VerdictOutbox {
  constructor(ask, notice) {
    Object.assign(this, { ask, notice, waiting: [], failing: false });
  }

  get length() {
    return this.waiting.length;
  }

  /** `own` keeps what somebody else has said since: for undo and redo. */
  send(synthetic, verdict, own = false) {
    this.waiting.push({ synthetic, verdict, own });
    this.flush();
  }

  flush() {
    this.flushing ??= this.post().finally(() => {
      this.flushing = null;
      if (this.waiting.length) this.flush();
    });
    return this.flushing;
  }

  async sent() {
    while (this.waiting.length) await this.flush();
  }

  async post() {
    const verdicts = this.waiting.slice(0, SENT);
    if (!verdicts.length) return;
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ verdicts });
    try {
      const sent = await this.ask("synthetic/verdicts", { method: "POST", headers, body, keepalive: true });
      const { others } = await sent.json();
      if (others.length) this.notice("Somebody else has judged this item since: that stays as it is.");
      else if (this.failing) this.notice("");
      this.failing = false;
    } catch (error) {
      if (!(error instanceof Refused)) {
        this.failing = true;
        this.notice(`${this.waiting.length} not saved yet (${error.message}). It is tried again.`);
        await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
        return;
      }
      this.notice(`Not taken: ${error.message}`);
    }
    this.waiting.splice(0, verdicts.length);
  }
}
