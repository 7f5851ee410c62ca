// The list of subscriptions, in a dialog, and the form for one of them in its place.

import { channelList } from "./channel_list.js";
import { change, create, remove } from "./delivery_api.js";
import { Panel } from "./panel.js";
import { SubscriptionForm } from "./subscription_form.js";
import { copyOf, fresh } from "./subscription_model.js";
import { SubscriptionRow } from "./subscription_row.js";
import { el } from "./text.js";

export class Subscriptions {
  /** `ask`: the dialog that asks. `cameras()`: the names there are. `read()`: fetches all anew, and calls `update`. */
  constructor({ ask, cameras, read }) {
    this.ask = ask;
    this.cameras = cameras;
    this.read = read;
    this.told = { subscriptions: [], channels: [] };
    this.rows = new Map();
    this.form = null;
    this.panel = new Panel("Subscriptions");
    this.panel.tools.append(this.make = el("button", { type: "button", class: "primary", "data-needs": "admin" }, "New subscription"));
    this.make.addEventListener("click", () => this.edit(null, fresh(this.told.channels)));
    this.list = el("ol", { class: "sub-list", role: "list" });
    this.none = el("p", { class: "empty" }, el("strong", {}, "No subscriptions yet"),
      "A subscription says who is told what, when and how often.");
    this.channels = el("div");
  }

  async open() {
    this.showList();
    this.panel.show();
    await this.read();
  }

  showList() {
    this.form = null;
    this.panel.fill("Subscriptions", [this.none, this.list, el("h3", { class: "part-title" }, "Channels"), this.channels]);
    this.update(this.told);
  }

  update(told) {
    this.told = told;
    const known = new Set(told.subscriptions.map((listed) => listed.subscription.name));
    for (const [name, row] of this.rows) {
      if (known.has(name)) continue;
      row.root.remove();
      this.rows.delete(name);
    }
    told.subscriptions.forEach((listed, nth) => {
      const { name } = listed.subscription;
      let row = this.rows.get(name);
      if (!row) {
        row = new SubscriptionRow(name, {
          edit: (one) => this.edit(one.subscription.name, one.subscription),
          copy: (one) => this.edit(null, copyOf(one.subscription, this.told.subscriptions)),
          remove: (one) => this.remove(one),
          changed: () => this.read(),
        });
        this.rows.set(name, row);
        this.list.insertBefore(row.root, this.list.children[nth] ?? null);
      }
      row.update(listed);
    });
    this.none.hidden = known.size > 0;
    this.channels.replaceChildren(channelList(told.channels));
  }

  /** The service does not answer now; what is shown is what was known before. */
  complain(words) {
    if (this.form === null) this.panel.complain(words);
  }

  /** `name`: of the one that is changed, null for a new one. */
  edit(name, subscription) {
    const form = new SubscriptionForm(subscription, {
      name,
      channels: this.told.channels,
      others: this.told.subscriptions.map((listed) => listed.subscription.name).filter((other) => other !== name),
      cameras: this.cameras(),
      save: async (made) => {
        await (name === null ? create(made) : change(name, made));
        await this.read();
        this.back(made.name);
      },
    });
    this.form = form;
    form.cancel.addEventListener("click", () => this.leave(form, name));
    this.panel.fill(name === null ? "New subscription" : `Change ${name}`, [form.root], () => this.leave(form, name));
    form.begin();
  }

  leave(form, name) {
    if (!form.dirty) {
      this.back(name);
      return;
    }
    this.ask.open({
      title: "Leave without saving?",
      text: "What was changed here is lost.",
      action: "Do not save",
      danger: true,
      act: async () => {},
      then: () => this.back(name),
    });
  }

  back(name) {
    this.showList();
    const row = this.rows.get(name);
    (row ? row.edit : this.make).focus();
  }

  remove({ subscription: { name } }) {
    this.ask.open({
      title: `Delete the subscription ${name}?`,
      text: "Nobody is told by it any more, from now on; what it has gathered so far is dropped. To stop it for a while, switch it off.",
      action: "Delete",
      danger: true,
      act: async () => {
        await remove(name);
        await this.read();
      },
      then: () => this.make.focus(),
    });
  }
}
