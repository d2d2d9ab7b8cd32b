/** Small helpers around the document. Everything from the server goes in as text, never as HTML. */

/**
 * Make an element. Text children become text nodes, so nothing in them can turn into markup.
 * @param {string} tag
 * @param {Record<string, string|boolean|null|undefined>} [attributes]
 * @param {...(Node|string|null)} children
 * @returns {HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  for (const child of children) if (child != null) node.append(child);
  return node;
}

/** Set text only when it changed: an untouched text node costs no layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Show or hide without leaving it reachable by Tab or a screen reader. */
export function setShown(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

/** @returns {Record<string, HTMLElement>} the elements marked `data-ref`, by that name. */
export function references(root) {
  const found = {};
  for (const node of root.querySelectorAll("[data-ref]")) found[node.dataset.ref] = node;
  return found;
}

/** A class colour that may go into a style; anything else becomes grey. */
export function safeColour(colour) {
  return /^#[0-9a-f]{6}$/i.test(colour ?? "") ? colour : "#8c8c8c";
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const decimals = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

/** Write a number: 1,200 or 2.5. */
export function number(value) {
  return Number.isInteger(value) ? whole.format(value) : decimals.format(value);
}

/** Write a number with its noun: "1 label", "3 labels". */
export function count(value, noun) {
  return `${number(value)} ${noun}${value === 1 ? "" : noun.endsWith("s") ? "es" : "s"}`;
}

/** Write a confidence without ever claiming certainty the model does not have. */
export function percent(share) {
  if (share > 0.99 && share < 1) return ">99\u202f%";
  return `${Math.round(share * 100)}\u202f%`;
}

/**
 * Run work after the next frame is on screen, so that it cannot delay what the person waits for.
 * A hidden page has no frames: then it runs soon all the same.
 */
export function afterPaint(work) {
  let done = false;
  const once = () => {
    if (done) return;
    done = true;
    work();
  };
  requestAnimationFrame(() => setTimeout(once, 0));
  setTimeout(once, 120);
}

/** The element an event really came from, inside shadow roots too. */
export function origin(event) {
  return event.composedPath?.()[0] ?? event.target;
}
