/** The card: joins keys, images, items and the outbox into "one key is a label and the next image". */
import { Answers } from "./answers.js";
import { Banner } from "./banner.js";
import { ClassList } from "./classes.js";
import { Dialogs } from "./dialogs.js";
import { afterPaint, references, setText } from "./dom.js";
import { Empty } from "./empty.js";
import { Gestures } from "./gestures.js";
import { History } from "./history.js";
import { Images } from "./images.js";
import { Keys } from "./keys.js";
import { Meters } from "./meters.js";
import { outboxOf } from "./outbox.js";
import { Panel } from "./panel.js";
import { Recent } from "./recent.js";
import { tabSession } from "./session.js";
import { Stage } from "./stage.js";
import { newKey } from "./storage.js";
import { Supply } from "./supply.js";
import { Tally } from "./tally.js";
import { Transport } from "./transport.js";

const AHEAD = 12;
const BEHIND = 4;
const ASK_TOKEN_MS = 10_000;

/** One transport a project and page: its tokens outlive the card. */
const transports = new Map();

/** The notes told in this window: one that is shown again was told. */
const toldNotes = new Set();

export class Card {
  /**
   * @param {ParentNode} root @param {object} data what the page sends
   * @param {(name: string, value: unknown) => void} send tells the page's server something
   */
  constructor(root, data, send) {
    this.refs = references(root);
    this.data = data;
    this.send = send;
    this.closed = false;
    this.ending = new AbortController();
    const { refs } = this;
    const id = data.project.id;
    if (!transports.has(id)) transports.set(id, new Transport(data.api));
    this.transport = transports.get(id);
    this.transport.setToken(data.annotator, data.token, data.tokenSeconds);
    this.transport.onStale = (annotator) => this.askToken(annotator);
    this.outbox = outboxOf(id, this.transport);
    this.images = new Images(this.transport, data.annotator, (held) => this.imageChanged(held));
    this.stage = new Stage(refs, (item, signal) => this.images.full(item, signal));
    this.gestures = new Gestures(refs.stage, this.stage);
    this.classList = new ClassList(refs, (classId) => this.label(classId, this.keys.holding));
    const { transport, outbox } = this;
    this.tally = new Tally(transport, data.annotator, outbox, (classes) => this.counted(classes));
    this.meters = new Meters(refs);
    this.banner = new Banner(refs, () => this.tryNow());
    this.empty = new Empty(refs, (where) => this.go(where));
    this.dialogs = new Dialogs(refs, (reason) => this.act("flag", { reason }));
    this.recent = new Recent(refs.recent, this.images, (key) => this.takeBack(key));
    this.panel = new Panel(this);
    this.answers = new Answers(this);
    this.keys = new Keys(refs.card, {
      classKey: (key, held) => this.classKey(key, held),
      command: (name, held) => this.panel.command(name, held),
      busy: () => this.dialogs.open,
    });
    this.configure();
    this.start();
  }

  /** Take what the page sends again: a fresh token, changed classes or settings. */
  update(data, send) {
    this.data = data;
    this.send = send;
    if (this.transport.setToken(data.annotator, data.token, data.tokenSeconds)) this.tryNow();
    this.configure();
  }

  configure() {
    this.tell(this.data.notes ?? []);
    this.keys.interval = this.data.keyInterval;
    this.classList.set(this.data.classes);
  }

  /** What a toast says elsewhere, once; none lies over a button here. */
  tell(notes) {
    const news = notes.filter(([name]) => !toldNotes.has(name));
    for (const [name] of news) toldNotes.add(name);
    if (news.length) this.say(news.map(([, text]) => text).join(" "));
  }

  /** Somebody may have changed the classes meanwhile. */
  counted(classes) {
    this.classList.set(classes.map(({ id, name, key, colour }) => ({ id, name, key, colour })));
    this.renderSoon();
  }

  async start() {
    const { project, annotator, leaseSeconds } = this.data;
    this.show();
    const session = await tabSession(project.id, annotator);
    if (this.closed) return;
    this.session = session;
    this.history = new History(project.id, session);
    this.tally.begin(this.history.acts);
    const { transport, outbox } = this;
    const changed = (answer) => this.answers.supplied(answer);
    this.supply = new Supply({ transport, outbox, annotator, session, leaseSeconds, changed });
    outbox.attach(this.answers);
    await outbox.adopt(session);
    for (const { about } of outbox.entries) this.supply.done.set(about.item.item, Infinity);
    await outbox.settled; // what was done before the reload arrives before anything is claimed
    if (!this.closed) this.supply.claim();
    this.panel.listen(this.ending.signal);
    this.renderSoon();
  }

  get current() {
    return this.supply?.current ?? null;
  }

  /** The class of a key gets the current item. @returns {boolean} whether the key is a class's */
  classKey(key, held) {
    const found = this.classList.byKey?.get(key);
    if (found) this.label(found.id, held);
    return Boolean(found);
  }

  label(classId, held) {
    if (this.keys.tooSoon(held)) return;
    if (this.act("label", { classId })) afterPaint(() => this.classList.flash(classId));
  }

