/** Wheel, drag and pinch on the stage: one code path for mouse, pen and touch. */

const WHEEL = 0.0016;
const WHEEL_LINE = 16; // Firefox may count in lines
const PINCH_WHEEL = 0.01; // a trackpad's pinch comes as a wheel with Ctrl, in finer steps
const DOUBLE_TAP_MS = 300;
const DOUBLE_TAP_PIXELS = 24;

export class Gestures {
  /** @param {HTMLElement} area @param {import("./stage.js").Stage} stage */
  constructor(area, stage) {
    this.area = area;
    this.stage = stage;
    this.pointers = new Map();
    this.tapAt = 0;
    const on = (name, work, options) => area.addEventListener(name, work.bind(this), options);
    on("wheel", this.wheel, { passive: false });
    on("pointerdown", this.down);
    on("pointermove", this.moved);
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) on(name, this.up);
  }

  /** Buttons and sliders that lie on the stage are not the image. */
  onImage(event) {
    return event.target === this.stage.canvas;
  }

  point(event) {
    const box = this.area.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  wheel(event) {
    if (!this.onImage(event)) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? WHEEL_LINE : 1;
    const step = event.ctrlKey ? PINCH_WHEEL : WHEEL;
    const { x, y } = this.point(event);
    this.stage.zoom(Math.exp(-event.deltaY * lines * step), x, y);
  }

  down(event) {
    if (!this.onImage(event) || (event.pointerType === "mouse" && event.button > 1)) return;
    this.stage.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.point(event));
    this.start = this.point(event);
    this.area.classList.add("dragging");
  }

  moved(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.point(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (other) this.pinch(before, now, other);
    else if (this.stage.pannable) this.stage.pan(now.x - before.x, now.y - before.y);
  }

  pinch(before, now, other) {
    const gap = (a) => Math.hypot(a.x - other.x, a.y - other.y) || 1;
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    this.stage.zoom(gap(now) / gap(before), middle.x, middle.y);
    this.stage.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    this.start = null; // the end of a pinch is no tap
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId) || this.pointers.size) return;
    this.area.classList.remove("dragging");
    const end = this.point(event);
    const still = this.start && Math.hypot(end.x - this.start.x, end.y - this.start.y) < 6;
    if (!still || event.type !== "pointerup") return;
    const again = this.tap && Math.hypot(end.x - this.tap.x, end.y - this.tap.y) < DOUBLE_TAP_PIXELS;
    if (again && event.timeStamp - this.tapAt < DOUBLE_TAP_MS) this.doubleTap(end);
    else Object.assign(this, { tap: end, tapAt: event.timeStamp });
  }

  /** In to the pixels under the finger, or back to the whole image. */
  doubleTap({ x, y }) {
    this.tap = null;
    if (this.stage.view?.fitted) this.stage.zoom(3, x, y);
    else this.stage.fit();
  }
}
