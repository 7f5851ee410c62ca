// The lanes of the timeline: one a camera, its alerts as bars that a mouse, a finger and a keyboard can reach.

import { EVERYWHERE, isAboutPart, isTrouble, sentence } from "./alert_words.js";
import { el, say } from "./text.js";

const LEAST_PX = 6; // A bar is at least so wide: an episode of a second has to be seen in a day.

export class Lanes {
  /** `place` holds the lanes. `open(id)` shows an alert, `tell(words, bar)` what a bar is, or nothing. */
  constructor(place, { open, tell, nowOf }) {
    this.place = place;
    this.nowOf = nowOf;
    this.lanes = new Map();
    this.bars = new Map();
    const idOf = (event) => event.target.closest?.(".bar")?.dataset.episode;
    place.addEventListener("click", (event) => {
      const id = idOf(event);
      if (id) open(id);
    });
    for (const kind of ["pointerover", "focusin"]) {
      place.addEventListener(kind, (event) => {
        const bar = idOf(event) && this.bars.get(idOf(event));
        if (bar) tell(sentence(bar.alert, this.nowOf(bar.alert.camera)), bar.node);
      });
    }
    for (const kind of ["pointerout", "focusout"]) place.addEventListener(kind, () => tell("", null));
    place.addEventListener("keydown", (event) => this.key(event));
  }

  /** Draw `alerts` of `cameras` from `from` to `now` (ms, the service's clock). */
  draw(cameras, alerts, from, now) {
    const seen = alerts.filter((alert) => this.end(alert, now) >= from && this.begin(alert, now) <= now);
    const storms = seen.some((alert) => alert.camera === EVERYWHERE);
    const others = [...new Set(seen.map((alert) => alert.camera))].filter((name) => name !== EVERYWHERE && !cameras.includes(name));
    this.setLanes([...(storms ? [EVERYWHERE] : []), ...cameras, ...others.sort()]);
    const kept = new Set();
    for (const alert of seen) {
      kept.add(alert.alert_id);
      this.bar(alert, from, now);
    }
    for (const [id, { node }] of this.bars) {
      if (kept.has(id) || node === document.activeElement) continue; // Whoever stands on it may go on from there.
      node.remove();
      this.bars.delete(id);
    }
    this.stop();
    return seen;
  }

  begin(alert, now) {
    return alert.started_at / 1e6 + this.shift(alert.camera, now);
  }

  end(alert, now) {
    return alert.ended_at === null ? now : alert.ended_at / 1e6 + this.shift(alert.camera, now);
  }

  /** A camera that plays an old film stands in the past; its lane is moved to end at now, like the others. */
  shift(camera, now) {
    const apart = camera === EVERYWHERE ? 0 : now - this.nowOf(camera);
    return Math.abs(apart) > 60_000 ? apart : 0;
  }

  setLanes(names) {
    for (const [name, { row }] of this.lanes) {
      if (names.includes(name)) continue;
      row.remove();
      this.lanes.delete(name);
    }
    names.forEach((name, nth) => {
      if (this.lanes.has(name)) return;
      const words = name === EVERYWHERE ? "all cameras" : name;
      const track = el("div", { class: "track" });
      const row = el("div", { class: "lane", role: "group", "aria-label": words },
        el("span", { class: "lane-name", title: words }, words), track);
      row.classList.toggle("everywhere", name === EVERYWHERE);
      this.lanes.set(name, { row, track });
      this.place.insertBefore(row, this.place.children[nth] ?? null);
    });
  }

  bar(alert, from, now) {
    const lane = this.lanes.get(alert.camera);
    if (!lane) return;
    let bar = this.bars.get(alert.alert_id);
    if (!bar) {
      const node = el("button", { type: "button", class: "bar", tabindex: "-1", "data-episode": alert.alert_id });
      bar = { node, alert: null };
      this.bars.set(alert.alert_id, bar);
    }
    if (bar.node.parentNode !== lane.track) lane.track.append(bar.node);
    const begin = Math.max(this.begin(alert, now), from);
    const left = ((begin - from) / (now - from)) * 100;
    const wide = ((Math.min(this.end(alert, now), now) - begin) / (now - from)) * 100;
    bar.node.style.left = `min(${left}%, 100% - ${LEAST_PX}px)`;
    bar.node.style.width = `max(${wide}%, ${LEAST_PX}px)`;
    if (bar.alert === alert) return;
    bar.alert = alert;
    bar.node.className = `bar ${looks(alert)}`;
    bar.node.setAttribute("aria-label", sentence(alert, now));
  }

  /** One bar can be reached with Tab, the others from it with the arrow keys. */
  stop() {
    const nodes = [...this.bars.values()].map(({ node }) => node);
    if (nodes.some((node) => node.tabIndex === 0)) return;
    const last = this.inOrder().at(-1)?.node;
    if (last) last.tabIndex = 0;
  }

  inOrder() {
    return [...this.bars.values()].sort((a, b) => a.alert.started_at - b.alert.started_at);
  }

  /** Left and right go through the bars of the lane in time, up and down to the nearest of the next lane that has any. */
  key(event) {
    const node = event.target.closest?.(".bar");
    if (!node || !["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(event.key)) return;
    event.preventDefault();
    const here = this.bars.get(node.dataset.episode);
    const inLane = (name) => this.inOrder().filter(({ alert }) => alert.camera === name);
    let next;
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const row = inLane(here.alert.camera);
      next = row[row.indexOf(here) + (event.key === "ArrowLeft" ? -1 : 1)];
    } else {
      const names = [...this.place.children].map((row) => [...this.lanes].find(([, lane]) => lane.row === row)[0]);
      const step = event.key === "ArrowUp" ? -1 : 1;
      for (let at = names.indexOf(here.alert.camera) + step; at >= 0 && at < names.length && !next; at += step) {
        next = nearest(inLane(names[at]), here.alert.started_at);
      }
    }
    if (!next) return;
    node.tabIndex = -1;
    next.node.tabIndex = 0;
    next.node.focus();
  }
}

function nearest(bars, time) {
  return bars.toSorted((a, b) => Math.abs(a.alert.started_at - time) - Math.abs(b.alert.started_at - time))[0];
}

/** The classes of a bar: what it is, and what people said of it. */
function looks(alert) {
  const kind = isAboutPart(alert) ? alert.severity : isTrouble(alert) ? "trouble" : alert.condition;
  return [kind, alert.ended_at === null ? "open" : "", alert.false_alarm_at === null ? "" : "false"].filter(Boolean).join(" ");
}

/** The labels beneath: full steps of the clock, as many as fit. */
export function drawAxis(place, from, now) {
  const steps = [5, 10, 15, 30, 60, 120, 180, 240, 360].map((minutes) => minutes * 60_000);
  const most = Math.max(2, Math.floor(place.clientWidth / 84));
  const step = steps.find((each) => (now - from) / each <= most) ?? steps.at(-1);
  const offset = new Date(now).getTimezoneOffset() * 60_000;
  const labels = [];
  for (let at = Math.ceil((from - offset) / step) * step + offset; at < now; at += step) {
    const share = (at - from) / (now - from);
    if (share < 0.03 || share > 0.93) continue; // It would stick out, or lie on "now".
    labels.push([share, new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })]);
  }
  while (place.children.length > labels.length) place.lastChild.remove();
  labels.forEach(([share, words], nth) => {
    const node = place.children[nth] ?? place.appendChild(el("span"));
    say(node, words);
    node.style.left = `${share * 100}%`;
  });
}