  /** Accept what the model suggests; blind items suggest nothing. */
  accept(held) {
    const suggestion = this.current?.suggestion;
    if (suggestion && this.classList.byId.has(suggestion.class)) this.label(suggestion.class, held);
    else if (this.current) this.say("No suggestion for this image.");
  }

  /**
   * Do something to the current image and show the next one: the way that must be fast.
   * @param {"label"|"skip"|"flag"} kind
   * @param {{classId?: number, reason?: string}} what
   * @returns {boolean} whether it was done
   */
  act(kind, { classId = null, reason = null } = {}) {
    if (!this.current || !this.mayAct(kind)) return false;
    const seen = this.canvasShows(this.current);
    const item = this.supply.take();
    const duration = seen ? Math.round(performance.now() - this.shownAt) : 0;
    const act = { key: newKey(), kind, classId, item, at: Date.now() };
    const event = { key: act.key, kind, item: item.item, client_at: act.at / 1000 };
    if (kind === "label") event.class_id = classId;
    if (reason) event.reason = reason;
    event.duration_ms = Math.min(86_400_000, Math.max(0, duration));
    this.post("labels", event, act); // kept before anything else can go wrong
    this.history.add(act);
    this.history.forgetUndone();
    this.keys.acted();
    this.show();
    afterPaint(() => this.acted(act));
    return true;
  }

  /** Nothing is labelled unseen; what cannot be shown may be skipped or flagged. */
  mayAct(kind) {
    const failed = this.images.of(this.current)?.state === "failed";
    return this.canvasShows(this.current) || (failed && kind !== "label");
  }

  /** Undo the latest act of this session. */
  undo(held) {
    if (!this.history || this.keys.tooSoon(held)) return;
    const last = this.history.last();
    if (last) this.takeBack(last.key);
    else this.say("Nothing to undo in this session.");
  }

  /** Take one act back and show its image again. @param {string} key of the act */
  takeBack(key) {
    const act = this.history.remove(key);
    if (!act) return;
    this.history.addUndone(act);
    this.supply.putBack(act.item);
    this.post("undo", { key: newKey(), undoes: act.key }, { ...act, kind: "undo" });
    this.keys.acted();
    this.show();
    this.tally.add(act, -1);
    this.renderSoon();
    this.say(`Taken back: ${act.item.name}.`);
  }

  /** Do again what was undone last. */
  redo(held) {
    if (!this.history || this.keys.tooSoon(held)) return;
    const before = this.history.takeUndone();
    if (!before) {
      this.say("Nothing to redo in this session.");
      return;
    }
    const act = { ...before, key: newKey(), at: Date.now() };
    this.supply.take(act.item);
    this.post("redo", { key: act.key, redoes: before.key }, act);
    this.history.add(act);
    this.keys.acted();
    this.show();
    afterPaint(() => this.acted(act));
  }

  post(path, event, { kind, classId, item }) {
    const { annotator } = this.data;
    const about = { kind, classId, item };
    this.outbox.add({ annotator, session: this.session, path, event, about });
  }

  canvasShows(item) {
    return this.stage.item?.item === item.item;
  }

  /** Draw the current item if its image is decoded; nothing in here may take long. */
  show() {
    const item = this.current;
    const held = item && this.images.of(item);
    if (held?.state === "ready") {
      this.stage.show(item, held.bitmap);
      this.shownAt = performance.now();
    } else this.stage.clear();
    this.panel.describe(item, held);
    afterPaint(() => this.focusImages());
  }

  /** Hold the images around the current one. */
  focusImages() {
    if (this.closed || !this.supply) return;
    const behind = this.history.latest(BEHIND).map((act) => act.item);
    this.images.focus([...this.supply.queue.slice(0, AHEAD), ...behind.reverse()]);
    this.supply.refill();
  }

  imageChanged(held) {
    if (held.item.item === this.current?.item) this.show();
    this.renderSoon();
  }

  /** What can wait until the next image is on screen. */
  acted(act) {
    this.tally.add(act, 1);
    this.panel.confirm(act);
    this.render();
  }

  renderSoon() {
    if (this.rendering) return;
    this.rendering = true;
    afterPaint(() => this.render());
  }

  render() {
    this.rendering = false;
    if (!this.closed) this.panel.render();
  }

  tryNow() {
    this.outbox.sendNow();
    this.supply?.claimNow();
    this.images.retry();
  }

  /** Only the page's server can make a token; do not ask at every refused request. */
  askToken(annotator) {
    const now = performance.now();
    const ours = !this.closed && annotator === this.data.annotator;
    if (!ours || now - (this.askedAt ?? -Infinity) < ASK_TOKEN_MS) return;
    this.askedAt = now;
    this.send("token", Date.now());
  }

  go(where) {
    this.send("go", where);
  }

  /** Say something to those who do not see the image. */
  say(text) {
    setText(this.refs.live, text);
    this.panel.note(text);
  }

  close() {
    this.closed = true;
    this.ending.abort();
    if (this.outbox.listener === this.answers) this.outbox.listener = null;
    for (const part of [this.keys, this.answers, this.supply, this.tally, this.recent, this.stage]) part?.close();
    this.images.close();
  }
}
