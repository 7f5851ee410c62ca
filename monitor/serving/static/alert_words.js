// What an alert is, as people say it. Events of older services may lack some fields.

import { CONDITIONS, clock, count, duration, raw } from "./text.js";

/** What is neither about one part nor about the camera's own sight. */
const OTHERS = {
  storm: ["alarm storm", "More alerts than anybody can look at; the rest is held back"],
  missed: ["missed defect", "A defect that raised no alert, marked by hand"],
  drift: ["drift", "Scores have moved away from what was learnt, and stay there"],
};

const ITSELF = "linewatch"; // Who escalates where the subscription says so.

export const EVERYWHERE = "*"; // The camera of an alert that is about all of them.

export function isAboutPart(alert) {
  return (alert.condition ?? "anomaly") === "anomaly";
}

/** Whether it is about the camera itself: dark, covered, offline, ... */
export function isTrouble(alert) {
  return !isAboutPart(alert) && !(alert.condition in OTHERS);
}

/** Whether somebody could say of it that nothing was wrong. */
export function canBeFalse(alert) {
  return alert.condition !== "storm" && alert.condition !== "missed";
}

/** Whether it wants to be seen by somebody: what a person noted himself does not. */
export function wantsAnswer(alert) {
  return alert.condition !== "missed";
}

export function cameraWords(alert) {
  return alert.camera === EVERYWHERE ? "All cameras" : alert.camera;
}

/** What it is about, in a word or two. */
export function aboutWords(alert) {
  if (isAboutPart(alert)) return alert.severity;
  return OTHERS[alert.condition]?.[0] ?? `camera ${CONDITIONS[alert.condition] ?? alert.condition}`;
}

/** Camera and what it is about, as a heading. */
export function headingWords(alert) {
  return `${cameraWords(alert)}: ${isAboutPart(alert) ? `${alert.severity} alert` : aboutWords(alert)}`;
}

/** How long it lasts or lasted; `now` in ms, where its camera stands. Nothing where it is a moment. */
export function lastingWords(alert, now) {
  if (alert.condition === "missed") return "";
  const begun = alert.started_at / 1e6;
  if (alert.ended_at === null) return `${isAboutPart(alert) ? "firing " : isTrouble(alert) ? "so " : ""}for ${duration(now - begun)}`;
  return `lasted ${duration(alert.ended_at / 1e6 - begun)}`;
}

/** What was measured: how high it went, against the limit. A factor says more than two raw numbers. */
export function peakWords(alert) {
  if (alert.condition === "storm" && heldBack(alert) > 0) return stormWords(alert);
  if (alert.condition in OTHERS) return OTHERS[alert.condition][1];
  if (!isAboutPart(alert)) return "Its anomaly alerts are held back meanwhile";
  return ["peak", [factorWords(alert), `raw ${raw(alert.peak_score)}`].filter(Boolean).join(", ")].join(" ");
}

function factorWords(alert) {
  return alert.threshold > 0 ? `${(alert.peak_score / alert.threshold).toFixed(2)} × limit` : "";
}

/** How many alerts a storm kept back. */
export function heldBack(alert) {
  return Object.values(alert.held_back ?? {}).reduce((sum, number) => sum + number, 0);
}

function stormWords(alert) {
  const many = heldBack(alert);
  const cameras = Object.keys(alert.held_back).length;
  return `${count(many)} more ${many === 1 ? "alert" : "alerts"} held back on ${count(cameras)} ${cameras === 1 ? "camera" : "cameras"}`;
}

/** Which cameras a storm silenced, and how often: most first. Empty for other alerts. */
export function heldBackWords(alert) {
  const most = Object.entries(alert.held_back ?? {}).sort(([, a], [, b]) => b - a);
  return most.length ? [`held back: ${most.map(([camera, number]) => `${camera} ${count(number)}`).join(", ")}`] : [];
}

/** What people said about it, as a list of phrases. */
export function markWords(alert, now) {
  const marks = [];
  const seen = alert.condition === "missed" ? "Marked by" : "Seen by";
  if (alert.acknowledged_at !== null) marks.push(`${seen} ${alert.acknowledged_by}, ${clock(alert.acknowledged_at / 1e6, now)}`);
  if (alert.escalated_at) {
    const who = alert.escalated_by === ITSELF ? "as nobody acknowledged in time" : `by ${alert.escalated_by}`;
    marks.push(`Escalated to ${alert.escalated_to} ${who}, ${clock(alert.escalated_at / 1e6, now)}`);
  }
  if (alert.false_alarm_at !== null) marks.push(`False alarm, says ${alert.false_alarm_by}, ${clock(alert.false_alarm_at / 1e6, now)}`);
  return marks;
}

/** All of it in one sentence, for the bar of a timeline. */
export function sentence(alert, now) {
  const factor = factorWords(alert);
  const peak = isAboutPart(alert) ? factor && `peak ${factor}` : peakWords(alert);
  return [`${headingWords(alert)}, ${clock(alert.started_at / 1e6, now)}`, lastingWords(alert, now), peak, ...markWords(alert, now)].filter(Boolean).join(" · ");
}
