// The alerts this page knows of, newest first, however they reached it.

const KEPT = 200;

export class AlertStore {
  constructor() {
    this.byId = new Map();
    this.sorted = [];
    this.next = null; // The offset of older alerts in the service's list; null where there are none.
    this.room = KEPT;
    this.turn = 0; // Goes up with each alert that came otherwise than in a list.
    this.heard = new Map(); // The turn at which an alert came so, by its id.
  }

  get(id) {
    return this.byId.get(id);
  }

  /**
   * Take in what an event tells of an alert; whether it was not known before. One that is over, and older than all in
   * a list that goes on, is left out: it would stand where others are missing.
   */
  merge(alert) {
    const oldest = this.sorted.at(-1);
    if (!this.byId.has(alert.alert_id) && alert.ended_at !== null && this.next !== null && oldest
      && alert.started_at < oldest.started_at) return false;
    return this.put(alert, joined);
  }

  /** Take in the service's answer about an alert; whether it was not known before. */
  answer(alert) {
    return this.put(alert, answered);
  }

  put(alert, both) {
    this.turn += 1;
    this.heard.set(alert.alert_id, this.turn);
    return this.take(alert, both);
  }

  take(alert, both) {
    const known = this.byId.get(alert.alert_id);
    this.byId.set(alert.alert_id, known ? both(known, alert) : alert);
    this.sort();
    return !known;
  }

  /** Take in a page of the list that was asked for at a turn: what was heard since is newer than the page. */
  takeAll(page, asked) {
    return page.alerts.filter((alert) => this.take(alert, this.heard.get(alert.alert_id) > asked ? joined : answered));
  }

  /**
   * Take in the head of the service's list, which says all there is about the alerts in it. `asked`: the turn at which
   * it was asked for. `anew`: what is known of the rest may be out of date, so it goes. Returns the new ids.
   */
  mergeHead(page, asked, anew = false) {
    const known = new Set(this.byId.keys());
    this.dropWithdrawn(page, asked);
    const overlaps = page.alerts.some((alert) => this.byId.has(alert.alert_id));
    if (anew || (this.byId.size > 0 && page.alerts.length > 0 && !overlaps)) {
      // So many came meanwhile that there is a hole: begin again at the head, with what is newer than that.
      const since = this.sorted.filter((alert) => this.heard.get(alert.alert_id) > asked);
      this.byId.clear();
      this.heard.clear();
      this.room = KEPT;
      this.next = page.next;
      this.takeAll(page, asked);
      for (const alert of since) this.put(alert, joined);
    } else {
      if (this.byId.size <= page.alerts.length) this.next = page.next;
      this.takeAll(page, asked);
    }
    this.sort();
    return page.alerts.map((alert) => alert.alert_id).filter((id) => !known.has(id));
  }

  /** Take in an older page; how many alerts were new. */
  mergeOlder(page, asked) {
    this.next = page.next;
    this.room += page.alerts.length;
    return this.takeAll(page, asked).length;
  }

  /** A missed defect is nothing but a mark: one that the head of the list should hold and does not was withdrawn. */
  dropWithdrawn(page, asked) {
    const listed = new Set(page.alerts.map((alert) => alert.alert_id));
    const oldest = page.next === null ? -Infinity : page.alerts.at(-1)?.started_at ?? Infinity;
    for (const alert of [...this.byId.values()]) {
      if (alert.condition !== "missed" || listed.has(alert.alert_id) || alert.started_at <= oldest) continue;
      if (this.heard.get(alert.alert_id) > asked) continue;
      this.byId.delete(alert.alert_id);
      this.heard.delete(alert.alert_id);
      if (this.next !== null) this.next = Math.max(0, this.next - 1); // What is older moved up by one.
    }
    this.sort();
  }

  firing() {
    return this.sorted.filter((alert) => alert.ended_at === null);
  }

  sort() {
    this.sorted = [...this.byId.values()].sort(
      (a, b) => b.started_at - a.started_at || (a.alert_id < b.alert_id ? 1 : -1));
    for (const gone of this.sorted.splice(this.room)) {
      this.byId.delete(gone.alert_id);
      this.heard.delete(gone.alert_id);
      this.next = this.next === null ? this.room : Math.min(this.next, this.room);
    }
  }
}

/**
 * Two accounts of one alert. Events repeat, and tell of the episode only: a mark that a person set stays set, and
 * what has ended stays ended.
 */
function joined(known, told) {
  const both = { ...known, ...told };
  for (const key of ["ended_at", "acknowledged_at", "acknowledged_by", "false_alarm_at", "false_alarm_by", "evidence_url", "held_back"]) {
    both[key] = told[key] ?? known[key] ?? null;
  }
  if (known.clip_url) both.clip_url = told.clip_url ?? known.clip_url;
  if ((known.escalated_at ?? 0) > (told.escalated_at ?? 0)) { // An alert may be escalated again, to others.
    for (const key of ["escalated_at", "escalated_by", "escalated_to"]) both[key] = known[key];
  }
  both.peak_score = Math.max(known.peak_score, told.peak_score);
  if (known.severity === "critical") both.severity = "critical";
  return both;
}

/** As joined, where the service itself says what people marked: a mark may have been withdrawn. */
function answered(known, told) {
  const both = joined(known, told);
  for (const key of ["acknowledged_at", "acknowledged_by", "false_alarm_at", "false_alarm_by"]) both[key] = told[key] ?? null;
  return both;
}
