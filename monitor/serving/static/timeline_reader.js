// The alerts that a timeline needs, read page by page from the service, with a bound.

import { getJson } from "./net.js";

const PAGE = 500;
const PAGES = 4; // With what is firing: at most 2500 bars, which a tablet still draws without stutter.

/** Those that began at `from` (ms) or later, and those that are still firing. {alerts, oldest}: before `oldest` (ms)
 * some are missing, null where none is. Throws Failure. */
export async function readSince(from) {
  const found = new Map();
  const firing = await getJson(`/api/alerts?state=firing&limit=${PAGE}`);
  for (const alert of firing.alerts) found.set(alert.alert_id, alert);
  let offset = 0;
  for (let page = 0; page < PAGES; page += 1) {
    const { alerts, next } = await getJson(`/api/alerts?limit=${PAGE}&offset=${offset}`);
    for (const alert of alerts) found.set(alert.alert_id, alert);
    // The page goes beyond `from`, and so holds most of those that began before and ended after it.
    if (next === null || alerts.at(-1).started_at / 1e6 < from) return { alerts: found, oldest: null };
    offset = next;
  }
  const oldest = Math.min(...[...found.values()].filter((alert) => alert.ended_at !== null).map((alert) => alert.started_at / 1e6));
  return { alerts: found, oldest };
}
