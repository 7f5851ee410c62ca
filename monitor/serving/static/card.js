// One camera's card.

import { BaselinePart } from "./baseline.js";
import { Chart } from "./chart.js";
import { Failure, getJson, postJson, serviceNow } from "./net.js";
import { Notice } from "./notice.js";
import { Orders, poster } from "./orders.js";
import { Picture } from "./picture.js";
import { RegionOverlay } from "./region.js";
import { isOver, Series } from "./series.js";
import { ShelfLine } from "./shelf.js";
import { CONDITIONS, count, duration, el, raw, say } from "./text.js";

const GAP_MS = 3000;
const SILENT_MS = 3000; // Without a word from the service for so long, its word on what is stale is worth nothing.

export class Card {
  /** `orders` shows what can be done to the camera, and does it. */
  constructor(name, orders) {
    this.name = name;
    this.orders = orders;
    this.path = `/api/cameras/${encodeURIComponent(name)}`;
    this.post = poster(this.path);
    this.view = null;
    this.heardAt = performance.now();
    this.near = true;
    this.series = new Series();
    this.build();
    this.picture = new Picture(this.frame, `${this.path}/latest.jpg`, `Newest picture of camera ${name}`);
    this.chart = new Chart(this.canvas);
  }

  build() {
    this.baseline = new BaselinePart(this.name, this.path);
    this.notice = new Notice();
    this.region = new RegionOverlay();
    this.shelf = new ShelfLine(() => this.orders.unshelve(this));
    this.product = el("span", { class: "product" });
    this.episode = el("p", { class: "episode" });
    this.menu = el("button", { type: "button", class: "quiet more", "aria-haspopup": "menu", "aria-expanded": "false",
      "data-needs": "operator", "aria-label": `Actions for camera ${this.name}`, title: "Shelve, freeze, reset, ..." }, "⋯");
    this.menu.addEventListener("click", () => this.orders.openFor(this, this.menu));
    this.up = el("span", { class: "badge up" });
    this.veil = el("p", { class: "veil" });
    this.trouble = el("p", { class: "trouble" });
    this.accept = el("button", { type: "button", class: "quiet accept", "data-needs": "admin", title: "The camera is meant to look like this: learn its view anew" },
      "Accept this view");
    this.accept.addEventListener("click", () => this.acceptView());
    this.frame = el("div", { class: "frame" }, this.region.root, this.veil,
      el("div", { class: "stack" }, this.episode, el("div", { class: "troubles" }, this.trouble, this.accept)));
    this.score = el("strong", { class: "score" });
    this.against = el("span", { class: "against" });
    this.fps = el("span", { class: "fps" });
    this.canvas = el("canvas", { class: "chart", role: "img" });
    this.sum = el("summary");
    this.reasons = el("dl", { class: "reasons" });
    this.root = el("article", { class: "card", "data-camera": this.name, "aria-label": `Camera ${this.name}`, tabindex: "-1" },
      el("header", {}, el("h3", { title: this.name }, this.name), this.product, this.up, this.menu),
      this.frame, this.shelf.root, this.notice.root,
      el("div", { class: "readings" },
        el("div", { class: "numbers" }, this.score, this.against, this.fps),
        this.canvas),
      this.baseline.root,
      el("details", { class: "ledger" }, this.sum, this.reasons));
  }

  /** Take in what the service says of this camera now. */
  update(view) {
    const last = this.view;
    this.view = view;
    this.heardAt = performance.now();
    if (last && view.captured_at !== null && view.captured_at / 1e6 < this.series.newest - 1000) this.series.clear();
    this.badges();
    this.numbers();
    this.ledger();
  }

  get stamp() {
    return this.view && this.view.captured_at !== null ? `${this.view.seq}@${this.view.captured_at}` : null;
  }

  /** The time in ms that it is where this camera stands; for a film of old frames that is long ago. */
  get now() {
    if (!this.view || this.view.captured_at === null) return Date.now();
    return this.view.captured_at / 1e6 + this.ageMs;
  }

  /** Since the newest verdict, in ms, also while the service is silent; null before the first. */
  get ageMs() {
    if (!this.view || this.view.age_s === null) return null;
    return this.view.age_s * 1000 + performance.now() - this.heardAt;
  }

  /** What is on the screen now, to be told of later: {image, capturedMs}, or null. */
  get shown() {
    const { image, capturedMs } = this.picture;
    return image && capturedMs !== null ? { image, capturedMs } : null;
  }

  /** Say on the card what became of something that was done to it. */
  tell(words, bad = false) {
    this.notice.tell(words, bad);
  }

  badges() {
    const { up, firing, episode } = this.view;
    this.root.classList.toggle("firing", firing !== null);
    this.root.classList.toggle("down", !up);
    say(this.up, up ? "up" : "down");
    this.up.className = up ? "badge up" : "badge down";
    const { troubles } = this.view;
    this.root.classList.toggle("troubled", troubles.length > 0);
    say(this.trouble, troubles.length > 0 ? `Camera ${troubles.map((name) => CONDITIONS[name] ?? name).join(", ")}: alerts held back` : "");
    this.trouble.parentElement.hidden = troubles.length === 0;
    this.accept.hidden = !troubles.some((name) => ["blurred", "covered", "moved", "relit"].includes(name));
    const [stage, words, means] = stageOf(firing, episode);
    say(this.episode, words);
    this.episode.className = `episode ${stage}`;
    this.episode.title = means;
    this.episode.hidden = words === "";
    this.baseline.update(this.view);
    this.shelf.update(this.view.shelved, serviceNow());
    this.root.classList.toggle("shelved", Boolean(this.view.shelved));
    say(this.product, this.view.product ?? "");
    this.product.title = this.view.product ? `Product: ${this.view.product}` : "";
    this.product.hidden = !this.view.product;
    this.menu.hidden = !Orders.known(this.view);
    this.region.update(this.view.region ?? null, this.picture.image);
    this.age();
  }

