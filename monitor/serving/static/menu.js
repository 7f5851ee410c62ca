// One small menu for all cards: it opens beside a button, and goes with Escape, a choice or a click elsewhere.

import { el } from "./text.js";

const GAP = 4;

export class Menu {
  constructor() {
    this.root = el("div", { class: "menu", popover: "auto", role: "menu" });
    this.anchor = null;
    document.body.append(this.root);
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("toggle", (event) => {
      this.anchor?.setAttribute("aria-expanded", String(event.newState === "open"));
    });
    addEventListener("scroll", () => this.follow(), { capture: true, passive: true });
    addEventListener("resize", () => this.follow());
  }

  /** `items`: [words, act, danger]; `name`: what a screen reader calls the menu. */
  open(anchor, name, items) {
    this.close();
    this.anchor = anchor;
    this.root.setAttribute("aria-label", name);
    this.root.replaceChildren(...items.map(([words, act, danger]) => {
      const item = el("button", { type: "button", role: "menuitem", tabindex: "-1", class: danger ? "danger" : "" }, words);
      item.addEventListener("click", () => {
        this.close();
        act();
      });
      return item;
    }));
    this.root.showPopover();
    this.place();
    this.root.firstElementChild?.focus({ preventScroll: true });
  }

  close() {
    if (this.root.matches(":popover-open")) this.root.hidePopover(); // Gives the focus back to where it was.
  }

  /** Stay beside the button while the page scrolls; one that cannot be seen any more has no menu. */
  follow() {
    if (!this.root.matches(":popover-open")) return;
    const { top, bottom, height } = this.anchor.getBoundingClientRect();
    if (bottom < 0 || top > innerHeight || height === 0) this.close();
    else this.place();
  }

  place() {
    const from = this.anchor.getBoundingClientRect();
    const { offsetWidth: wide, offsetHeight: tall } = this.root;
    const below = from.bottom + GAP + tall <= innerHeight;
    this.root.style.left = `${Math.max(GAP, Math.min(from.right, innerWidth - GAP) - wide)}px`;
    this.root.style.top = `${below ? from.bottom + GAP : Math.max(GAP, from.top - GAP - tall)}px`;
  }

  key(event) {
    const items = [...this.root.children];
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Tab") this.close();
    if (to === undefined) return;
    event.preventDefault();
    items.at(to % items.length)?.focus();
  }
}
