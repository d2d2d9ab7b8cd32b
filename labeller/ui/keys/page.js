// A key presses a button of the page, by the table of keys that stands before this script. What a
// person types, and keys that a control needs itself, are left alone.
const DIALOGS = "[role=dialog],[role=alertdialog]:not([data-testid=stToast])"; // a toast asks nothing
const OPEN_MENUS = "[role=menu],[role=listbox],[role=slider],[role=radiogroup]";
const PRESSED = "button,a[href],summary,[role=button],[role=tab],[role=checkbox],[role=switch],[role=option]";

class PageKeys {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(`[data-ref=${name}]`);
    this.ending = new AbortController();
    const early = { capture: true, signal: this.ending.signal };
    addEventListener("keydown", (event) => this.pressed(event), early);
    addEventListener("pointerdown", () => { this.byPointer = true; }, early);
    // A button may be drawn after this component, or anew while the component stays.
    this.drawn = new MutationObserver(() => this.nameKeys());
    this.drawn.observe(document.body, { childList: true, subtree: true });
    this.part("open").addEventListener("click", () => this.showHelp());
    this.part("close").addEventListener("click", () => this.part("help").close());
    this.part("help").addEventListener("keydown", (event) => {
      if (commandOf(event, this.data.page) === "help") this.part("help").close();
      event.stopPropagation();
    });
  }

  draw(component) {
    this.component = component;
    this.data = component.data;
    this.nameKeys();
  }

  nameKeys() {
    for (const [command, name] of Object.entries(this.data?.buttons ?? {})) {
      const keys = KEY_TABLE.commands[command].map((key) => (key === " " ? "Space" : key.replace("Ctrl", "Control")));
      this.button(name)?.setAttribute("aria-keyshortcuts", keys.join(" "));
    }
  }

  showHelp() {
    this.part("help").showModal();
  }

  button(name) {
    return document.querySelector(`.st-key-${CSS.escape(name)} button`);
  }

  pressed(event) {
    if (event.key === "Tab") this.byPointer = false;
    if (!this.root.isConnected || event.repeat || event.isComposing || event.defaultPrevented) return;
    const target = event.composedPath()[0];
    if (this.part("help").open || this.belongsElsewhere(event, target)) return;
    if (!this.act(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (this.byPointer && target instanceof HTMLElement && target.matches(PRESSED)) target.blur();
  }

  belongsElsewhere(event, target) {
    const host = this.root.getRootNode().host ?? this.root;
    if ([...document.querySelectorAll(DIALOGS)].at(-1) !== (host.closest(DIALOGS) ?? undefined)) return true;
    if (!(target instanceof Element) || target === document.body) return false;
    if (isTyping(target)) return true;
    const inGrid = Boolean(target.closest(".grid"));
    if (!inGrid && target.closest(OPEN_MENUS)) return true;
    return event.key === " " && Boolean(target.closest(PRESSED)) && (inGrid || !this.byPointer);
  }

  /** @returns {boolean} whether the key means something here */
  act(event) {
    const plain = !(event.ctrlKey || event.metaKey || event.altKey) || event.getModifierState?.("AltGraph");
    const id = plain ? this.data.classes[classKeyOf(event)] : undefined;
    if (id !== undefined) {
      this.component.setTriggerValue("class", id);
      return true;
    }
    const command = commandOf(event, this.data.page);
    if (command === "help") {
      this.showHelp();
      return true;
    }
    const button = command && this.data.buttons[command] ? this.button(this.data.buttons[command]) : null;
    if (!button || button.disabled) return false;
    button.click();
    return true;
  }

  close() {
    this.drawn.disconnect();
    this.ending.abort();
  }
}

export default function (component) {
  const root = component.parentElement.querySelector("[data-ref=keys]");
  root.labellerKeys ??= new PageKeys(root);
  root.labellerKeys.draw(component);
  // A clean-up of an earlier call comes when a later one has taken over: then it is not the end.
  return () => setTimeout(() => root.isConnected || root.labellerKeys.close(), 0);
}
