// All cards: which there are, which are near the screen, and when their pictures and charts are refreshed.

import { Card } from "./card.js";
import { recall, remember } from "./prefs.js";
import { el } from "./text.js";

/** How many cameras at most share the page how; the style sheet says what that means. */
const SIZES = [[1, "one"], [2, "two"], [4, "few"], [9, "some"], [Infinity, "many"]];

export class Cameras {
  /** `stretchesOf(camera, now)` tells when its alerts fired, [from, to] in ms; `orders` takes what is to be done. */
  constructor(place, stretchesOf, orders) {
    this.place = place;
    this.stretchesOf = stretchesOf;
    this.orders = orders;
    this.cards = new Map();
    this.view = {
      scale: recall("scale", "normalised") === "raw" ? "raw" : "normalised",
      minutes: recall("minutes", "2") === "5" ? 5 : 2,
      regions: recall("regions", "shown") !== "hidden",
    };
    this.watch = new IntersectionObserver((seen) => this.moved(seen), { rootMargin: "200px" });
    this.sizes = new ResizeObserver(() => {
      this.draw();
      for (const card of this.cards.values()) card.baseline.show();
    });
    this.sizes.observe(place);
    this.switches("scale", (value) => { this.view.scale = value; });
    this.switches("minutes", (value) => { this.view.minutes = Number(value); });
    this.regions = document.getElementById("regions");
    this.regions.addEventListener("click", () => this.showRegions(!this.view.regions));
    this.showRegions(this.view.regions);
  }

  /** Take in the service's list: cards come, change and go. */
  update(views) {
    const known = new Set(views.map((view) => view.camera));
    for (const [name, card] of this.cards) {
      if (known.has(name)) continue;
      this.watch.unobserve(card.root);
      card.root.remove();
      card.picture.release();
      this.cards.delete(name);
    }
    views.forEach((view, nth) => {
      let card = this.cards.get(view.camera);
      if (!card) {
        card = new Card(view.camera, this.orders);
        card.scale = this.view.scale;
        this.cards.set(view.camera, card);
        this.place.insertBefore(card.root, this.place.children[nth] ?? null);
        this.watch.observe(card.root);
      }
      card.update(view);
    });
    this.regions.hidden = !views.some((view) => view.region);
    this.place.dataset.size = SIZES.find(([most]) => views.length <= most)[1];
  }

  /** Fetch new pictures of the cards that can be seen. Not waited for: a slow one must not hold up the others. */
  refreshPictures() {
    for (const card of this.cards.values()) {
      if (card.near && card.stamp !== null) void card.picture.refresh(card.stamp);
    }
  }

  async readScores() {
    await Promise.all([...this.cards.values()].flatMap((card) => [card.readScores(), card.near ? card.baseline.read() : null]));
    this.draw();
  }

  draw() {
    for (const card of this.cards.values()) card.draw(this.view, this.stretchesOf(card.name, card.now));
  }

  /** Bring a camera's card into sight; whether there is one. */
  show(name) {
    const card = this.cards.get(name);
    card?.root.scrollIntoView({ block: "center" });
    card?.root.focus({ preventScroll: true });
    return card !== undefined;
  }

  age() {
    for (const card of this.cards.values()) card.age();
  }

  /** The products that are in use, by name. */
  products() {
    const all = [...this.cards.values()].map((card) => card.view?.product).filter(Boolean);
    return [...new Set(all)].sort();
  }

  showRegions(shown) {
    this.view.regions = shown;
    remember("regions", shown ? "shown" : "hidden");
    this.regions.setAttribute("aria-pressed", String(shown));
    this.place.classList.toggle("no-regions", !shown);
  }

  moved(seen) {
    for (const { target, isIntersecting } of seen) {
      const card = this.cards.get(target.dataset.camera);
      if (card) card.near = isIntersecting;
    }
  }

  switches(key, choose) {
    const buttons = [...document.querySelectorAll(`button[data-${key}]`)];
    const mark = () => {
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset[key] === String(this.view[key])));
    };
    for (const button of buttons) {
      button.addEventListener("click", () => {
        choose(button.dataset[key]);
        remember(key, button.dataset[key]);
        mark();
        this.draw();
      });
    }
    mark();
  }
}

/** What the page says where there is no camera. */
export function emptyWords(place) {
  place.replaceChildren(
    el("strong", {}, "No cameras yet"),
    "A camera appears here with its first frame. If none comes, look at the section sources of the configuration; "
    + "the command ", el("code", {}, "linewatch doctor"), " tells which of them answer.");
}
