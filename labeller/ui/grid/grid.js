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
    this.items = [];
    this.tiles = new Map(); // by id, in order: a tile lives as long as its item is shown
    this.selected = new Set();
    this.told = ""; // what Streamlit knows to be selected
    this.anchor = null; // where a range begins
    this.reached = null; // where the Tab key comes in
    this.pressed = null; // where the first press of a double click fell
    this.before = new Set(); // what was selected before it
    this.watcher = new IntersectionObserver((seen) => this.load(seen), { rootMargin: "300px" });
    root.addEventListener("mousedown", (event) => this.press(event));
    root.addEventListener("click", (event) => this.click(event));
    root.addEventListener("keydown", (event) => this.key(event));
  }

  draw(component) {
    const { items, reset, tile, choosing } = component.data;
    this.component = component;
    this.items = items;
    this.choosing = choosing; // else a click opens
    this.root.style.setProperty("--tile", `${tile}px`);
    this.root.classList.toggle("looking", !choosing);
    this.root.setAttribute("role", choosing ? "listbox" : "group");
    if (choosing) this.root.setAttribute("aria-multiselectable", "true");
    else this.root.removeAttribute("aria-multiselectable");
    this.fill();
    this.forget(reset !== this.reset);
    this.reset = reset;
    if (!this.tiles.has(this.anchor)) this.anchor = items[0]?.id ?? null;
    if (!this.tiles.has(this.reached)) this.reached = this.anchor;
    this.paint();
  }

  /** Let go of what is selected: all of it, or what is no longer shown. */
  forget(all) {
    const had = this.selected.size;
    const kept = (ids) => new Set([...ids].filter((id) => !all && this.tiles.has(id)));
    [this.selected, this.before] = [kept(this.selected), kept(this.before)];
    if (this.selected.size < had) this.tell();
  }

  /** Have a tile for every item, touching only what changed: a press may be under way. */
  fill() {
    const before = this.tiles;
    this.tiles = new Map(this.items.map(({ id }) => [id, before.get(id) ?? this.tile(id)]));
    for (const [id, tile] of before) {
      if (this.tiles.has(id)) continue;
      this.watcher.unobserve(tile);
      tile.remove();
    }
    let place = this.root.firstElementChild;
    for (const item of this.items) {
      const tile = this.tiles.get(item.id);
      this.dress(tile, item);
      if (tile === place) place = place.nextElementSibling;
      else this.root.insertBefore(tile, place);
    }
  }

  tile(id) {
    const tile = element("figure", "tile");
    tile.dataset.id = id;
    tile.setAttribute("role", this.choosing ? "option" : "button");
    // For the mouse alone: Enter opens, and nothing that can be reached lies within an option.
    const open = element("span", "open");
    open.setAttribute("aria-hidden", "true");
    open.title = "Details and history";
    open.innerHTML = '<svg viewBox="0 0 24 24" aria-hidden="true">'
      + '<path d="M14 4h6v6M20 4l-8 8M10 20H4v-6M4 20l8-8"/></svg>';
    const mark = element("span", "mark", "✓");
    mark.setAttribute("aria-hidden", "true");
    tile.append(element("div", "frame"), element("figcaption", "caption"), mark, open);
    return tile;
  }

  /** Write an item into its tile. */
  dress(tile, item) {
    if (tile.image !== item.image) {
      tile.image = item.image;
      this.watcher.unobserve(tile);
      this.watcher.observe(tile);
    }
    const worn = JSON.stringify(item);
    if (tile.worn === worn) return;
    tile.worn = worn;
    tile.title = item.name;
    tile.longest = Math.max(item.width, item.height);
    tile.setAttribute("aria-label", `${item.name}, ${item.label || item.note || "no label"}`);
    const caption = [element("b", item.label ? "" : "none", item.label || item.note || "–")];
    if (item.colour) {
      const dot = element("span", "dot");
      dot.style.background = item.colour;
      caption.unshift(dot);
    }
    tile.querySelector(".caption").replaceChildren(...caption);
  }

  load(seen) {
    for (const { isIntersecting, target } of seen) {
      if (!isIntersecting) continue;
      this.watcher.unobserve(target);
      this.show(target, target.image);
    }
  }

  /** Show a picture, or why there is none; a tile that shows another by then is left alone. */
  async show(tile, wanted) {
    const { api, token } = this.component.data;
    const found = await picture(`${api}${wanted}&size=thumb`, token).then(
      (src) => Object.assign(element("img"), { alt: "", draggable: false, src }),
      (error) => element("span", "gone", error.message),
    );
    found.onload = () => {
      const longest = tile.longest || Math.max(found.naturalWidth, found.naturalHeight);
      tile.classList.toggle("small", longest < 96);
    };
    if (tile.image !== wanted) return;
    if (found.className === "gone") tile.image = null; // the next drawing asks again
    tile.querySelector(".frame").replaceChildren(found);
  }

  /** Return the id of the item whose tile an event befell, or null. */
  at(event) {
    const tile = event.composedPath().find((node) => node.classList?.contains("tile"));
    return tile ? Number(tile.dataset.id) : null;
  }

  press(event) {
    if (event.detail % 2 === 0) return;
    this.pressed = this.at(event);
    this.before = new Set(this.selected);
  }

  /** Select, or open at every second click: what the first fell on, wherever that is by now. */
  click(event) {
    const second = this.choosing && event.detail > 0 && event.detail % 2 === 0;
    const id = second ? this.pressed : this.at(event);
    if (id === null) return;
    if (second) this.choose(this.before);
    if (!this.choosing) this.focus(id);
    const button = event.composedPath().some((node) => node.classList?.contains("open"));
    if (second || button || !this.choosing) return this.open(id);
    if (event.shiftKey) this.range(id);
    else this.toggle(id);
    this.focus(id);
  }

  key(event) {
    const id = this.at(event);
    if (id === null) return;
    const columns = getComputedStyle(this.root).gridTemplateColumns.split(" ").length;
    const n = this.items.findIndex((item) => item.id === id);
    const last = this.items.length - 1;
    const to = { ArrowRight: n + 1, ArrowLeft: n - 1, ArrowDown: n + columns,
      ArrowUp: n - columns, Home: 0, End: last }[event.key];
    if (to !== undefined) {
      const target = this.items[Math.min(last, Math.max(0, to))].id;
      if (event.shiftKey && this.choosing) this.range(target);
      else this.anchor = target;
      this.focus(target);
    } else if (event.key === "Enter" || (event.key === " " && !this.choosing)) this.open(id);
    else if (!this.choosing) return;
    else if (event.key === " ") this.toggle(id);
    else if (event.key === "Escape") this.choose([]);
    else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) {
      this.choose(this.tiles.keys());
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  focus(id) {
    if (!this.tiles.has(id)) return;
    this.reached = id;
    this.paint();
    this.tiles.get(id).focus();
  }

  toggle(id) {
    if (!this.selected.delete(id)) this.selected.add(id);
    this.anchor = id;
    this.settle();
  }

  range(id) {
    const ids = [...this.tiles.keys()];
    const ends = [ids.indexOf(this.anchor), ids.indexOf(id)];
    ids.slice(Math.min(...ends), Math.max(...ends) + 1).forEach((one) => this.selected.add(one));
    this.settle();
  }

  choose(ids) {
    this.selected = new Set(ids);
    this.settle();
  }

  open(id) {
    this.component.setTriggerValue("opened", id);
    this.returnTo(id);
  }

  /** Focus the tile again when the dialog it opened is gone: else the keyboard starts afresh. */
  returnTo(id) {
    let there = false;
    this.dialog?.disconnect();
    this.dialog = new MutationObserver(() => {
      const before = there;
      there = document.querySelector("[role=dialog]") !== null;
      if (!before || there) return;
      this.dialog.disconnect();
      setTimeout(() => {
        if (document.activeElement === document.body) this.focus(id);
      }, SETTLE_MS);
    });
    this.dialog.observe(document.body, { childList: true, subtree: true });
  }

  settle() {
    this.paint();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tell(), SETTLE_MS);
  }

  tell() {
    const now = [...this.selected].join();
    if (now === this.told) return;
    this.told = now;
    this.component.setStateValue("selected", [...this.selected]);
  }

  paint() {
    this.root.classList.toggle("picking", this.selected.size > 0);
    for (const [id, tile] of this.tiles) {
      if (this.choosing) tile.setAttribute("aria-selected", String(this.selected.has(id)));
      tile.tabIndex = id === this.reached ? 0 : -1;
    }
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".grid");
  root.labellerGrid ??= new Grid(root);
  root.labellerGrid.draw(component);
}
