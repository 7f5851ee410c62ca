// The list of alerts: read from the service, kept live by its events, and by a slow poll where those fail.

import { AlertRow } from "./alert_row.js";
import { aboutWords, cameraWords, isAboutPart } from "./alert_words.js";
import { AlertStore } from "./alert_store.js";
import { EventStream } from "./event_stream.js";
import { Failure, getJson, postJson } from "./net.js";
import { el, say } from "./text.js";
import { Viewer } from "./viewer.js";
import { askWho, given } from "./who.js";

const RAISED = "linewatch.alert.raised";
const EVENTS = ["alert.firing", "alert.resolved", "alert.acknowledged", "alert.escalated", "camera.offline", "camera.degraded",
  "camera.online"].map((kind) => `linewatch.${kind}`).concat(RAISED);
const PAGE = 50;
const TOGETHER_MS = 30; // After a long sleep thousands come at once, and each would draw the list anew.

export class Alerts {
  /**
   * `nowOf(camera)`: the time in ms where it stands. `showCamera(name)`. `older(id)`: an alert that the list does not
   * hold. `changed(alert)` follows every change, with the one that was answered. `further`: {escalate(alert, done),
   * shelve(camera, tell), canShelve(camera), menu}: what else can be done about an alert.
   */
  constructor({ nowOf, showCamera, older, changed, further }) {
    this.nowOf = nowOf;
    this.changed = changed;
    this.store = new AlertStore();
    this.rows = new Map();
    this.loaded = false;
    this.stale = false; // What is known may be out of date: the next list takes its place.
    this.waiting = [];
    this.gathering = 0; // The timer of what waits to be taken in.
    this.stream = new EventStream({
      path: "/api/events",
      kinds: EVENTS,
      told: (document) => this.told(document),
      opened: (seamless) => {
        this.stale ||= this.loaded && !seamless;
        this.listening("on", "live");
        void this.refresh(); // What happened while nobody listened.
      },
      gap: () => {
        this.stale = true;
        void this.refresh();
      },
      broken: () => this.listening("off", "every 10 s"),
    });
    this.part = Object.fromEntries(["alert-list", "alerts-trouble", "no-alerts", "older", "live", "announce", "who"]
      .map((id) => [id, document.getElementById(id)]));
    this.page = {
      nowOf, showCamera,
      mark: (id, kind) => this.mark(id, kind),
      escalate: (alert) => further.escalate(alert, (answer) => this.answered(answer)),
      shelve: further.shelve, canShelve: further.canShelve, menu: further.menu,
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
      const stale = this.stale;
      const fresh = this.store.mergeHead(await getJson(`/api/alerts?limit=${PAGE}`), asked, stale);
      if (stale) this.stale = false;
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

  /** Listen to the service's events. */
  listen() {
    this.stream.start();
  }

  /** Stop listening: a hidden tab must not hold one of the few connections that a browser opens to a server. */
  rest() {
    this.stream.stop();
    this.listening("waiting", "paused");
  }

  told({ type, data: alert }) {
    this.waiting.push([type, alert]);
    if (this.gathering === 0) this.takeWaiting();
  }

  /** Take in what was told. What comes right after the first waits for a moment, and is taken in together. */
  takeWaiting() {
    this.gathering = this.waiting.length > 0 ? setTimeout(() => this.takeWaiting(), TOGETHER_MS) : 0;
    if (this.gathering === 0) return;
    const fresh = [];
    for (const [type, alert] of this.waiting.splice(0)) {
      const worse = type === RAISED && this.store.get(alert.alert_id)?.severity === "warning";
      if ((this.store.merge(alert) || worse) && alert.ended_at === null) fresh.push(alert.alert_id);
    }
    if (this.loaded) this.announce(fresh); // Before, all of it is old news, told again.
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
    this.answered(alert);
  }

  /** The service's answer about an alert that somebody did something about. */
  answered(alert) {
    if (this.store.get(alert.alert_id)) this.store.answer(alert); // An older one would tear a hole into the list.
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
        if (this.fresh?.delete(alert.alert_id)) row.flash();
      } else if (row.alert !== alert) {
        if (this.fresh?.delete(alert.alert_id)) row.flash();
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
