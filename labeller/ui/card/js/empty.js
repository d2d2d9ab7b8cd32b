/** What stands in the image's place when there is nothing to label: why, and what to do next. */
import { count, el, number, setShown, setText } from "./dom.js";

const IMPORT = ["Import images", "import"];
const EXPORT = ["Export labels", "export"];
const RETRAIN = ["Retrain round", "retrain"];
const ROUNDS = ["See the rounds", "rounds"];
const BUDGET = ["Raise the budget", "settings"];

/**
 * @param {object} facts `empty` of the answer to a claim
 * @param {{session: number, budget: object|null, queue: object|null, waiting: number}} known
 * @returns {{title: string, text: string[], actions: string[][]}}
 */
export function explain(facts, { session, budget, queue }) {
  const yours = session ? `You labelled ${number(session)} in this session.` : "";
  const all = `${count(facts.labelled, "image")} of ${number(facts.items)} labelled.`;
  const running = facts.retraining
    ? "Retraining is under way: the next queue appears here by itself."
    : "Retrain, and the model picks the images whose labels teach it most.";
  const next = facts.retraining ? [ROUNDS] : [RETRAIN, ROUNDS];
  switch (facts.reason) {
    case "no_images":
      return facts.importing
        ? { title: "Importing images", text: ["The first queue appears here by itself."], actions: [] }
        : { title: "No images yet", text: ["Import a folder of images to begin."], actions: [IMPORT] };
    case "no_classes":
      return {
        title: "No classes yet",
        text: ["Say which classes there are; each gets a key."],
        actions: [["Add classes", "classes"]],
      };
    case "budget":
      return {
        title: "The budget is spent",
        text: [bought(facts, budget), yours, "Raise the budget to go on, or export what you have."],
        actions: facts.retraining ? [BUDGET, EXPORT] : [BUDGET, EXPORT, RETRAIN],
      };
    case "reserved":
      return {
        title: "The rest of the budget is reserved",
        text: ["Others hold the last images it pays for. What they give back appears here by itself."],
        actions: [BUDGET, EXPORT],
      };
    case "leased":
      return {
        title: "Others have the rest of this queue",
        text: [`${count(queue?.leased ?? 0, "image")} in other hands; what they give back appears here.`],
        actions: next,
      };
    case "all_labelled":
      return {
        title: "Every image is done",
        text: [all, aside(facts), yours],
        actions: [EXPORT, ...next],
      };
    case "no_queue":
      return { title: "No queue yet", text: [all, running], actions: next };
    default:
      return { title: "Queue done", text: [yours, all, aside(facts), running], actions: next };
  }
}

function bought(facts, budget) {
  const audit = facts.audit ? `, ${number(facts.audit)} of them for the audit set` : "";
  return `${number(budget?.spent ?? 0)} spent: ${count(facts.labelled, "image")} labelled${audit}.`;
}

function aside(facts) {
  const parts = [];
  if (facts.skipped) parts.push(`${number(facts.skipped)} skipped`);
  if (facts.flagged) parts.push(`${number(facts.flagged)} flagged`);
  const told = parts.length ? [`${parts.join(", ")}: see them on the Images page.`] : [];
  if (facts.put_aside)
    told.push(
      `${count(facts.put_aside, "image")} not asked about, too much like audit images to train on: ` +
        "see the Evaluation page.",
    );
  return told.join(" ");
}

export class Empty {
  /** @param {Record<string, HTMLElement>} refs @param {(where: string) => void} go */
  constructor(refs, go) {
    this.refs = refs;
    this.go = go;
    this.shown = "";
  }

  hide() {
    setShown(this.refs.empty, false);
    this.shown = "";
  }

  /** A moment without an image: no claim answered yet, or the last labels are on their way. */
  wait(text) {
    this.render({ title: text, text: [], actions: [] }, true);
  }

  show(facts, known) {
    this.render(explain(facts, known), false);
  }

  /** Build anew only when something changed, so that a focused button stays. */
  render({ title, text, actions }, waiting) {
    const { refs } = this;
    setShown(refs.empty, true);
    refs.empty.classList.toggle("waiting", waiting);
    const lines = text.filter(Boolean);
    const state = JSON.stringify([title, lines, actions]);
    if (state === this.shown) return;
    this.shown = state;
    setText(refs.emptyTitle, title);
    refs.emptyText.replaceChildren(...lines.map((line) => el("p", {}, line)));
    const buttons = actions.map(([label, where], i) => {
      const button = el("button", { type: "button", class: i ? "button" : "button primary" }, label);
      button.addEventListener("click", () => this.go(where));
      return button;
    });
    refs.emptyActions.replaceChildren(...buttons);
  }
}
