// What could not be delivered, in a dialog: why, and once more or never.

import { answerDeadLetters, readDeadLetters } from "./delivery_api.js";
import { Failure } from "./net.js";
import { doing, Panel } from "./panel.js";
import { clock, count, el, say } from "./text.js";

const KINDS = { event: "One event", group: "Gathered events", digest: "A digest", test: "A test" };
const SOON_MS = 2000; // By then most of what is sent again has arrived, or is undelivered again.
const OUTCOMES = { refused: "refused", expired: "given up", unreadable: "cannot be read" };

export class DeadLetters {
  /** `ask`: the dialog that asks. `changed()`: some are gone. */
  constructor({ ask, changed }) {
    this.ask = ask;
    this.changed = changed;
    this.channel = null;
    this.rows = new Map();
    this.next = null;
    this.turn = 0;
    this.panel = new Panel("Undelivered");
    this.select = el("select", { "aria-label": "Of which channel" });
    this.select.addEventListener("change", () => {
      this.channel = this.select.value || null;
      void this.read();
    });
    this.replayAll = doing("Send all again", { "data-needs": "admin" }, () => this.all("replay"));
    this.discardAll = doing("Discard all…", { class: "quiet", "data-needs": "admin" }, async () => this.askDiscard());
    this.panel.tools.append(this.select, this.replayAll, this.discardAll);
    this.list = el("ol", { class: "sub-list", role: "list" });
    this.none = el("p", { class: "empty" });
    this.done = el("p", { class: "note good", role: "status" });
    this.done.hidden = true;
    this.more = doing("More", { class: "wide" }, () => this.read(true));
    this.panel.fill("Undelivered", [this.done, this.none, this.list, this.more]);
    this.none.append(el("strong", {}, "Nothing is undelivered"), "What no channel would take, or could not in time, is kept here.");
    this.show();
  }

  open() {
    this.done.hidden = true;
    this.panel.show();
    return this.read();
  }

  /** The channels there are, and how many letters each has. */
  setChannels(channels) {
    this.offer(channels);
    const dead = channels.filter(({ name }) => this.channel === null || name === this.channel).reduce((sum, one) => sum + one.dead, 0);
    if (!this.panel.dialog.open || this.next !== null || dead === this.rows.size) return;
    if (dead > this.rows.size) this.done.hidden = true; // What was sent again may be among them.
    void this.read();
  }

  offer(channels) {
    const some = channels.filter((channel) => channel.dead > 0 || channel.name === this.channel);
    const wanted = [["", "All channels"], ...some.map(({ name, dead }) => [name, `${name} (${count(dead)})`])];
    if (JSON.stringify(wanted) === this.offered) return;
    this.offered = JSON.stringify(wanted);
    this.select.replaceChildren(...wanted.map(([value, words]) => el("option", { value }, words)));
    this.select.value = this.channel ?? "";
  }

  /** `further`: the next page, after those that are shown. */
  async read(further = false) {
    const turn = this.turn += 1;
    try {
      const page = await readDeadLetters(this.channel, further ? this.next : 0);
      if (turn !== this.turn) return; // Meanwhile something else was asked for.
      const held = document.activeElement?.closest("[data-letter]")?.dataset.letter;
      if (!further) this.clear();
      for (const letter of page.dead_letters) this.put(letter);
      this.next = page.next;
      if (held && !further) (this.rows.get(held)?.querySelector("button") ?? this.panel.title).focus();
      this.panel.complain("");
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.panel.complain(`They cannot be read now: ${error.message}.`);
    }
    this.show();
  }

  clear() {
    for (const row of this.rows.values()) row.remove();
    this.rows.clear();
  }

  show() {
    this.none.hidden = this.rows.size > 0;
    this.more.hidden = this.next === null;
    this.replayAll.hidden = this.discardAll.hidden = this.rows.size === 0;
  }

  put(letter) {
    if (this.rows.has(letter.id)) return;
    const again = doing("Send again", { "data-needs": "admin" }, () => this.answer("replay", [letter.id], null));
    const discard = doing("Discard", { class: "quiet", "data-needs": "admin" }, () => this.answer("discard", [letter.id], null));
    const cameras = letter.cameras.map((camera) => (camera === "*" ? "all cameras" : camera));
    const about = [
      `${KINDS[letter.kind] ?? letter.kind}${letter.events > 1 ? ` (${count(letter.events)})` : ""}${cameras.length ? ` of ${cameras.slice(0, 4).join(", ")}${cameras.length > 4 ? ` and ${cameras.length - 4} more` : ""}` : ""}`,
      `${OUTCOMES[letter.outcome] ?? letter.outcome} after ${count(letter.tries)} ${letter.tries === 1 ? "try" : "tries"}, ${clock(letter.at_ms)}`,
      ...(letter.queued_ms ? [`waited since ${clock(letter.queued_ms)}`] : []),
    ].join(" · ");
    const row = el("li", { class: "sub dead", "data-letter": letter.id },
      el("div", { class: "sub-head" }, el("h3", {}, letter.channel)),
      el("p", { class: "sub-words" }, letter.error || "no reason is known"), el("p", { class: "sub-marks" }, about),
      el("div", { class: "sub-buttons" }, again, discard));
    this.rows.set(letter.id, row);
    this.list.append(row);
  }

  async all(what) {
    const many = await this.answer(what, null, this.channel);
    if (many === null) return;
    await this.read();
    this.panel.title.focus(); // The button went with the last of them.
  }

  askDiscard() {
    const of = this.channel === null ? "of all channels" : `of ${this.channel}`;
    this.ask.open({
      title: `Discard all that is undelivered ${of}?`,
      text: "These messages are gone for good then. The alerts that they tell of stay.",
      action: "Discard all",
      danger: true,
      act: async () => {
        this.tell("discard", await answerDeadLetters("discard", null, this.channel));
        await this.read();
      },
      then: () => this.panel.title.focus(), // The button went with the last of them.
    });
  }

  /** How many it was; null where it was refused, which the dialog says then. */
  async answer(what, ids, channel) {
    try {
      const many = await answerDeadLetters(what, ids, channel);
      for (const id of ids ?? []) this.drop(id);
      this.tell(what, many);
      return many;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.panel.complain(`Not done: ${error.message}.`);
      return null;
    }
  }

  drop(id) {
    const row = this.rows.get(id);
    const beside = row?.nextElementSibling ?? row?.previousElementSibling;
    row?.remove();
    this.rows.delete(id);
    if (this.next !== null) this.next = Math.max(0, this.next - 1);
    (beside?.querySelector("button") ?? this.panel.title).focus();
    this.show();
  }

  tell(what, many) {
    this.panel.complain("");
    say(this.done, `${count(many)} ${many === 1 ? "message" : "messages"} ${what === "replay" ? "will be sent again" : "discarded"}.`);
    this.done.hidden = false;
    this.changed();
    if (what === "replay") setTimeout(() => this.changed(), SOON_MS);
  }
}
