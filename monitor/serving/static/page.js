// The live page: what is asked when, and the header. Everything else is in the modules beside this one.

import { Alerts } from "./alerts.js";
import { Cameras, emptyWords } from "./cameras.js";
import { Delivery } from "./delivery.js";
import { Ask } from "./dialog.js";
import { askWhoIAm } from "./me.js";
import { Menu } from "./menu.js";
import { Failure, getJson, serviceNow } from "./net.js";
import { Orders } from "./orders.js";
import { repeat } from "./repeat.js";
import { clock, say } from "./text.js";
import { switchTheme } from "./theme_switch.js";
import { Timeline } from "./timeline.js";
import { showWho } from "./who.js";

const CAMERAS_MS = 500;
const SCORES_MS = 1000;
const READY_MS = 3000;
const ALERTS_MS = 10_000;
const HIDDEN_MS = 10_000;
const MISSED_MS = 2000;
const TIMELINE_MS = 60_000;

const part = (id) => document.getElementById(id);
const visible = () => document.visibilityState === "visible";
let lostAt = null;
let readiness = null;
let missedAt = 0;

const ask = new Ask();
const menu = new Menu();
const alerts = new Alerts({
  nowOf,
  showCamera: (name) => cameras.show(name),
  older: (id) => timeline.get(id),
  changed: (answered) => {
    totals();
    timeline.take(answered ? [answered] : alerts.store.sorted);
  },
  further: {
    menu,
    escalate: (alert, done) => delivery.escalate(alert, done),
    canShelve: (camera) => cameras.cards.get(camera)?.view?.shelved !== undefined,
    shelve: (camera, tell) => orders.shelve(cameras.cards.get(camera), tell),
  },
});
const delivery = new Delivery({ ask, cameras: () => [...cameras.cards.keys()] });
const orders = new Orders({
  ask, menu, products: () => cameras.products(), noted: (alert) => alerts.noted(alert),
});
const cameras = new Cameras(part("cards"), (camera, now) => alerts.stretchesOf(camera, now), orders);
const timeline = new Timeline({ open: (id) => alerts.viewer.open(id), nowOf });

/** The time where a camera stands; the service's clock where the camera is not known. */
function nowOf(camera) {
  const card = cameras.cards.get(camera);
  return card && card.ageMs !== null ? card.now : serviceNow();
}

async function readCameras() {
  try {
    cameras.update(await getJson("/api/cameras"));
    timeline.setCameras([...cameras.cards.keys()].sort());
    connected();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    lost(error);
    return;
  }
  const none = part("no-cameras");
  none.hidden = cameras.cards.size > 0;
  if (!none.hidden) emptyWords(none);
  if (visible()) cameras.refreshPictures();
  lookForMissed();
  totals();
}

/** A camera names an alert that this page has not heard of: the event got lost, or comes later than this. */
function lookForMissed() {
  const missed = [...cameras.cards.values()].some(({ view }) => view.firing !== null && !alerts.store.get(view.firing));
  if (!missed || performance.now() - missedAt < MISSED_MS) return;
  missedAt = performance.now();
  readAlerts();
}

async function readReadiness() {
  try {
    readiness = await getJson("/readyz", [503]);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    readiness = null; // The poll for the cameras tells of lost connections.
  }
  showReadiness();
}

function connected() {
  if (lostAt === null) return;
  lostAt = null;
  part("lost").hidden = true;
  alerts.stream.wake();
  document.body.classList.remove("lost");
  readReady();
}

function lost(error) {
  if (lostAt === null) {
    lostAt = Date.now();
    document.body.classList.add("lost");
  }
  const what = error.status === 0 ? `No connection to linewatch since ${clock(lostAt)}`
    : `linewatch refuses this page since ${clock(lostAt)} (${error.message})`;
  say(part("lost"), `${what}. Everything below is as it was then. Trying again.`);
  part("lost").hidden = false;
  showReadiness();
}

function showReadiness() {
  const reasons = lostAt === null && readiness ? Object.entries(readiness.reasons) : [];
  const pill = part("ready");
  const [text, look] = lostAt !== null ? ["no connection", "bad"]
    : readiness === null ? ["connecting", ""]
    : readiness.ready ? ["ready", "good"] : ["not ready", "bad"];
  say(pill, text);
  pill.className = `pill ${look}`;
  const band = part("reasons");
  say(band, reasons.map(([where, why]) => `${where}: ${why}`).join("\n"));
  band.hidden = reasons.length === 0;
  // What somebody should know though frames are scored as they should: a refused configuration, say.
  const notes = lostAt === null && readiness ? Object.entries(readiness.notes ?? {}) : [];
  say(part("notes"), notes.map(([where, what]) => `${where}: ${what}`).join("\n"));
  part("notes").hidden = notes.length === 0;
}

/** The numbers in the header, the tab's title and its icon. */
function totals() {
  const views = [...cameras.cards.values()].map((card) => card.view);
  say(part("cameras-up"), `${views.filter((view) => view.up).length} / ${views.length}`);
  part("cameras-up").classList.toggle("over", views.some((view) => !view.up));
  const open = new Set(alerts.store.firing().map((alert) => alert.alert_id));
  for (const { firing } of views) {
    // The board is quicker than the list, and slower than an event that the list has heard already.
    if (firing !== null && !alerts.store.get(firing)) open.add(firing);
  }
  say(part("open-alerts"), String(open.size));
  part("open-box").classList.toggle("open", open.size > 0);
  const title = open.size ? `(${open.size}) linewatch` : "linewatch";
  if (document.title !== title) document.title = title;
  const icon = open.size ? "/static/icon-alert.svg" : "/static/icon.svg";
  if (part("icon").getAttribute("href") !== icon) part("icon").setAttribute("href", icon);
}

function everySecond() {
  say(part("clock"), clock(Date.now()));
  alerts.tick();
  cameras.age();
  timeline.tick();
}

const readNow = repeat(readCameras, () => (visible() ? CAMERAS_MS : HIDDEN_MS));
const readReady = repeat(readReadiness, () => READY_MS);
const readAlerts = repeat(() => alerts.refresh(), () => ALERTS_MS);
const readScores = repeat(async () => {
  if (visible()) await cameras.readScores();
}, () => SCORES_MS);
const readTimeline = repeat(async () => {
  if (visible()) await timeline.read();
}, () => TIMELINE_MS);
repeat(async () => everySecond(), () => 1000);

function attend() {
  if (!visible()) {
    alerts.rest();
    return;
  }
  alerts.listen();
  readNow();
  readAlerts();
  readScores();
  readTimeline();
}

document.addEventListener("visibilitychange", attend);
addEventListener("online", () => alerts.stream.wake());
attend();
void askWhoIAm((me) => {
  showWho(me);
  delivery.begin();
});
switchTheme(part("theme"));
