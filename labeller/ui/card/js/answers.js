/** What the card does when the server has answered: counters, refusals, another queue. */

export class Answers {
  /** @param {import("./card.js").Card} card */
  constructor(card) {
    this.card = card;
    this.round = this.version = undefined;
    this.pulse = pulseOf(card.data.project.id);
    const ask = () => card.transport.get(card.data.annotator, "queue/version");
    this.listener = { ask, hear: (answer) => this.heard(answer) };
    this.leave = this.pulse.join(this.listener);
  }

  /** What the page asks every second; while acts are on their way the counters lag behind them. */
  heard(answer) {
    const { card } = this;
    if (card.closed || !card.supply || this.version === undefined) return;
    if (answer.version !== this.version || !card.outbox.sendable.length) this.take(answer);
  }

  close() {
    this.leave();
  }

  /** The list of items changed, or an answer brought new counters. */
  supplied(answer) {
    const { card } = this;
    if (answer) this.metered(answer);
    if (!card.current || !card.canvasShows(card.current)) card.show();
    else card.focusImages();
    card.renderSoon();
  }

  /** @param {object} answer with the counters that every answer carries */
  metered(answer) {
    this.pulse.tell(answer, this.listener);
    this.take(answer);
  }

  take(answer) {
    const { card } = this;
    if (answer.at < this.at) return; // a later one was faster
    const shrunk = card.meters.queue && answer.queue.total < card.meters.queue.total;
    const replaced = this.round !== undefined && answer.round !== this.round;
    const changed = this.version !== undefined && answer.version !== this.version;
    Object.assign(this, { round: answer.round, version: answer.version, at: answer.at });
    card.meters.set(answer);
    if (shrunk || replaced || changed) {
      if (replaced) card.say(`A new queue is here: round ${answer.round}.`);
      card.tally.fetch();
      card.supply?.claimNow();
    }
    card.renderSoon();
  }

  /** One event has arrived; what was refused comes back to the person. */
  acknowledged({ about, event, session }, result) {
    const { card } = this;
    card.supply.acknowledged(about.item.item);
    if (result.status === "second_opinion" && !about.item.again) {
      card.say(`${about.item.name} had a label already; yours is kept as a second opinion.`);
    }
    if (result.status !== "refused") return;
    const name = card.classList.byId?.get(about.classId)?.name;
    card.banner.refuse(card.panel.what(about, name), result.reason ?? "not taken");
    if (session !== card.session) return; // left by a tab that is gone
    if (about.kind === "undo") {
      card.history.dropUndone(event.undoes);
      return;
    }
    const act = card.history.remove(event.key);
    if (act) card.tally.add(act, -1);
    card.supply.putBack(about.item);
    card.show();
    card.tally.fetch();
    card.supply.claimNow(); // there is more to know: budget, classes, leases
  }

  outboxChanged() {
    const { card } = this;
    if (!card.outbox.sendable.length && !card.current) card.supply?.claimNow();
    card.renderSoon();
  }
}
