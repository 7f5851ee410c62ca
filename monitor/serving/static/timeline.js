// The timeline: what happened on all cameras in the last hours, at a glance.

import { EVERYWHERE } from "./alert_words.js";
import { Failure, serviceNow } from "./net.js";
import { recall, remember } from "./prefs.js";
import { count, el, say } from "./text.js";
import { drawAxis, Lanes } from "./timeline_lanes.js";
import { readSince } from "./timeline_reader.js";

const HOUR_MS = 3_600_000;
const RANGES = ["1", "8", "24"];
const STEPS = 900; // It is drawn so often while its whole range goes by: about once a pixel.

export class Timeline {
  /** `open(id)` shows an alert. `nowOf(camera)`: the time in ms where it stands. */
  constructor({ open, nowOf }) {
    this.known = new Map();
    this.cameras = [];
    this.oldest = null;
    this.drawnAt = -Infinity;
    this.hours = Number(RANGES.includes(recall("hours", "1")) ? recall("hours", "1") : "1");
    this.part = Object.fromEntries(["timeline", "timeline-fold", "timeline-body", "timeline-lanes", "timeline-axis",
      "timeline-bands", "timeline-scroll", "timeline-trouble", "timeline-sum"].map((id) => [id.replace(/^timeline-?/, "") || "root", document.getElementById(id)]));
    this.tip = el("div", { class: "tip", "aria-hidden": "true" });
    this.tip.hidden = true;
    document.body.append(this.tip);
    this.lanes = new Lanes(this.part.lanes, { open, nowOf, tell: (words, bar) => this.tell(words, bar) });
    this.part.fold.addEventListener("click", () => {
      this.unfold(!this.open);
      remember("timeline", this.open ? "open" : "folded");
      void this.read();
    });
    this.unfold(recall("timeline", "open") !== "folded");
    this.part.body.addEventListener("scroll", () => this.tell("", null), { capture: true, passive: true });
    new ResizeObserver(() => this.draw()).observe(this.part.axis);
    this.switches();
  }

  get open() {
    return !this.part.body.hidden;
  }

  get(id) {
    return this.known.get(id);
  }

  /** Read what is shown from the service. Keeps what it has where that fails, and says so. */
  async read() {
    if (!this.open) return;
    try {
      const { alerts, oldest } = await readSince(serviceNow() - this.hours * HOUR_MS);
      this.known = alerts;
      this.oldest = oldest;
      this.part.trouble.hidden = oldest === null;
      if (oldest !== null) say(this.part.trouble, "There are more alerts than fit here; the oldest are not drawn.");
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      say(this.part.trouble, `The timeline cannot be read now: ${error.message}.`);
      this.part.trouble.hidden = false;
    }
    this.draw();
  }

  /** Take in alerts that the page heard of otherwise. */
  take(alerts) {
    let news = false;
    for (const alert of alerts) {
      if (this.known.get(alert.alert_id) === alert) continue;
      this.known.set(alert.alert_id, alert);
      news = true;
    }
    if (news) this.draw();
  }

  /** The cameras there are, in the order of the cards. */
  setCameras(names) {
    if (names.length === this.cameras.length && names.every((name, nth) => name === this.cameras[nth])) return;
    this.cameras = names;
    this.part.root.hidden = names.length === 0;
    this.part.lanes.classList.toggle("many", names.length > 10);
    this.draw();
  }

  /** Time goes on: called every second, draws when that makes a pixel. */
  tick() {
    if (performance.now() - this.drawnAt > (this.hours * HOUR_MS) / STEPS) this.draw();
  }

  draw() {
    if (!this.open || this.part.root.hidden || document.visibilityState === "hidden") return;
    this.drawnAt = performance.now();
    const now = serviceNow();
    const from = now - this.hours * HOUR_MS;
    const seen = this.lanes.draw(this.cameras, [...this.known.values()], from, now);
    // The scroll bar of many lanes takes room that the axis has to leave free as well.
    this.part.body.style.setProperty("--bar", `${this.part.scroll.offsetWidth - this.part.scroll.clientWidth}px`);
    drawAxis(this.part.axis, from, now);
    this.bands(seen.filter((alert) => alert.camera === EVERYWHERE), from, now);
    const last = this.hours === 1 ? "hour" : `${this.hours} hours`;
    say(this.part.sum, `${count(seen.length)} ${seen.length === 1 ? "alert" : "alerts"} in the last ${last}`);
  }

  /** A storm lies behind all lanes. */
  bands(storms, from, now) {
    const place = this.part.bands;
    while (place.children.length > storms.length) place.lastChild.remove();
    storms.forEach((alert, nth) => {
      const node = place.children[nth] ?? place.appendChild(el("div", { class: "storm-band" }));
      const begin = Math.max(this.lanes.begin(alert, now), from);
      node.style.left = `${((begin - from) / (now - from)) * 100}%`;
      node.style.width = `${((this.lanes.end(alert, now) - begin) / (now - from)) * 100}%`;
    });
  }

  /** Words beside a bar, or none. */
  tell(words, bar) {
    this.tip.hidden = words === "";
    if (words === "") return;
    say(this.tip, words);
    const at = bar.getBoundingClientRect();
    const { offsetWidth: wide, offsetHeight: tall } = this.tip;
    this.tip.style.left = `${Math.max(8, Math.min(at.left + at.width / 2 - wide / 2, innerWidth - wide - 8))}px`;
    this.tip.style.top = `${at.top - tall - 8 > 0 ? at.top - tall - 8 : at.bottom + 8}px`;
  }

  unfold(open) {
    this.part.body.hidden = !open;
    this.part.fold.setAttribute("aria-expanded", String(open));
    if (!open) say(this.part.sum, "");
  }

  switches() {
    const buttons = [...this.part.root.querySelectorAll("button[data-hours]")];
    const mark = () => {
      for (const button of buttons) button.setAttribute("aria-pressed", String(Number(button.dataset.hours) === this.hours));
    };
    for (const button of buttons) {
      button.addEventListener("click", () => {
        this.hours = Number(button.dataset.hours);
        remember("hours", button.dataset.hours);
        mark();
        this.unfold(true);
        this.draw(); // What is known already; the rest comes in a moment.
        void this.read();
      });
    }
    mark();
  }
}
