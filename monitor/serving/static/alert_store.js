// The alerts this page knows of, newest first, however they reached it.

const KEPT = 200;

export class AlertStore {
  constructor() {
    this.byId = new Map();
    this.sorted = [];
    this.next = null; // The offset of older alerts in the service's list; null where there are none.
    this.room = KEPT;
  }

  get(id) {
    return this.byId.get(id);
  }

  /** Take in one alert; whether it was not known before. */
  merge(alert) {
    const known = this.byId.get(alert.alert_id);
    this.byId.set(alert.alert_id, known ? joined(known, alert) : alert);
    this.sort();
    return !known;
  }

  /** Take in the head of the service's list, which says all there is about the alerts in it. Returns the new ids. */
  mergeHead(page) {
    const overlaps = page.alerts.some((alert) => this.byId.has(alert.alert_id));
    if (this.byId.size > 0 && page.alerts.length > 0 && !overlaps) {
      this.byId.clear(); // So many came meanwhile that there is a hole: begin again at the head.
      this.next = page.next;
    } else if (this.byId.size <= page.alerts.length) {
      this.next = page.next;
    }
    return page.alerts.filter((alert) => this.merge(alert)).map((alert) => alert.alert_id);
  }

  /** Take in an older page; how many alerts were new. */
  mergeOlder(page) {
    this.next = page.next;
    this.room += page.alerts.length;
    return page.alerts.filter((alert) => this.merge(alert)).length;
  }

  firing() {
    return this.sorted.filter((alert) => alert.ended_at === null);
  }

  sort() {
    this.sorted = [...this.byId.values()].sort(
      (a, b) => b.started_at - a.started_at || (a.alert_id < b.alert_id ? 1 : -1));
    for (const gone of this.sorted.splice(this.room)) {
      this.byId.delete(gone.alert_id);
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
  both.peak_score = Math.max(known.peak_score, told.peak_score);
  if (known.severity === "critical") both.severity = "critical";
  return both;
}
