// A camera's scores of the last five minutes, as the chart draws them.

const KEPT_MS = 300_000;
const COLUMNS = ["time_ms", "score", "limit", "low", "high", "normalised", "threshold"];

export class Series {
  constructor() {
    this.clear();
  }

  clear() {
    for (const column of COLUMNS) this[column] = [];
  }

  get length() {
    return this.time_ms.length;
  }

  /** The newest point's time, 0 where there is none: ask the service for what came after it. */
  get newest() {
    return this.time_ms.at(-1) ?? 0;
  }

  /** Take in the service's points, all of them newer than `newest`. */
  append(points) {
    for (const column of COLUMNS) this[column].push(...points[column]);
    const oldest = this.newest - KEPT_MS;
    const drop = this.time_ms.findIndex((time) => time >= oldest);
    if (drop > 0) for (const column of COLUMNS) this[column].splice(0, drop);
  }

  /** Whether point `i` lies above its threshold. Both normalised numbers may be cut to 1; the raw ones tell. */
  over(i) {
    return isOver(this.score[i], this.limit[i], this.threshold[i]);
  }
}

/** Whether a score is anomalous: above its limit; with a threshold below 1 reaching it is enough. */
export function isOver(score, limit, threshold) {
  return score > limit || (threshold < 1 && score >= limit);
}
