/**
 * A clock that goes on in hidden tabs. Browsers slow the timers of a hidden page down to one a
 * minute, which may be longer than a lease; those of a worker they leave alone.
 */
const SOURCE = "onmessage = ({ data }) => setInterval(() => postMessage(0), data);";

export class Ticker {
  /** @param {number} milliseconds @param {() => void} work */
  constructor(milliseconds, work) {
    try {
      this.address = URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" }));
      this.worker = new Worker(this.address);
      this.worker.onmessage = work;
      this.worker.postMessage(milliseconds);
    } catch {
      this.timer = setInterval(work, milliseconds); // workers forbidden: better slow than none
    }
  }

  close() {
    this.worker?.terminate();
    clearInterval(this.timer);
    if (this.address) URL.revokeObjectURL(this.address);
  }
}
