// One subscription in the list: what it says, whether it is on, and what can be done to it.

import { tryOut, turn } from "./delivery_api.js";
import { Failure } from "./net.js";
import { doing } from "./panel.js";
import { sentence } from "./subscription_words.js";
import { el, moment, say } from "./text.js";

const OUTCOMES = { delivered: "delivered in", failed: "did not get through (another try may help) after", refused: "refused after" };

export class SubscriptionRow {
  /** `page`: edit(listed), remove(listed), copy(listed), changed(). */
  constructor(name, page) {
    this.name = name;
    this.page = page;
    this.switch = doing("", { role: "switch", class: "toggle", "data-needs": "operator", "aria-label": `${name} is on` },
      () => this.attempt(async () => {
        await turn(name, !this.listed.on);
        await page.changed();
      }));
    this.state = el("span", { class: "sub-state" });
    this.origin = el("span", { class: "sub-origin" }, "configuration");
    this.origin.title = "Written in the configuration file; here it can be switched and tested.";
    this.words = el("p", { class: "sub-words" });
    this.marks = el("p", { class: "sub-marks" });
    this.test = doing("Test", { "data-needs": "operator", "aria-label": `Test ${name}` }, () => this.tryIt());
    this.edit = doing("Edit…", { "data-needs": "admin", "aria-label": `Edit ${name}` }, () => page.edit(this.listed));
    this.copy = doing("Copy…", { "data-needs": "admin", "aria-label": `Copy ${name}` }, () => page.copy(this.listed));
    this.remove = doing("Delete…", { "data-needs": "admin", class: "quiet", "aria-label": `Delete ${name}` }, () => page.remove(this.listed));
    this.results = el("ul", { class: "sub-results", "aria-live": "polite", "aria-label": `Test of ${name}` });
    this.trouble = el("p", { class: "note bad", role: "alert" });
    this.trouble.hidden = true;
    this.root = el("li", { class: "sub", "data-subscription": name },
      el("div", { class: "sub-head" }, this.switch, el("h3", {}, name), this.state, this.origin),
      this.words, this.marks,
      el("div", { class: "sub-buttons" }, this.test, this.edit, this.copy, this.remove),
      this.results, this.trouble);
  }

  update(listed) {
    this.listed = listed;
    this.root.classList.toggle("off", !listed.on);
    this.switch.setAttribute("aria-checked", String(listed.on));
    say(this.state, listed.on ? "on" : "off");
    const own = listed.origin !== "configuration";
    this.origin.hidden = own;
    this.edit.hidden = this.remove.hidden = !own;
    say(this.words, sentence(listed.subscription));
    say(this.marks, [
      listed.switched_by ? `switched ${listed.on ? "on" : "off"} by ${listed.switched_by}${at(listed.switched_at_ms)}` : "",
      listed.changed_by ? `changed by ${listed.changed_by}${at(listed.changed_at_ms)}` : "",
    ].filter(Boolean).join(" · "));
  }

  tryIt() {
    return this.attempt(async () => {
      this.results.replaceChildren(el("li", {}, "Sending a test to its channels …"));
      try {
        const results = await tryOut(this.name);
        this.results.replaceChildren(...results.map(resultItem));
      } catch (error) {
        this.results.replaceChildren();
        throw error;
      }
    });
  }

  async attempt(act) {
    this.trouble.hidden = true;
    try {
      await act();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      say(this.trouble, `Not done: ${error.message}.`);
      this.trouble.hidden = false;
    }
  }
}

function resultItem({ channel, outcome, detail, took_s: took }) {
  return el("li", { class: outcome === "delivered" ? "good" : "bad" },
    el("strong", {}, channel), ` ${OUTCOMES[outcome] ?? outcome} ${took.toFixed(1)} s`, ...(detail ? [el("span", {}, detail)] : []));
}

function at(ms) {
  return ms ? `, ${moment(ms)}` : "";
}
