/**
 * Where Streamlit comes in. It calls the function at the first mount and again whenever the data
 * changes, into the same element; it runs the last returned clean-up only when the card leaves.
 */
import { Card } from "./card.js";

/** What is mounted in each element: the card, untouched markup, and the number of the latest call. */
const mounted = new WeakMap();

/** @param {{data: object, parentElement: ParentNode, setTriggerValue: Function}} component */
export default function mount({ data, parentElement, setTriggerValue }) {
  const send = (name, value) => setTriggerValue(name, value);
  const here = mounted.get(parentElement) ?? { call: 0, markup: markupOf(parentElement) };
  mounted.set(parentElement, here);
  here.call += 1;
  if (here.card && !here.card.closed && isSame(here.card.data, data)) here.card.update(data, send);
  else {
    here.card?.close();
    parentElement.querySelector("[data-ref=card]").replaceWith(here.markup.cloneNode(true));
    here.card = new Card(parentElement, data, send);
  }
  const { call } = here;
  // A clean-up of an earlier call comes when a later one has taken over: then it is not the end.
  return () => setTimeout(() => here.call === call && here.card.close(), 0);
}

/** The card's markup before anything is put in or listens to it. */
function markupOf(parent) {
  return parent.querySelector("[data-ref=card]").cloneNode(true);
}

function isSame(a, b) {
  return a.project.id === b.project.id && a.annotator === b.annotator;
}
