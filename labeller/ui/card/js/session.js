/**
 * The session of a tab: who holds the leases. It lives in sessionStorage, so a reload keeps it; a
 * duplicated tab starts with a copy of it, so a lock decides which of the two may go on using it.
 */
import { Kept, newKey } from "./storage.js";

const WAIT_MS = 400;
const LOCK = "labeller-session-";

/** Sessions of this page by project and annotator: they outlive the card when pages are switched. */
const sessionsHere = new Map();

/**
 * @param {string} project
 * @param {string} annotator
 * @returns {Promise<string>} the session of this tab for this annotator
 */
export function tabSession(project, annotator) {
  const name = `${project}/${annotator}`;
  if (!sessionsHere.has(name)) sessionsHere.set(name, chosen(name));
  return sessionsHere.get(name);
}

async function chosen(name) {
  const kept = new Kept("sessionStorage", "labeller/session/");
  const before = kept.get(name);
  if (typeof before === "string" && (await taken(before))) return before;
  const fresh = newKey();
  await taken(fresh);
  kept.set(name, fresh);
  return fresh;
}

/** Hold a session for as long as the page lives; false when another tab holds it. */
function taken(session) {
  return navigator.locks ? lock(session, AbortSignal.timeout(WAIT_MS)) : asked(session);
}

/** A reload's old page may hold the lock for a moment yet, hence the short wait. */
function lock(session, signal) {
  return new Promise((resolve) => {
    const held = () => {
      resolve(true);
      return new Promise(() => {}); // never settles: the browser frees it with the page
    };
    navigator.locks.request(LOCK + session, { signal }, held).catch(() => resolve(false));
  });
}

/** Without locks (a page over plain http): ask the other tabs whether one of them is this session. */
function asked(session) {
  if (!globalThis.BroadcastChannel) return Promise.resolve(true);
  const channel = new BroadcastChannel(LOCK + session);
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      channel.onmessage = ({ data }) => data === "who" && channel.postMessage("mine");
      resolve(true);
    }, WAIT_MS);
    channel.onmessage = ({ data }) => {
      if (data !== "mine") return;
      clearTimeout(timer);
      channel.close();
      resolve(false);
    };
    channel.postMessage("who");
  });
}

/** @returns {Promise<boolean>} whether some open tab holds this session. */
export async function isAlive(session) {
  if (!navigator.locks) return false;
  try {
    return await navigator.locks.request(LOCK + session, { ifAvailable: true }, (got) => !got);
  } catch {
    return false;
  }
}
