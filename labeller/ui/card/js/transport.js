/** Requests to the API: the token of each annotator, time limits, and errors that say what to do. */

const TIMEOUT_MS = 15_000;
/** Browsers take 64 KiB of requests that outlive their page; a character has up to 3 bytes. */
const LASTING_CHARACTERS = 20_000;

/** A request that was not carried out. `status` 0 means that no answer came. */
export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
    this.detail = detail;
  }

  /** Whether the same request may work later: no answer, a broken server, or a stale token. */
  get passing() {
    return this.status === 0 || this.status >= 500 || [401, 408, 425, 429].includes(this.status);
  }
}

export class Transport {
  /** @param {string} base the API's root, without a slash at the end */
  constructor(base) {
    this.base = base;
    this.tokens = new Map();
    /** Called when an annotator's token is refused: only the page's server can make another. */
    this.onStale = () => {};
  }

  /** @param {string} annotator @param {string} token @param {number} seconds it is good for */
  setToken(annotator, token, seconds) {
    const known = this.tokens.get(annotator);
    if (known?.token === token) return false;
    this.tokens.set(annotator, { token, renewAt: Date.now() + seconds * 500 });
    return true;
  }

  knows(annotator) {
    return this.tokens.has(annotator);
  }

  /** Exchange tokens past half their time; called every now and then. */
  async renewTokens() {
    for (const [annotator, { renewAt }] of this.tokens) {
      if (Date.now() < renewAt) continue;
      const fresh = await this.post(annotator, "token", {}).catch(() => null);
      if (fresh) this.setToken(annotator, fresh.token, fresh.expires_in);
    }
  }

  /** @returns {Promise<any>} the answer's JSON */
  async get(annotator, path) {
    return (await this.request(annotator, path, { method: "GET" })).json();
  }

  /**
   * @param {string} annotator @param {string} path @param {object} body
   * @param {boolean} [keepalive] whether it goes on when the page is closed
   * @returns {Promise<any>} the answer's JSON
   */
  async post(annotator, path, body, keepalive = false) {
    const headers = { "Content-Type": "application/json" };
    const text = JSON.stringify(body);
    const lasting = keepalive && text.length < LASTING_CHARACTERS;
    const options = { method: "POST", headers, body: text, keepalive: lasting };
    return (await this.request(annotator, path, options)).json();
  }

  /** @returns {Promise<Blob>} an image; `signal` ends it when nobody wants it any more */
  async blob(annotator, path, signal) {
    return (await this.request(annotator, path, { method: "GET", signal })).blob();
  }

  async request(annotator, path, options) {
    const token = this.tokens.get(annotator)?.token;
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
    const headers = { ...options.headers, Authorization: `Bearer ${token}` };
    let response;
    try {
      response = await fetch(`${this.base}/${path}`, { ...options, headers, signal });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new ApiError(0, "no answer");
    }
    if (response.ok) return response;
    if (response.status === 401) this.onStale(annotator);
    throw new ApiError(response.status, await detail(response));
  }
}

async function detail(response) {
  try {
    return String((await response.json()).detail);
  } catch {
    return `status ${response.status}`;
  }
}
