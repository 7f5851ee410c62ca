// The life cycle of a baseline and where its threshold comes from, in plain words.

import { count, moment } from "./text.js";

const MEANS = {
  cold: "Nothing is learnt yet: scores are held against the calibration of the model.",
  warming: "Too few frames yet: scores are held against the calibration of the model.",
  ready: "Scores are held against this camera's own window.",
  stale: "Most of what was learnt is too old: the last range serves until enough new frames came.",
  drifting: "So many frames are refused as anomalous that this may be a new normal; where it goes on, it is learnt.",
  frozen: "Somebody has frozen the baseline: it neither learns nor forgets.",
  degraded: "Redis is away: scores are held against the last known range.",
};

/** The look, the words and the meaning of a camera's life cycle: {phase, words, means}. */
export function life(view) {
  const baseline = view.baseline ?? null;
  if (view.state === "degraded" || baseline === null) return simple(view);
  const phase = baseline.frozen ? "frozen" : baseline.phase;
  const words = phaseWords(baseline);
  if (!baseline.frozen) return { phase, words, means: MEANS[phase] ?? "" };
  const before = baseline.phase === "ready" ? "" : `, ${words}`;
  return { phase, words: `frozen${before}`, means: MEANS.frozen };
}

/** As a service tells that has no baselines, or while there is none. */
function simple({ state, count: frames, warm_up_frames: needed }) {
  const words = state === null ? "" : state === "warming" ? `warming ${count(frames)} of ${count(needed)}` : state;
  return { phase: state ?? "", words, means: MEANS[state] ?? "" };
}

function phaseWords(baseline) {
  const soFar = `${count(Math.min(baseline.count, baseline.needed))} of ${count(baseline.needed)}`;
  switch (baseline.phase) {
    case "cold": return "nothing learnt yet";
    case "warming": return `warming ${soFar}`;
    case "stale": return `stale: ${learntBefore(baseline)}${soFar} new`;
    case "drifting": return `drifting: ${count(baseline.refused)} of ${count(baseline.relearn_after)} refused`;
    default: return baseline.phase;
  }
}

function learntBefore({ kept_ms: kept }) {
  return kept ? `learnt before ${moment(kept)}, ` : "";
}

/** Where the threshold comes from; "" where the service does not say. */
export function thresholdWords(from) {
  if (from === undefined) return "";
  if (from === null) return "threshold as set in the configuration";
  if (from.value === null) {
    return `model's calibration until ${count(from.needed_peaks)} peaks and ${span(from.needed_s)} are seen; `
      + `now ${count(from.peaks)} and ${span(from.watched_s)}`;
  }
  return `threshold from ${wishWords(from.wished_per_day)}: ${count(from.peaks)} peaks in ${span(from.watched_s)} watched`;
}

/** 3 false alarms a day; less than one a day reads better by days. */
export function wishWords(perDay) {
  if (perDay >= 1) return `${tidy(perDay)} false ${perDay === 1 ? "alarm" : "alarms"} a day`;
  return `1 false alarm in ${tidy(1 / perDay)} days`;
}

function tidy(number) {
  return String(Number(number.toPrecision(3)));
}

/** 45 s, 12 min, 9 h 12 min, 3 d 4 h: as coarse as suits a time of watching. */
export function span(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  const two = (big, unit, small, less) => (small ? `${big} ${unit} ${small} ${less}` : `${big} ${unit}`);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 1440) return two(Math.floor(minutes / 60), "h", minutes % 60, "min");
  return two(Math.floor(minutes / 1440), "d", Math.floor((minutes % 1440) / 60), "h");
}
