/** What a key event stands for, by the table of keys: the same on every page. */

/** The key as the table writes it: modifiers first. */
function keyName(event) {
  const altGraph = event.getModifierState?.("AltGraph");
  if (event.altKey && !altGraph) return null;
  const control = (event.ctrlKey || event.metaKey) && !altGraph;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shift = event.shiftKey && (control || key.length > 1);
  return `${control ? "Ctrl+" : ""}${shift ? "Shift+" : ""}${key}`;
}

/** @returns {string|null} the command of a page that a key event stands for */
function commandOf(event, page) {
  const name = keyName(event);
  return KEY_TABLE.pages[page].find((one) => KEY_TABLE.commands[one]?.includes(name)) ?? null;
}

/** Whether a character stands for any command: then it is not taken for the key's place. */
function isCommandKey(key) {
  return Object.values(KEY_TABLE.commands).some((keys) => keys.includes(key));
}

/**
 * The digit or letter a key stands for. What it types counts; where that is neither (the digit row
 * of a French keyboard, a letter on a Greek one) its place counts.
 * @returns {string|null}
 */
function classKeyOf({ key, code, shiftKey }) {
  if (/^[0-9a-z]$/i.test(key)) return key.toLowerCase();
  const place = /^(?:Digit|Key)([0-9A-Z])$/.exec(code ?? "")?.[1];
  if (!place || shiftKey || key.length !== 1) return null;
  // A French 6 types the minus sign; any other command character is meant as such.
  if (isCommandKey(key) && !(key === "-" && place === "6")) return null;
  const typesNoLetter = place < "A" || key.charCodeAt(0) > 127;
  return typesNoLetter ? place.toLowerCase() : null;
}

const TYPED = new Set(["text", "search", "number", "email", "password", "tel", "url", "date", "time"]);
const TYPING_ROLES = "[role=textbox],[role=combobox],[role=spinbutton],[role=searchbox]";

/** Whether somebody writes into an element. */
function isTyping(target) {
  if (target instanceof HTMLInputElement) return TYPED.has(target.type);
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target.isContentEditable || Boolean(target.closest(TYPING_ROLES));
}