  /** Somebody says that the camera shall look as it does now. */
  async acceptView() {
    this.accept.setAttribute("aria-busy", "true");
    try {
      await postJson(`${this.path}/accept-view`, {});
      say(this.accept, "Learning it");
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      say(this.accept, `Not taken: ${error.message}`);
    }
    this.accept.removeAttribute("aria-busy");
    setTimeout(() => say(this.accept, "Accept this view"), 5000);
  }

  /** How old the picture is, where it is old. Called every second as well. */
  age() {
    const age = this.ageMs;
    const silent = performance.now() - this.heardAt > SILENT_MS;
    const stale = age === null || this.view.stale || silent;
    this.root.classList.toggle("stale", stale && age !== null);
    if (age === null) say(this.veil, this.view.up ? "No picture judged yet" : "No picture yet: the camera is down");
    else say(this.veil, stale ? `Stale: ${duration(age)} old` : "");
    this.veil.hidden = !stale;
  }

  numbers() {
    const { normalised, threshold, score, limit, low, high, fps } = this.view;
    if (score === null) {
      say(this.score, "–");
      say(this.against, "no score yet");
      say(this.fps, "");
      return;
    }
    const over = isOver(score, limit, threshold);
    this.score.classList.toggle("over", over);
    this.score.classList.toggle("raw", this.scale === "raw");
    if (this.scale === "raw") {
      say(this.score, raw(score));
      say(this.against, `limit ${raw(limit)}`);
    } else {
      say(this.score, normalised.toFixed(2));
      say(this.against, `limit ${threshold.toFixed(2)}`);
    }
    this.score.title = `raw ${raw(score)}, limit ${raw(limit)}, range ${raw(low)} to ${raw(high)}`;
    say(this.fps, this.view.stale ? "no new frames" : `${fps.toFixed(1)} fps`);
    this.canvas.setAttribute("aria-label",
      `Score of camera ${this.name}: ${normalised.toFixed(2)}, limit ${threshold.toFixed(2)}${over ? ", above it" : ""}`);
  }

  ledger() {
    const { captured, scored, dropped, failed, in_flight: flying } = this.view.ledger;
    const total = (reasons) => Object.values(reasons).reduce((sum, number) => sum + number, 0);
    const more = flying ? ` + ${count(flying)} in flight` : "";
    say(this.sum, `${count(captured)} captured = ${count(scored)} scored + ${count(total(dropped))} dropped`
      + ` + ${count(total(failed))} failed${more}`);
    const held = Object.entries(this.view.held_back);
    const rows = [
      ...Object.entries(dropped).map(([reason, number]) => [`dropped: ${words(reason)}`, number]),
      ...Object.entries(failed).map(([reason, number]) => [`failed: ${words(reason)}`, number]),
    ];
    rows.push(...held.map(([reason, number]) => [`alerts held back: ${words(reason)}`, number]));
    const told = rows.length ? rows.map(([what, number]) => `${what} ${count(number)}`).join("\n") : "No frame was dropped or failed.";
    this.sum.title = told;
    this.sum.classList.toggle("losses", total(failed) > 0);
    if (this.told === told) return;
    this.told = told;
    this.reasons.replaceChildren(...(rows.length
      ? rows.map(([what, number]) => el("div", {}, el("dt", {}, what), el("dd", {}, count(number))))
      : [el("div", {}, el("dt", {}, told))]));
  }

  /** Fetch the scores that are new since the last time. */
  async readScores() {
    if (!this.near || !this.view || this.view.captured_at === null) return;
    try {
      const points = await getJson(`${this.path}/scores?since_ms=${this.series.newest}`);
      this.series.append(points);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // The poll for the cameras tells of lost connections.
    }
  }

  /** Draw the chart. `stretches`: when alerts of this camera fired, [from, to] in ms. */
  draw(view, stretches) {
    this.scale = view.scale;
    if (!this.near || !this.view) return;
    const gap = Math.max(GAP_MS, this.view.fps > 0 ? 4000 / this.view.fps : 0);
    this.chart.draw(this.series, this.now, view, stretches, gap);
    this.numbers();
  }
}

/** What the card says of the episode, as [class, words, what that means]; no words while all is quiet. */
function stageOf(firing, episode) {
  if (episode === "recovering") return ["recovering", "ALERT, recovering", "Scores are normal again; after enough such frames the alert ends."];
  if (firing !== null || episode === "firing") return ["firing", "ALERT", ""];
  if (episode === "pending") return ["pending", "pending", "Anomalous frames, not yet enough of them for an alert."];
  return ["", "", ""];
}

function words(reason) {
  return reason.replaceAll("_", " ");
}
