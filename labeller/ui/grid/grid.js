// Thumbnails to choose from. Selecting happens here, at once; Streamlit is told when it settles.
// Every text goes in by textContent: names of files and classes are never read as HTML.
const SETTLE_MS = 180;
const KEPT = 800;
const blobs = (globalThis.__labellerThumbs ??= new Map());

async function picture(url, token) {
  if (blobs.has(url)) return blobs.get(url);
  const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
  if (!answer.ok) {
    const detail = await answer.json().catch(() => ({}));
    throw new Error(detail.detail || `The server said ${answer.status}.`);
  }
  const made = URL.createObjectURL(await answer.blob());
  blobs.set(url, made);
  if (blobs.size > KEPT) {
    const [oldest, address] = blobs.entries().next().value;
    blobs.delete(oldest);
    URL.revokeObjectURL(address);
  }
  return made;
}

function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

class Grid {
  constructor(root) {
    this.root = root;
    this.selected = new Set();
    this.tiles = [];
    this.anchor = 0;
    this.watcher = new IntersectionObserver((seen) => this.load(seen), { rootMargin: "300px" });
    root.addEventListener("click", (event) => this.click(event));
    root.addEventListener("dblclick", (event) => {
      if (this.component.data.choosing) this.open(this.index(event));
    });
    root.addEventListener("keydown", (event) => this.key(event));
  }

  draw(component) {
    const { data } = component;
    this.component = component;
    const ids = data.items.map((item) => item.id).join();
    if (data.reset !== this.reset || ids !== this.ids) this.forget(ids !== this.ids);
    this.reset = data.reset;
    this.root.style.setProperty("--tile", `${data.tile}px`);
    this.root.classList.toggle("looking", !data.choosing);
    this.root.setAttribute("role", data.choosing ? "listbox" : "group");
    const drawn = JSON.stringify(data.items);
    if (drawn !== this.drawn) this.fill(data.items, ids !== this.ids);
    this.ids = ids;
    this.drawn = drawn;
  }

  forget(moved) {
    const had = this.selected.size > 0;
    this.selected.clear();
    if (moved) this.anchor = 0;
    this.paint();
    if (had) this.component.setStateValue("selected", []);
  }

  fill(items, moved) {
    const focused = !moved && this.root.getRootNode().activeElement?.dataset?.n;
    this.watcher.disconnect();
    this.tiles = items.map((item, n) => this.tile(item, n));
    this.root.replaceChildren(...this.tiles);
    this.tiles.forEach((tile) => this.watcher.observe(tile));
    this.paint();
    if (focused !== undefined && focused !== false) this.tiles[focused]?.focus();
  }

  tile(item, n) {
    const tile = element("figure", "tile");
    tile.dataset.n = n;
    tile.title = item.name;
    tile.setAttribute("role", this.component.data.choosing ? "option" : "button");
    tile.setAttribute("aria-label", `${item.name}, ${item.label || item.note || "no label"}`);
    tile.tabIndex = n === this.anchor ? 0 : -1;
    const caption = element("figcaption", "caption");
    if (item.colour) {
      const dot = element("span", "dot");
      dot.style.background = item.colour;
      caption.append(dot);
    }
    caption.append(item.label ? element("b", "", item.label) : element("b", "none", item.note || "–"));
    const open = element("button", "open");
    open.type = "button";
    open.tabIndex = -1;
    open.title = "Details and history";
    open.setAttribute("aria-label", `Details of ${item.name}`);
    open.innerHTML = '<svg viewBox="0 0 24 24" aria-hidden="true">'
      + '<path d="M14 4h6v6M20 4l-8 8M10 20H4v-6M4 20l8-8"/></svg>';
    const mark = element("span", "mark", "✓");
    mark.setAttribute("aria-hidden", "true");
    tile.append(element("div", "frame"), caption, mark, open);
    return tile;
  }

