// The form for one subscription. It says in words what is meant, and shows what the service refuses where it is wrong.

import { newId } from "./fields.js";
import { Failure } from "./net.js";
import { fieldsOf, subscriptionOf } from "./subscription_fields.js";
import { sentence } from "./subscription_words.js";
import { el, say } from "./text.js";

/** Where the service's model has what a field shows; the longest beginning that fits. */
const PLACES = {
  name: "name", to: "to", enabled: "enabled", cameras: "cameras", lines: "lines", tags: "tags", from_severity: "severity",
  kinds: "kinds", tell: "tell", when: "timezone", "when.working": "working", "when.quiet": "quiet", "when.critical_passes": "passes",
  "when.missed": "missed", how_often: "often", "how_often.group_s": "group", "how_often.digest": "often",
  "how_often.digest.at": "at", "how_often.digest.every_s": "every", escalate: "escalateTo", "escalate.after_s": "after",
};
/** What a refusal is about, by its words: it does not say where. */
const ABOUT = [[/escalat/i, "escalateTo"], [/no channel/i, "to"], [/^when\b|hours/i, "working"], [/already|exists|the name/i, "name"]];

export class SubscriptionForm {
  /** `context`: {name, channels, others, cameras, save(subscription)}; `save` throws Failure where it is refused. */
  constructor(subscription, context) {
    this.context = context;
    const fields = this.fields = fieldsOf(subscription, context);
    this.words = el("output", { class: "form-words" });
    this.trouble = el("p", { class: "note bad", role: "alert" });
    this.trouble.hidden = true;
    this.cancel = el("button", { type: "button", class: "quiet" }, "Cancel");
    this.go = el("button", { type: "submit", class: "primary" }, "Save");
    this.whole = el("div", { class: "part-hours" }, fields.passes.root, fields.missed.root);
    this.zone = el("div", {}, fields.timezone.root);
    this.escalation = el("div", { class: "pair" }, fields.escalateTo.root, fields.after.root, fields.resolvedToo.root);
    this.root = el("form", { class: "sub-form", novalidate: "" },
      part("Who is told", fields.name, fields.to),
      part("What", fields.kinds, fields.severity, fields.tell),
      part("Where", fields.cameras, fields.lines, fields.tags),
      part("How often", fields.often, fields.group, fields.at, fields.every),
      part("When", fields.working, fields.quiet, { root: this.zone }, { root: this.whole }),
      part("If nobody acknowledges", fields.escalates, { root: this.escalation }),
      part("", fields.enabled),
      el("div", { class: "form-foot" }, this.words, this.trouble,
        el("div", { class: "ask-buttons" }, this.cancel, this.go)));
    this.root.addEventListener("input", () => this.reflect());
    this.root.addEventListener("change", () => this.reflect());
    this.root.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
    this.reflect();
    this.start = JSON.stringify(subscriptionOf(fields));
  }

  begin() {
    (this.context.name === null ? this.fields.name : this.fields.to).where().focus();
  }

  get dirty() {
    return JSON.stringify(subscriptionOf(this.fields)) !== this.start;
  }

  /** Show what belongs to what is chosen, and say it in words. */
  reflect() {
    const { fields } = this;
    const often = fields.often.value();
    fields.group.root.hidden = often !== "group";
    fields.at.root.hidden = often !== "times";
    fields.every.root.hidden = often !== "every";
    const hours = fields.working.value().length + fields.quiet.value().length > 0;
    this.whole.hidden = !hours;
    this.zone.hidden = !hours && often !== "times";
    this.escalation.hidden = !fields.escalates.value();
    say(this.words, sentence(subscriptionOf(fields)));
  }

  async submit() {
    if (this.go.getAttribute("aria-busy") === "true") return;
    for (const field of Object.values(this.fields)) field.fault("");
    this.complain("");
    const wrong = Object.values(this.fields).filter((field) => !field.root.closest("[hidden]") && field.problem() !== "");
    if (wrong.length > 0) {
      for (const field of wrong) field.fault(field.problem());
      wrong[0].where().focus();
      return;
    }
    this.go.setAttribute("aria-busy", "true");
    try {
      await this.context.save(subscriptionOf(this.fields));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.refused(error);
    } finally {
      this.go.removeAttribute("aria-busy");
    }
  }

  /** Show the service's refusal at the field that it is about, where that can be told. */
  refused({ message, status, faults }) {
    const told = status === 409 && faults.length === 0 ? ABOUT.filter(([about]) => about.test(message)).slice(0, 1).map(([, key]) => [key, message])
      : faults.map(([where, words]) => [placeOf(where), words.replace(/^Value error, /, "")]);
    const placed = told.filter(([key]) => key !== null && !this.fields[key].root.closest("[hidden]"));
    for (const [key, words] of placed) this.fields[key].fault(words);
    this.complain(placed.length > 0 && placed.length === told.length ? "Not saved: see above." : `Not saved: ${message}.`);
    if (placed.length > 0) this.fields[placed[0][0]].where().focus();
  }

  complain(words) {
    say(this.trouble, words);
    this.trouble.hidden = words === "";
  }
}

function placeOf(where) {
  const path = where[0] === "subscription" ? where.slice(1) : where;
  for (let length = path.length; length > 0; length -= 1) {
    const place = PLACES[path.slice(0, length).join(".")];
    if (place) return place;
  }
  return null;
}

function part(title, ...fields) {
  const id = newId();
  return el("section", { class: "form-part", ...(title ? { "aria-labelledby": id } : {}) },
    ...(title ? [el("h3", { id }, title)] : []), ...fields.map((field) => field.root));
}
