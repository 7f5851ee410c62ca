// What a person can do about an alert: acknowledge it, say that it was false, escalate it, shelve its camera.

import { canBeFalse, EVERYWHERE, wantsAnswer } from "./alert_words.js";
import { Failure } from "./net.js";
import { el, say } from "./text.js";

export class Answers {
  /**
   * `page`: mark(id, "acknowledge" | "false-alarm") and escalate(alert), which throw what to show; shelve(camera,
   * tell), canShelve(camera), menu. `small`: what is rarely wanted is in a menu.
   */
  constructor(page, { small }) {
    this.page = page;
    this.alert = null;
    this.trouble = el("p", { class: "note", role: "status" });
    this.trouble.hidden = true;
    this.acknowledge = this.button("Acknowledge", "acknowledge", () => page.mark(this.alert.alert_id, "acknowledge"));
    this.falseAlarm = this.button("False alarm", "false-alarm", () => page.mark(this.alert.alert_id, "false-alarm"));
    this.falseAlarm.title = "Nothing was wrong here. Its frames leave the baseline, and it is kept as an example to train with.";
    this.escalate = this.button("Escalate…", "escalate", () => page.escalate(this.alert));
    this.shelve = this.button("Shelve the camera…", "shelve", () => this.toShelf());
    this.more = el("button", { type: "button", class: "quiet more", "aria-haspopup": "menu", "aria-expanded": "false",
      "data-needs": "operator", title: "Escalate, shelve the camera" }, "⋯");
    this.more.addEventListener("click", () => page.menu.open(this.more, this.more.getAttribute("aria-label"), this.items()));
    this.small = small;
    this.root = el("div", { class: "answers" }, this.acknowledge, this.falseAlarm,
      ...(small ? [this.more] : [this.escalate, this.shelve]), this.trouble);
  }

  update(alert) {
    if (this.alert?.alert_id !== alert.alert_id) this.trouble.hidden = true;
    this.alert = alert;
    set(this.acknowledge, alert.acknowledged_at !== null, "Acknowledge", "✓ Acknowledged");
    set(this.falseAlarm, alert.false_alarm_at !== null, "False alarm", "✓ False alarm");
    this.acknowledge.hidden = !wantsAnswer(alert);
    this.falseAlarm.hidden = !canBeFalse(alert);
    this.more.setAttribute("aria-label", `More for the alert on camera ${alert.camera}`);
    this.offer();
  }

  /** Cameras come and go: offer what can be done now. Called every second as well. */
  offer() {
    this.escalate.hidden = !this.canEscalate;
    this.shelve.hidden = !this.canShelve;
    this.more.hidden = this.items().length === 0;
  }

  /** Whether the service knows how; it tells so in each alert. */
  get canEscalate() {
    return this.alert.escalated_at !== undefined && wantsAnswer(this.alert);
  }

  get canShelve() {
    return this.alert.camera !== EVERYWHERE && this.page.canShelve(this.alert.camera);
  }

  items() {
    return [
      ...(this.canEscalate ? [["Escalate…", () => this.escalate.click()]] : []),
      ...(this.canShelve ? [[`Shelve ${this.alert.camera}…`, () => this.shelve.click()]] : []),
    ];
  }

  toShelf() {
    this.page.shelve(this.alert.camera, (words) => this.tell(words, false));
  }

  tell(words, bad) {
    say(this.trouble, words);
    this.trouble.hidden = false;
    this.trouble.className = bad ? "note bad" : "note good";
  }

  button(text, kind, act) {
    const button = el("button", { type: "button", "data-mark": kind, "data-needs": "operator" }, text);
    button.addEventListener("click", async () => {
      if (button.getAttribute("aria-disabled") === "true" || button.getAttribute("aria-busy") === "true") return;
      button.setAttribute("aria-busy", "true");
      try {
        this.trouble.hidden = true;
        await act();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        this.tell(`Not noted: ${error.message}. Try again.`, true);
      } finally {
        button.removeAttribute("aria-busy");
      }
    });
    return button;
  }
}

function set(button, done, before, after) {
  say(button, done ? after : before);
  // Not `disabled`: the button keeps the keyboard's focus, and says that it is done.
  button.setAttribute("aria-disabled", String(done));
  button.classList.toggle("done", done);
}