  load(seen) {
    for (const { isIntersecting, target } of seen) {
      if (!isIntersecting) continue;
      this.watcher.unobserve(target);
      const item = this.component.data.items[target.dataset.n];
      const frame = target.querySelector(".frame");
      picture(`${this.component.data.api}${item.image}&size=thumb`, this.component.data.token)
        .then((address) => {
          const image = element("img");
          image.onload = () => {
            const known = Math.max(item.width, item.height);
            const longest = known || Math.max(image.naturalWidth, image.naturalHeight);
            image.classList.toggle("small", longest < 96);
          };
          image.alt = "";
          image.draggable = false;
          image.src = address;
          frame.replaceChildren(image);
        })
        .catch((error) => frame.replaceChildren(element("span", "gone", error.message)));
    }
  }

  index(event) {
    const tile = event.composedPath().find((node) => node.classList?.contains("tile"));
    return tile ? Number(tile.dataset.n) : -1;
  }

  click(event) {
    const n = this.index(event);
    if (n < 0) return;
    const { choosing } = this.component.data;
    const opens = event.composedPath().some((node) => node.classList?.contains("open"));
    if (!choosing) this.focus(n, true);
    if (opens || !choosing) return this.open(n);
    if (event.shiftKey) this.range(n);
    else this.toggle(n);
    this.focus(n, false);
  }

  key(event) {
    const n = this.index(event);
    if (n < 0) return;
    const { choosing } = this.component.data;
    const columns = getComputedStyle(this.root).gridTemplateColumns.split(" ").length;
    const last = this.tiles.length - 1;
    const to = { ArrowRight: n + 1, ArrowLeft: n - 1, ArrowDown: n + columns,
      ArrowUp: n - columns, Home: 0, End: last }[event.key];
    if (to !== undefined) {
      const target = Math.min(last, Math.max(0, to));
      if (event.shiftKey && choosing) this.range(target);
      this.focus(target, !event.shiftKey);
    } else if (event.key === "Enter" || (event.key === " " && !choosing)) this.open(n);
    else if (!choosing) return;
    else if (event.key === " ") this.toggle(n);
    else if (event.key === "Escape") this.choose([]);
    else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) {
      this.choose(this.component.data.items.map((item) => item.id));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  focus(n, moveAnchor) {
    if (moveAnchor) this.anchor = n;
    this.tiles.forEach((tile, at) => { tile.tabIndex = at === n ? 0 : -1; });
    this.tiles[n]?.focus();
  }

  toggle(n) {
    const { id } = this.component.data.items[n];
    if (!this.selected.delete(id)) this.selected.add(id);
    this.anchor = n;
    this.settle();
  }

  range(n) {
    const [from, to] = [Math.min(this.anchor, n), Math.max(this.anchor, n)];
    this.component.data.items.slice(from, to + 1).forEach((item) => this.selected.add(item.id));
    this.settle();
  }

  choose(ids) {
    this.selected = new Set(ids);
    this.settle();
  }

  open(n) {
    if (n < 0) return;
    this.component.setTriggerValue("opened", this.component.data.items[n].id);
    this.returnTo(n);
  }

  /** Focus the tile again when the dialog it opened is gone: else the keyboard starts afresh. */
  returnTo(n) {
    let there = false;
    this.dialog?.disconnect();
    this.dialog = new MutationObserver(() => {
      const before = there;
      there = document.querySelector("[role=dialog]") !== null;
      if (!before || there) return;
      this.dialog.disconnect();
      setTimeout(() => {
        if (document.activeElement === document.body) this.focus(n, false);
      }, SETTLE_MS);
    });
    this.dialog.observe(document.body, { childList: true, subtree: true });
  }

  settle() {
    this.paint();
    clearTimeout(this.timer);
    this.timer = setTimeout(
      () => this.component.setStateValue("selected", [...this.selected]), SETTLE_MS);
  }

  paint() {
    this.root.classList.toggle("picking", this.selected.size > 0);
    if (!this.component.data.choosing) return;
    this.tiles.forEach((tile, n) => {
      const id = this.component.data.items[n]?.id;
      tile.setAttribute("aria-selected", this.selected.has(id) ? "true" : "false");
    });
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".grid");
  root.labellerGrid ??= new Grid(root);
  root.labellerGrid.draw(component);
}
