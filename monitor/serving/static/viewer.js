// The large view of one alert: its picture, its heat map and its clip side by side.

import { showPicture } from "./alert_row.js";
import { Answers } from "./answers.js";
import { Clip } from "./clip.js";
import { headingWords, heldBackWords, isAboutPart, lastingWords, markWords, peakWords } from "./alert_words.js";
import { clock, say } from "./text.js";

export class Viewer {
  /** `page`: what Answers takes, nowOf(camera), alertOf(id), beside(id, step) for the next newer (-1) or older (1) alert's id. */
  constructor(page) {
    this.page = page;
    this.id = null;
    const part = (name) => document.getElementById(name ? `viewer-${name}` : "viewer");
    this.dialog = part("");
    this.title = part("title");
    this.facts = part("facts");
    this.evidence = part("evidence");
    this.heatmap = part("heatmap");
    this.clip = new Clip(part("clip"));
    this.answers = new Answers(page, { small: false });
    part("actions").append(this.answers.root);
    part("close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => {
      this.id = null;
      this.clip.show(null);
    });
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // Beside the content: on the backdrop.
    });
    this.dialog.addEventListener("keydown", (event) => {
      if (event.target.closest("video")) return; // There the arrows wind the clip.
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const other = step && page.beside(this.id, step);
      if (other) this.open(other);
    });
  }

  open(id) {
    this.id = id;
    this.update();
    if (!this.dialog.open) this.dialog.showModal();
  }

  /** Show what is known now of the alert that is open. */
  update() {
    const alert = this.id === null ? undefined : this.page.alertOf(this.id);
    if (!alert) return;
    const now = this.page.nowOf(alert.camera);
    say(this.title, headingWords(alert));
    say(this.facts, [
      `started ${clock(alert.started_at / 1e6, now)}`, lastingWords(alert, now), peakWords(alert), ...heldBackWords(alert),
      ...(alert.frame === null ? [] : [`frame ${alert.frame.seq} (${alert.frame.origin})`]),
      `model ${alert.model}`, ...markWords(alert, now),
    ].filter(Boolean).join(" · "));
    this.heatmap.parentElement.hidden = !isAboutPart(alert);
    this.answers.update(alert);
    showPicture(this.evidence, alert, "evidence");
    showPicture(this.heatmap, alert, "heatmap");
    this.clip.show(alert);
  }
}
