// What became of something that a person did to a camera, on its card: a success goes by itself, a refusal stays.

import { el, say } from "./text.js";

const SHOWN_MS = 8000;

export class Notice {
  constructor() {
    this.words = el("span", { role: "status" });
    this.close = el("button", { type: "button", class: "quiet", "aria-label": "Put this message away" }, "×");
    this.close.addEventListener("click", () => this.clear());
    this.root = el("div", { class: "notice" }, this.words, this.close);
    this.timer = 0;
    this.clear();
  }

  tell(words, bad = false) {
    clearTimeout(this.timer);
    this.root.hidden = false;
    this.root.classList.toggle("bad", bad);
    say(this.words, words);
    if (!bad) this.timer = setTimeout(() => this.clear(), SHOWN_MS);
  }

  clear() {
    this.root.hidden = true;
    say(this.words, "");
  }
}
