// The header's part in delivery: subscriptions, and how much is undelivered. And who else is to be told of an alert.

import { escalate, readSubscriptions } from "./delivery_api.js";
import { DeadLetters } from "./dead_letters.js";
import { selectField } from "./fields.js";
import { Failure } from "./net.js";
import { repeat } from "./repeat.js";
import { Subscriptions } from "./subscriptions.js";
import { count, say } from "./text.js";

const EVERY_MS = 15_000;

export class Delivery {
  /** `ask`: the dialog that asks. `cameras()`: the names there are. */
  constructor({ ask, cameras }) {
    this.ask = ask;
    this.told = null; // Null before the service has answered, and where it knows no subscriptions.
    this.gone = false;
    this.again = null;
    const again = () => this.read();
    this.subscriptions = new Subscriptions({ ask, cameras, read: again });
    this.letters = new DeadLetters({ ask, changed: again });
    this.button = document.getElementById("subscriptions");
    this.count = document.getElementById("undelivered");
    this.button.addEventListener("click", () => this.subscriptions.open());
    this.count.addEventListener("click", () => this.letters.open());
    this.letters.panel.dialog.addEventListener("close", () => {
      if (this.count.hidden) this.button.focus(); // The last one is gone, and the count with it.
    });
  }

  begin() {
    repeat(async () => {
      if (!this.gone && document.visibilityState === "visible") await this.read();
    }, () => EVERY_MS);
  }

  async read() {
    try {
      this.told = await readSubscriptions();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.status === 404 && this.told === null) this.gone = true; // A service from before.
      else this.subscriptions.complain(`They cannot be read now: ${error.message}. What is shown is what was known before.`);
      return;
    }
    this.button.hidden = false;
    this.subscriptions.panel.complain("");
    this.subscriptions.update(this.told);
    this.letters.setChannels(this.told.channels);
    const dead = this.told.channels.reduce((sum, channel) => sum + channel.dead, 0);
    say(this.count, `${count(dead)} undelivered`);
    if (dead === 0 && document.activeElement === this.count) this.button.focus();
    this.count.hidden = dead === 0;
  }

  /** Ask who is to be told of an alert, and tell them; `done(alert)` gets what became of it. */
  escalate(alert, done) {
    const names = (this.told?.subscriptions ?? []).map((listed) => [listed.subscription.name, listed.subscription.name]);
    this.ask.open({
      title: `Escalate the alert on ${alert.camera === "*" ? "all cameras" : alert.camera}`,
      text: "The channels of a subscription are told that this alert needs somebody, and by whom.",
      fields: [{ name: "to", ...selectField("Who is told", [["", "whom the alert's own subscriptions name"], ...names], "") }],
      action: "Escalate",
      act: async ({ to }) => done(await escalate(alert.alert_id, to || null)),
    });
  }
}
