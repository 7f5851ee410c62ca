// What a person can do to a camera: shelve it, freeze, thaw and reset its baseline, mark a missed defect, change its
// product. What is refused is told in the dialog that asked, or on the card.

import { choice, line, still } from "./dialog.js";
import { may } from "./me.js";
import { Failure, postJson } from "./net.js";
import { clock, moment } from "./text.js";
import { actor } from "./who.js";

const WEEK_MIN = 10_080; // The longest that the service shelves.

export class Orders {
  /** `products()`: those in use. `noted(alert)`: an alert that came of an order. */
  constructor({ ask, menu, products, noted }) {
    this.ask = ask;
    this.menu = menu;
    this.products = products;
    this.noted = noted;
  }

  /** Whether this service takes orders for the camera. */
  static known(view) {
    return view.shelved !== undefined || view.baseline !== undefined;
  }

  openFor(card, anchor) {
    const { view } = card;
    const shown = card.shown; // Of now: while the menu is open the camera goes on.
    const meant = card.baseline.meant; // Likewise: the line may change over.
    const items = [];
    if (view.shelved !== undefined) items.push([view.shelved ? "Change shelving…" : "Shelve…", () => this.shelve(card)]);
    if (view.shelved) items.push(["End shelving", () => this.unshelve(card)]);
    if (view.baseline?.frozen && may("admin")) items.push(["Thaw baseline", () => this.thaw(card, meant)]);
    else if (view.baseline && may("admin")) items.push(["Freeze baseline", () => this.freeze(card, meant)]);
    if (shown) items.push(["Missed defect…", () => this.missed(card, shown)]);
    if (this.products().length > 0) items.push(["Product…", () => this.product(card)]);
    if (view.baseline && may("admin")) items.push(["Reset baseline…", () => this.reset(card, meant), true]);
    if (items.length > 0) this.menu.open(anchor, `Actions for camera ${card.name}`, items);
  }

  /** `tell(words)` says what became of it, besides the card. */
  shelve(card, tell = () => {}) {
    this.ask.open({
      title: `Shelve ${card.name}`,
      text: "Until then this camera raises no anomaly alerts, and what it sees is not learnt. It comes back by itself.",
      fields: [
        choice("minutes", "For how long", [[15, "15 min"], [60, "1 h"], [480, "8 h"]],
          { label: "other, min", says: "Minutes", least: 1, most: WEEK_MIN }),
        line("why", "Why", { needed: "Say why, so that the next shift knows." }),
      ],
      action: "Shelve",
      act: async ({ minutes, why }) => {
        const shelf = await card.post("shelve", { minutes, by: actor(), why });
        card.tell(`Shelved until ${moment(shelf.until_ms)}.`);
        tell(`${card.name} is shelved until ${moment(shelf.until_ms)}.`);
      },
    });
  }

  unshelve(card) {
    return this.now(card, async () => {
      await card.post("unshelve", { by: actor() });
      if (card.shelf.root.contains(document.activeElement)) card.menu.focus(); // The line goes, and its button with it.
      card.tell("No longer shelved.");
    });
  }

  freeze(card, meant) {
    return this.now(card, async () => {
      card.baseline.take(await card.post("baseline/freeze", { ...meant, by: actor() }));
      card.tell("Frozen: from now on it neither learns nor forgets.");
    });
  }

  thaw(card, meant) {
    return this.now(card, async () => {
      card.baseline.take(await card.post("baseline/thaw", { ...meant, by: actor() }));
      card.tell("Thawed: it learns again.");
    });
  }

  reset(card, meant) {
    const product = meant.product ? ` with ${meant.product}` : "";
    this.ask.open({
      title: `Reset the baseline of ${card.name}?`,
      text: `What was learnt of this camera${product} is thrown away, for good. It begins again with its next frames; `
        + "until enough of them came, scores are held against the calibration of the model, and alerts may be more or fewer than wished.",
      action: "Reset baseline",
      danger: true,
      act: async () => {
        card.baseline.take(await card.post("baseline/reset", { ...meant, by: actor() }));
        card.tell("Reset: it learns anew.");
      },
    });
  }

  missed(card, { image, capturedMs: at }) {
    this.ask.open({
      title: `Missed defect on ${card.name}`,
      text: `There is a defect in this picture of ${clock(at)}, and no alert told of it. The picture is kept, and what `
        + "was seen around that time leaves the baseline.",
      fields: [
        still(image, `Picture of camera ${card.name} of ${clock(at)}`),
        choice("seconds", "What leaves the baseline", [[5, "5 s around it"], [30, "30 s"], [120, "2 min"]]),
      ],
      action: "Mark it",
      act: async ({ seconds }) => {
        this.noted(await card.post("missed", { by: actor(), seconds, at_ms: at }));
        card.tell("Marked as a missed defect. Thank you.");
      },
    });
  }

  product(card) {
    const now = card.view.product ?? "";
    const hand = line("name", "Product", { most: 128, known: this.products(), value: now, needed: "" });
    const how = choice("how", "What this camera sees", [["hand", "the product below, until somebody changes it"], ["plan", "as its frames or the plan say"]]);
    hand.problem = () => (how.value() === "hand" && hand.value() === "" ? "Name the product." : "");
    this.ask.open({
      title: `Product of ${card.name}`,
      text: "Each product has a baseline and a threshold of its own; they change at once.",
      fields: [how, hand],
      action: "Set product",
      act: async ({ how: manner, name }) => {
        const told = await card.post("product", { product: manner === "hand" ? name : null, by: actor() });
        card.tell(told.product ? `Product: ${told.product}.` : "The product follows the frames and the plan.");
      },
    });
  }

  /** Do what needs no question; a refusal is told on the card. */
  async now(card, act) {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      card.tell(`Not done: ${error.message}.`, true);
    }
  }
}

/** Orders of one camera go to addresses below its own. */
export function poster(path) {
  return (what, content) => postJson(`${path}/${what}`, content);
}
