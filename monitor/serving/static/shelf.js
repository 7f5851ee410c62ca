// The line on a card that says that its camera is shelved, until when, by whom and why; and the button that ends it.

import { duration, el, moment, say } from "./text.js";

const SCHEDULE = "schedule"; // What the service says instead of a name where the configuration has a maintenance.

export class ShelfLine {
  /** `end()` takes the camera from the shelf. */
  constructor(end) {
    this.shelf = null;
    this.words = el("p", { class: "shelf-words" });
    this.button = el("button", { type: "button", class: "quiet", "data-needs": "operator" }, "End shelving");
    this.button.addEventListener("click", async () => {
      if (this.button.getAttribute("aria-busy") === "true") return;
      this.button.setAttribute("aria-busy", "true");
      await end();
      this.button.removeAttribute("aria-busy");
    });
    this.root = el("div", { class: "shelf" }, this.words, this.button);
    this.root.hidden = true;
  }

  /** `shelf` as the service tells it, null or undefined where there is none; `now`: the service's clock, ms. */
  update(shelf, now) {
    this.shelf = shelf ?? null;
    this.root.hidden = this.shelf === null;
    if (this.shelf !== null) say(this.words, shelfWords(this.shelf, now));
  }
}

function shelfWords({ until_ms: until, by, why }, now) {
  const left = until > now ? ` (${duration(until - now)} left)` : "";
  const who = by === SCHEDULE ? " by the schedule" : by ? ` by ${by}` : "";
  return `Shelved until ${moment(until, now)}${left}${who}${why ? `: ${why}` : ""}`;
}
