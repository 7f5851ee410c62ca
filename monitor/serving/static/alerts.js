// The list of alerts: read from the service, kept live by its events, and by a slow poll where those fail.

import { AlertRow } from "./alert_row.js";
import { aboutWords, cameraWords, isAboutPart } from "./alert_words.js";
import { AlertStore } from "./alert_store.js";
import { Failure, getJson, postJson } from "./net.js";
import { el, say } from "./text.js";
import { Viewer } from "./viewer.js";
import { askWho, given } from "./who.js";

const EVENTS = ["alert.firing", "alert.resolved", "alert.acknowledged", "camera.offline", "camera.degraded", "camera.online"]
  .map((kind) => `linewatch.${kind}`);
const PAGE = 50;

export class Alerts {
  /**
   * `nowOf(camera)`: the time in ms where it stands. `showCamera(name)`. `older(id)`: an alert that the list does not
   * hold. `changed(alert)` follows every change, with the one that was answered.
   */
  constructor({ nowOf, showCamera, older, changed }) {
    this.nowOf = nowOf;
    this.changed = changed;
    this.store = new AlertStore();
    this.rows = new Map();
    this.stream = null;
    this.loaded = false;
    this.part = Object.fromEntries(["alert-list", "alerts-trouble", "no-alerts", "older", "live", "announce", "who"]
      .map((id) => [id, document.getElementById(id)]));
    this.page = {
      nowOf, showCamera,
      mark: (id, kind) => this.mark(id, kind),
      open: (id) => this.viewer.open(id),
      alertOf: (id) => this.store.get(id) ?? older(id),
      beside: (id, step) => this.store.sorted[this.store.sorted.findIndex((a) => a.alert_id === id) + step]?.alert_id,
    };
    this.viewer = new Viewer(this.page);
    askWho(this.part.who);
    this.part.older.addEventListener("click", () => this.loadOlder());
    this.listening("waiting", "connecting");
  }

  /** Read the head of the service's list. Says on the page what went wrong, and keeps what it has. */
  async refresh() {
    try {
      const asked = this.store.turn;
      const fresh = this.store.mergeHead(await getJson(`/api/alerts?limit=${PAGE}`), asked);
      if (this.loaded) this.announce(fresh);
      this.loaded = true;
      this.part["alerts-trouble"].hidden = true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const old = this.loaded ? " What is shown is what was known before." : "";
      say(this.part["alerts-trouble"], `Alerts cannot be read now: ${error.message}.${old}`);
      this.part["alerts-trouble"].hidden = false;
    }
    this.render();
  }

  /** Listen to the service's events. The browser comes back by itself after a break, from the last event it saw. */
  listen() {
    if (this.stream && this.stream.readyState !== EventSource.CLOSED) return;
    const stream = new EventSource("/api/events");
    this.stream = stream;
    stream.addEventListener("open", () => {
      this.listening("on", "live");
      void this.refresh(); // What happened while nobody listened.
    });
    stream.addEventListener("error", () => this.listening("off", "every 10 s"));
    for (const kind of EVENTS) stream.addEventListener(kind, (event) => this.told(event));
  }

  /** Stop listening: a hidden tab must not hold one of the few connections that a browser opens to a server. */
  rest() {
    this.stream?.close();
    this.stream = null;
    this.listening("waiting", "paused");
  }

  told(event) {
    const alert = JSON.parse(event.data).data;
    if (this.store.merge(alert) && alert.ended_at === null) this.announce([alert.alert_id]);
    this.render();
  }

  announce(ids) {
    const firing = ids.map((id) => this.store.get(id)).filter((alert) => alert && alert.ended_at === null);
    if (firing.length === 0) return;
    say(this.part.announce, firing.map((alert) => (isAboutPart(alert)
      ? `New ${alert.severity} alert on camera ${alert.camera}` : `${cameraWords(alert)}: ${aboutWords(alert)}`)).join(". "));
    this.fresh = new Set(firing.map((alert) => alert.alert_id));
  }

  async mark(id, kind) {
    const by = given();
    const alert = await postJson(`/api/alerts/${encodeURIComponent(id)}/${kind}`, by ? { by } : {});
    if (this.store.get(id)) this.store.answer(alert); // An older one would tear a hole into the list.
    this.changed(alert);
    this.render();
  }

  /** An alert that came of something done on this page. */
  noted(alert) {
    this.store.answer(alert);
    this.render();
  }

  async loadOlder() {
    this.part.older.setAttribute("aria-busy", "true");
    try {
      // New alerts push the old ones along, so a page may hold only what is here already.
      for (let fresh = 0; fresh === 0 && this.store.next !== null;) {
        const asked = this.store.turn;
        fresh = this.store.mergeOlder(await getJson(`/api/alerts?limit=${PAGE}&offset=${this.store.next}`), asked);
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      say(this.part["alerts-trouble"], `Older alerts cannot be read now: ${error.message}.`);
      this.part["alerts-trouble"].hidden = false;
    }
    this.part.older.removeAttribute("aria-busy");
    this.render();
  }

  /** Bring the list on the page in line with what is known; rows stay where they are, and keep the focus. */
  render() {
    const list = this.part["alert-list"];
    const known = new Set(this.store.sorted.map((alert) => alert.alert_id));
    for (const [id, row] of this.rows) {
      if (known.has(id)) continue;
      row.root.remove();
      this.rows.delete(id);
    }
    this.store.sorted.forEach((alert, nth) => {
      let row = this.rows.get(alert.alert_id);
      if (!row) {
        row = new AlertRow(alert, this.page);
        this.rows.set(alert.alert_id, row);
        list.insertBefore(row.root, list.children[nth] ?? null);
        if (this.fresh?.delete(alert.alert_id)) row.root.classList.add("fresh");
      } else if (row.alert !== alert) {
        row.update(alert);
      }
    });
    const none = this.part["no-alerts"];
    none.hidden = !this.loaded || this.rows.size > 0;
    if (!none.hidden && !none.firstChild) {
      none.append(el("strong", {}, "No alerts yet"), "When a camera sees something that is not a good part, it appears here with its picture.");
    }
    this.part.older.hidden = this.store.next === null;
    this.viewer.update();
    this.changed();
  }

  /** Once a second: durations go on. */
  tick() {
    for (const row of this.rows.values()) row.tick();
    this.viewer.update();
  }

  /** When this camera's alerts fired, [from, to] in ms; one that is firing lasts until `now`. */
  stretchesOf(camera, now) {
    return this.store.sorted.filter((alert) => alert.camera === camera && isAboutPart(alert)).map((alert) => [
      alert.started_at / 1e6, alert.ended_at === null ? now : alert.ended_at / 1e6,
    ]);
  }

  listening(state, text) {
    say(this.part.live, text);
    this.part.live.className = `live ${state}`;
  }
}
