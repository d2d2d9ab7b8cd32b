/** The side bar's own script: it keeps the annotator's name, and the budget as it is by now. */
const amounts = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
const cents = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** As `labeller.services.budget.amount` writes it. */
function amountOf(value) {
  const rounded = Math.round(value * 100) / 100;
  return Number.isInteger(rounded) ? amounts.format(rounded) : cents.format(rounded);
}

/** What the side bar says of a budget: as `labeller.ui.view.meter` says it. */
function budgetWords({ total, spent, reserved, left, price }) {
  const held = reserved ? ` · ${amountOf(reserved)} reserved` : "";
  if (total === null) {
    return { head: `${amountOf(spent)} spent`, note: `No limit set${held}`, spent: 0, held: 0, empty: false };
  }
  const whole = total || 1;
  const share = Math.min(1, spent / whole);
  const rest = Math.max(0, left);
  return {
    head: `${amountOf(rest)} left`,
    note: `${amountOf(spent)} of ${amountOf(total)} spent${held}`,
    spent: share,
    held: Math.min(1 - share, reserved / whole),
    empty: rest < price || rest === 0,
  };
}

class Here {
  draw(data, root) {
    document.cookie = `${data.name}=${encodeURIComponent(data.value)}`
      + "; path=/; max-age=31536000; SameSite=Strict";
    this.root = root;
    const same = this.data?.project === data.project;
    this.data = data;
    if (same && this.leave) return;
    this.leave?.();
    this.leave = pulseOf(data.project).join({ ask: () => this.ask(), hear: (answer) => this.hear(answer) });
  }

  async ask() {
    const headers = { Authorization: `Bearer ${this.data.token}` };
    const answer = await fetch(`${this.data.api}queue/version`, { headers });
    return answer.ok ? answer.json() : null;
  }

  /** Write the budget into what the page has drawn; it draws it anew every few seconds. */
  hear({ budget }) {
    if (!this.root.isConnected) {
      this.close();
      return;
    }
    const box = document.querySelector(".st-key-lb_budget");
    const [head, note] = ["value", "note"].map((name) => box?.querySelector(`.lb-${name}`));
    const bar = box?.querySelector(".lb-meter");
    if (!head || !note || !bar) return;
    const words = budgetWords(budget);
    if (head.textContent !== words.head) head.textContent = words.head;
    if (note.textContent !== words.note) {
      note.textContent = words.note;
      bar.setAttribute("aria-label", words.note);
    }
    bar.classList.toggle("lb-empty", words.empty);
    bar.querySelector(".lb-spent").style.width = `${words.spent * 100}%`;
    bar.querySelector(".lb-held").style.width = `${words.held * 100}%`;
  }

  close() {
    this.leave?.();
    this.leave = null;
  }
}

/** One for each element: Streamlit calls again whenever the data changes. */
const here = new WeakMap();

export default function ({ data, parentElement }) {
  if (!here.has(parentElement)) here.set(parentElement, new Here());
  const mine = here.get(parentElement);
  mine.draw(data, parentElement instanceof ShadowRoot ? parentElement.host : parentElement);
  return () => setTimeout(() => mine.root.isConnected || mine.close(), 0);
}
