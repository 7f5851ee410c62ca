// The scores of a baseline's window as a histogram, with its range and its limit.

import { Canvas } from "./canvas.js";
import { count, raw } from "./text.js";

const SIDE = 10;
const TOP = 26; // The labels of low, high and limit stand above the bars.
const BOTTOM = 18;
const FAR = 4; // A limit further off than so many widths of all the rest is not drawn to scale.

export class Histogram extends Canvas {
  /** `told`: what the service says of the baseline, with edges and counts; `score`: the newest, or null. */
  draw(told, score) {
    const { width, height } = this.size();
    if (width < 80 || height < 60) return;
    const { edges, counts } = told.distribution;
    const { low, high, far } = reach(told);
    const box = { left: SIDE, right: width - SIDE, top: TOP, bottom: height - BOTTOM };
    const x = (value) => box.left + ((value - low) / (high - low)) * (box.right - box.left);
    const pen = this.pen;
    pen.clearRect(0, 0, width, height);
    if (told.low !== null && told.high !== null) {
      pen.fillStyle = this.colour("band");
      pen.fillRect(x(told.low), box.top, Math.max(1, x(told.high) - x(told.low)), box.bottom - box.top);
    }
    this.bars(edges, counts, x, box);
    pen.fillStyle = this.colour("grid");
    pen.fillRect(box.left, box.bottom, box.right - box.left, 1);
    this.marks(told, x, box, far);
    if (score !== null) this.newest(Math.min(Math.max(x(score), box.left), box.right), box);
  }

  bars(edges, counts, x, box) {
    const most = Math.max(1, ...counts);
    this.pen.fillStyle = this.colour("line");
    counts.forEach((number, i) => {
      if (number === 0) return;
      // One score among thousands has to be seen, too.
      const tall = Math.max(2, (number / most) * (box.bottom - box.top));
      const left = x(edges[i]);
      this.pen.fillRect(left, box.bottom - tall, Math.max(1, x(edges[i + 1]) - left - 1), tall);
    });
  }

  marks(told, x, box, far) {
    const marks = [["low", told.low, "soft"], ["high", told.high, "soft"], ["limit", told.limit, "limit"]]
      .filter(([, value]) => value !== null);
    const taken = [];
    // The limit is what is looked for: it is labelled first, and what would lie over it gives way by a line.
    for (const [name, value, colour] of marks.toReversed()) {
      const beyond = name === "limit" && far;
      const at = beyond ? box.right : x(value);
      this.pen.strokeStyle = this.colour(colour);
      this.pen.lineWidth = name === "limit" ? 2 : 1;
      this.pen.setLineDash(name === "limit" ? [] : [3, 3]);
      this.pen.beginPath();
      this.pen.moveTo(at, box.top);
      this.pen.lineTo(at, box.bottom);
      this.pen.stroke();
      this.pen.setLineDash([]);
      this.label(`${name} ${raw(value)}${beyond ? " →" : ""}`, at, box, colour, taken);
    }
  }

  label(text, at, box, colour, taken) {
    this.pen.font = this.font;
    const half = this.pen.measureText(text).width / 2;
    const middle = Math.min(Math.max(at, box.left + half), box.right - half);
    const clear = (row) => taken.every(([line, from, to]) => line !== row || middle + half + 6 < from || middle - half - 6 > to);
    const row = [18, 6].find(clear);
    if (row === undefined) return; // The numbers stand beneath the picture as well.
    taken.push([row, middle - half, middle + half]);
    this.words(text, middle, row, "center", colour);
  }

  /** A small arrow beneath: where the newest score lies, or the end of the axis that it lies beyond. */
  newest(at, box) {
    this.pen.fillStyle = this.colour("ink");
    this.pen.beginPath();
    this.pen.moveTo(at, box.bottom + 2);
    this.pen.lineTo(at - 5, box.bottom + 11);
    this.pen.lineTo(at + 5, box.bottom + 11);
    this.pen.fill();
    const left = at < (box.left + box.right) / 2;
    this.words("newest", left ? at + 9 : at - 9, box.bottom + 9, left ? "left" : "right");
  }
}

/** From where to where the axis goes; `far`: the limit lies beyond it. */
function reach(told) {
  const { edges } = told.distribution;
  const near = [edges[0], edges.at(-1), told.low, told.high].filter((value) => value !== null);
  let low = Math.min(...near);
  let high = Math.max(...near);
  if (!(high > low)) high = low + (Math.abs(low) || 1) * 0.01;
  const far = told.limit !== null && told.limit > high + FAR * (high - low);
  if (told.limit !== null && !far) {
    low = Math.min(low, told.limit);
    high = Math.max(high, told.limit);
  }
  return { low, high: high + (high - low) * 0.04, far };
}

/** The same for who cannot see it. */
export function distributionWords(told) {
  const { edges, counts } = told.distribution;
  const total = counts.reduce((sum, number) => sum + number, 0);
  const peak = counts.indexOf(Math.max(...counts));
  return `${count(total)} scores from ${raw(edges[0])} to ${raw(edges.at(-1))}, most of them at ${raw((edges[peak] + edges[peak + 1]) / 2)}`;
}
