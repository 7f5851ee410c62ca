// The part of a card that tells of its baseline: one line always, the distribution where somebody opens it.

import { distributionWords, Histogram } from "./distribution.js";
import { life, thresholdWords } from "./life.js";
import { Failure, getJson } from "./net.js";
import { count, el, moment, raw, say } from "./text.js";

const EVERY_MS = 3000;
let made = 0;

export class BaselinePart {
  constructor(camera, path) {
    this.camera = camera;
    this.path = `${path}/baseline`;
    this.told = null;
    this.view = null;
    this.readAt = -Infinity;
    this.reading = false;
    const id = `baseline-${made += 1}`;
    this.state = el("span", { class: "state" });
    this.from = el("span", { class: "threshold-from" });
    this.fold = el("button", { type: "button", class: "fold", "aria-expanded": "false", "aria-controls": id },
      el("span", { class: "fold-words" }, this.state, this.from));
    this.fold.addEventListener("click", () => this.toggle());
    this.canvas = el("canvas", { class: "histogram", role: "img" });
    this.facts = el("dl", { class: "facts-list" });
    this.trouble = el("p", { class: "note bad", role: "status" });
    this.trouble.hidden = true;
    this.body = el("div", { class: "fold-body", id }, this.trouble, this.canvas, this.facts);
    this.body.hidden = true;
    this.canvas.hidden = true;
    this.root = el("section", { class: "baseline", "aria-label": `Baseline of camera ${camera}` }, this.fold, this.body);
    this.histogram = new Histogram(this.canvas);
  }

  get open() {
    return !this.body.hidden;
  }

  /** The baseline that is looked at now, for an order about it: {product, model}, what is known of these. */
  get meant() {
    const product = this.view?.product;
    // The list does not tell the model; the full account does, and is of now only where it is open.
    return this.open && this.told?.product === product ? { product, model: this.told.model } : { product };
  }

  /** Take in what the list of cameras says. */
  update(view) {
    this.view = view;
    const { phase, words, means } = life(view);
    say(this.state, words);
    this.state.className = `state ${phase}`;
    this.state.title = means;
    const from = thresholdWords(view.threshold_from);
    say(this.from, from);
    this.from.hidden = from === "";
    // A service that knows no baselines has nothing to open; its line stays.
    this.fold.disabled = view.baseline === undefined;
    this.root.hidden = words === "" && from === "";
  }

  toggle() {
    this.body.hidden = this.open;
    this.fold.setAttribute("aria-expanded", String(this.open));
    this.readAt = -Infinity;
    if (this.open) void this.read();
  }

  /** Fetch the distribution, where it is open and was not fetched just now. */
  async read() {
    if (!this.open || this.reading || performance.now() - this.readAt < EVERY_MS) return;
    this.reading = true;
    try {
      this.take(await getJson(this.path));
      this.trouble.hidden = true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const old = this.told === null ? "" : " What is shown is what was known before.";
      say(this.trouble, `The baseline cannot be read now: ${error.message}.${old}`);
      this.trouble.hidden = false;
    } finally {
      this.reading = false;
      this.readAt = performance.now();
    }
  }

  /** Take in the service's full account of the baseline. */
  take(told) {
    this.told = told;
    this.show();
  }

  /** Draw again, say after the card changed its width. */
  show() {
    if (!this.open || this.told === null) return;
    const some = (this.told.distribution?.counts.length ?? 0) > 0; // An empty window has no distribution.
    this.canvas.hidden = !some;
    if (some) {
      this.canvas.setAttribute("aria-label", `Distribution of the scores of camera ${this.camera}: ${distributionWords(this.told)}`);
      this.histogram.draw(this.told, this.view?.score ?? null);
    }
    this.tell(factsOf(this.told, this.view?.p_value ?? null));
  }

  tell(facts) {
    const told = JSON.stringify(facts);
    if (this.shown === told) return;
    this.shown = told;
    this.facts.replaceChildren(...facts.map(([what, words]) => el("div", {}, el("dt", {}, what), el("dd", {}, words))));
  }
}

/** What is worth knowing beside the picture, as [what, words]. */
function factsOf(told, p) {
  const number = (value) => (value === null ? "–" : raw(value));
  const when = (ms) => (ms ? moment(ms) : "–");
  return [
    ["Frames in the window", count(told.count)],
    ["Range", `${number(told.low)} to ${number(told.high)}`],
    ["Limit", number(told.limit)],
    ["Refused as anomalous", `${count(told.refused)} of ${count(told.relearn_after)} that would be a new normal`],
    ...(p === null ? [] : [["As high as the newest or higher", share(p)]]),
    ["Learning since", when(told.began_ms)],
    ["Ready since", when(told.ready_ms)],
    ["Newest frame learnt", when(told.newest_ms)],
    ...(told.relearnt ? [["Learnt anew", `${count(told.relearnt)} ×, last ${when(told.relearnt_ms)}`]] : []),
    ...(told.product ? [["Product", told.product]] : []),
    ["Model", told.model],
  ];
}

/** 0.012 as 1.2 %. */
function share(p) {
  return `${Number((p * 100).toPrecision(2))} % of the window`;
}
