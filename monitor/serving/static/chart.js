// Score against threshold over time, on a canvas.

import { Canvas } from "./canvas.js";
import { raw } from "./text.js";

const LEFT = 50;
const LABEL = 46; // A label on the time axis needs so many pixels.
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 18;
const HEADROOM = 1.08;

export class Chart extends Canvas {
  /**
   * Draw `series` up to `now` (ms). `view`: minutes and scale ("normalised" or "raw").
   * `alerts`: stretches as [from, to] in ms. `gap`: a longer pause (ms) breaks the line.
   */
  draw(series, now, view, alerts, gap) {
    const { width, height } = this.size();
    if (width < 80 || height < 40) return;
    const pen = this.pen;
    pen.clearRect(0, 0, width, height);
    const from = now - view.minutes * 60_000;
    const box = { left: LEFT, right: width - RIGHT, top: TOP, bottom: height - BOTTOM };
    const x = (time) => box.left + ((time - from) / (now - from)) * (box.right - box.left);
    let first = series.time_ms.findIndex((time) => time >= from);
    if (first < 0) first = series.length;
    const kept = thin(series, first, x, view.scale);
    const [low, high] = range(series, kept, view.scale);
    const y = (value) => box.bottom - ((value - low) / (high - low)) * (box.bottom - box.top);

    this.grid(box, low, high, x, y, now, view);
    pen.save();
    pen.beginPath();
    pen.rect(box.left, box.top - 4, box.right - box.left, box.bottom - box.top + 8);
    pen.clip();
    this.stretches(alerts, from, now, x, box);
    if (view.scale === "raw") this.band(series, kept, x, y, gap);
    const line = view.scale === "raw" ? series.score : series.normalised;
    const limit = view.scale === "raw" ? series.limit : series.threshold;
    this.line(series, kept, x, y, limit, gap, { colour: this.colour("limit"), width: 1.5, dash: [5, 4] });
    this.line(series, kept, x, y, line, gap, { colour: this.colour("line"), width: 1.75 });
    this.line(series, kept, x, y, line, gap, { colour: this.colour("bad"), width: 2.5, only: (i) => series.over(i) });
    this.dot(series, kept, x, y, line);
    pen.restore();
    if (kept.length === 0) this.words("no scores in this time", (box.left + box.right) / 2, (box.top + box.bottom) / 2, "center");
  }

  grid(box, low, high, x, y, now, view) {
    const pen = this.pen;
    pen.strokeStyle = this.colour("grid");
    pen.lineWidth = 1;
    pen.beginPath();
    const ticks = view.scale === "raw" ? [low, (low + high) / 2, high] : [0, 0.5, 1];
    const digits = Math.max(0, 1 - Math.floor(Math.log10(high - low)));
    for (const tick of ticks) {
      const at = Math.round(y(tick)) + 0.5;
      pen.moveTo(box.left, at);
      pen.lineTo(box.right, at);
      this.words(view.scale === "raw" ? axis(tick, digits) : String(tick), box.left - 6, at, "right");
    }
    for (let minute = 1; minute <= view.minutes; minute += 1) {
      const at = Math.round(x(now - minute * 60_000)) + 0.5;
      pen.moveTo(at, box.top);
      pen.lineTo(at, box.bottom);
      const room = x(now) - x(now - 60_000) >= LABEL ? 1 : 2;
      if (minute % room === view.minutes % room) this.words(`−${minute} min`, at, box.bottom + 11, "center");
    }
    pen.stroke();
    this.words("now", box.right, box.bottom + 11, "right");
  }

  stretches(alerts, from, now, x, box) {
    const pen = this.pen;
    for (const [begin, end] of alerts) {
      if (end < from || begin > now) continue;
      const left = Math.max(x(begin), box.left);
      const wide = Math.max(2, Math.min(x(end), box.right) - left);
      pen.fillStyle = this.colour("stretch");
      pen.fillRect(left, box.top, wide, box.bottom - box.top);
      pen.fillStyle = this.colour("bad");
      pen.fillRect(left, box.bottom - 2, wide, 2);
    }
  }

  band(series, kept, x, y, gap) {
    this.pen.fillStyle = this.colour("band");
    for (const run of runs(series, kept, gap)) {
      this.pen.beginPath();
      for (const i of run) this.pen.lineTo(x(series.time_ms[i]), y(series.high[i]));
      for (const i of run.toReversed()) this.pen.lineTo(x(series.time_ms[i]), y(series.low[i]));
      this.pen.fill();
    }
  }

  line(series, kept, x, y, values, gap, { colour, width, dash = [], only = null }) {
    const pen = this.pen;
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.lineJoin = "round";
    pen.setLineDash(dash);
    pen.beginPath();
    for (const run of runs(series, kept, gap)) {
      run.forEach((i, nth) => {
        const before = run[nth - 1];
        if (nth === 0 || (only && !only(i) && !only(before))) pen.moveTo(x(series.time_ms[i]), y(values[i]));
        else pen.lineTo(x(series.time_ms[i]), y(values[i]));
      });
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  dot(series, kept, x, y, values) {
    const last = kept.at(-1);
    if (last === undefined) return;
    this.pen.fillStyle = this.colour(series.over(last) ? "bad" : "line");
    this.pen.beginPath();
    this.pen.arc(x(series.time_ms[last]), y(values[last]), 3.5, 0, 2 * Math.PI);
    this.pen.fill();
  }
}

/** A raw score on the axis, all of them with the same number of digits. */
function axis(value, digits) {
  return digits > 4 ? raw(value) : value.toFixed(digits);
}

/** Of all points that fall on one pixel column, the lowest and the highest: no peak is lost, no stroke is wasted. */
function thin(series, first, x, scale) {
  const values = scale === "raw" ? series.score : series.normalised;
  const kept = [];
  let i = first;
  while (i < series.length) {
    const column = Math.floor(x(series.time_ms[i]));
    let low = i;
    let high = i;
    for (; i < series.length && Math.floor(x(series.time_ms[i])) === column; i += 1) {
      if (values[i] < values[low]) low = i;
      if (values[i] >= values[high]) high = i;
    }
    kept.push(Math.min(low, high));
    if (low !== high) kept.push(Math.max(low, high));
  }
  return kept;
}

/** The values at the bottom and the top of the chart. */
function range(series, kept, scale) {
  if (scale !== "raw" || kept.length === 0) return [0, HEADROOM];
  let low = Infinity;
  let high = -Infinity;
  for (const i of kept) {
    low = Math.min(low, series.score[i], series.low[i]);
    high = Math.max(high, series.score[i], series.limit[i], series.high[i]);
  }
  return high > low ? [low, low + (high - low) * HEADROOM] : [low, low + (Math.abs(low) || 1)];
}

/** The points in runs without a pause. */
function runs(series, kept, gap) {
  const found = [];
  let run = [];
  for (const i of kept) {
    if (run.length && series.time_ms[i] - series.time_ms[run.at(-1)] > gap) {
      found.push(run);
      run = [];
    }
    run.push(i);
  }
  if (run.length) found.push(run);
  return found;
}
