/** The page around the card: what of Streamlit's own behaviour would stand in the way of labelling. */

/**
 * Close Streamlit's "Connection error" dialog as it opens. It makes the page inert, while the card
 * goes on without the server and says so itself.
 * @param {AbortSignal} signal ends it
 * @param {() => void} closed called when one was closed
 */
export function closeConnectionDialogs(signal, closed) {
  const look = () => {
    const dialog = document.querySelector("[data-testid=stDialog] [role=dialog]");
    if (dialog?.querySelector("h2")?.textContent !== "Connection error") return;
    dialog.querySelector("button")?.click();
    closed();
  };
  // The dialog's node comes first, its text a moment later.
  const observer = new MutationObserver(() => setTimeout(look, 30));
  observer.observe(document.body, { childList: true });
  signal.addEventListener("abort", () => observer.disconnect());
}

/** @returns {number} the distance from the top of the window to a part of the page, unscrolled */
export function topOf(part) {
  const scrolled = document.querySelector("[data-testid=stMain]")?.scrollTop ?? 0;
  return Math.max(0, Math.round(part.getBoundingClientRect().top + scrolled));
}
