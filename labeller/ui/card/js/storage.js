/** What the browser keeps across reloads: always guarded, for storage may be full or forbidden. */

/** A key that no other client makes. `randomUUID` exists on secure pages only; a LAN address is none. */
export function newKey() {
  if (globalThis.crypto?.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** One of the browser's two storages, below a prefix; it never throws. */
export class Kept {
  /** @param {"localStorage"|"sessionStorage"} area @param {string} prefix */
  constructor(area, prefix) {
    this.prefix = prefix;
    try {
      this.area = window[area];
    } catch {
      this.area = null; // cookies and site data blocked: even looking is refused
    }
  }

  /** @returns {boolean} whether it is stored now. */
  set(name, value) {
    try {
      this.area.setItem(this.prefix + name, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  }

  /** @returns {any} the stored value; null when there is none or it is damaged. */
  get(name) {
    try {
      return JSON.parse(this.area.getItem(this.prefix + name));
    } catch {
      return null;
    }
  }

  remove(name) {
    try {
      this.area.removeItem(this.prefix + name);
    } catch {
      /* nothing was stored either */
    }
  }

  /** @returns {string[]} the names below the prefix, sorted. */
  names() {
    const found = [];
    try {
      for (let i = 0; i < this.area.length; i += 1) {
        const name = this.area.key(i);
        if (name?.startsWith(this.prefix)) found.push(name.slice(this.prefix.length));
      }
    } catch {
      return [];
    }
    return found.sort();
  }
}

/** A number as text that sorts like the number. */
export function ordered(value) {
  return String(value).padStart(12, "0");
}
