/** The two dialogs: help, and the reason for a flag. Native ones: they keep the focus by themselves. */
import { el } from "./dom.js";

export const FLAG_REASONS = [
  "Cannot tell what it is",
  "Fits none of the classes",
  "Fits several classes",
  "Bad or broken image",
  "Should not be in this project",
];

export class Dialogs {
  /**
   * @param {Record<string, HTMLElement>} refs
   * @param {(reason: string) => void} flag
   */
  constructor(refs, flag) {
    this.refs = refs;
    this.flag = flag;
    refs.helpClose.addEventListener("click", () => refs.help.close());
    refs.help.addEventListener("keydown", (event) => {
      if (event.key !== "?") return;
      event.preventDefault();
      refs.help.close();
    });
    refs.flagCancel.addEventListener("click", () => refs.flagDialog.close());
    refs.flagDialog.addEventListener("keydown", (event) => this.flagKey(event));
    refs.flagForm.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(refs.flagText.value.trim() || "No reason given");
    });
    this.fillReasons();
    for (const dialog of [refs.help, refs.flagDialog]) {
      dialog.addEventListener("close", () => refs.card.focus({ preventScroll: true }));
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    }
  }

  fillReasons() {
    const buttons = FLAG_REASONS.map((reason, i) => {
      const digit = String(i + 1);
      const key = el("kbd", { "aria-hidden": "true" }, digit);
      const attributes = { type: "button", class: "reason", "aria-keyshortcuts": digit };
      const button = el("button", attributes, key, reason);
      button.addEventListener("click", () => this.send(reason));
      return button;
    });
    this.refs.reasons.replaceChildren(...buttons);
  }

  get open() {
    return this.refs.help.open || this.refs.flagDialog.open;
  }

  showHelp() {
    this.refs.help.showModal();
  }

  showFlag() {
    this.refs.flagText.value = "";
    this.refs.flagDialog.showModal();
  }

  flagKey(event) {
    const typing = event.composedPath()[0] === this.refs.flagText;
    const reason = FLAG_REASONS[Number(event.key) - 1];
    if (typing || !reason || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.send(reason);
  }

  send(reason) {
    this.refs.flagDialog.close();
    this.flag(reason);
  }
}
