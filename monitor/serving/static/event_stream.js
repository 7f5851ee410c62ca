// The service's events, without a hole: after each break it goes on after the last one that was seen.

const FIRST_MS = 500;
const MOST_MS = 30_000;
const GOOD_MS = 5000; // A connection that held so long ends the waiting.
const TICK_MS = 5000;
const ASLEEP_MS = 20_000; // A timer that is so late has slept, and so may have the connection, without a word of it.

export class EventStream {
  /**
   * `kinds`: the event types that `told(document)` takes. `opened(seamless)`: it listens; seamless where nothing can
   * have been missed. `gap()`: the service no longer has all that was missed. `broken()`: it will try again.
   */
  constructor({ path, kinds, told, opened, gap, broken }) {
    Object.assign(this, { path, kinds, told, opened, gap, broken });
    this.last = ""; // The id of the last event that was seen.
    this.source = null;
    this.timer = 0;
    this.tries = 0;
    this.wanted = false;
    this.tickedAt = Date.now();
    setInterval(() => this.tick(), TICK_MS);
  }

  /** Listen, where it does not already. */
  start() {
    this.wanted = true;
    if (this.source === null && this.timer === 0) this.connect();
  }

  /** Do not listen for now. Where it was stays known. */
  stop() {
    this.wanted = false;
    this.drop();
  }

  /** The way to the service is free again, or the machine was asleep: try now, on a new connection. */
  wake() {
    if (!this.wanted) return;
    this.drop();
    this.connect();
  }

  connect() {
    this.timer = 0;
    const from = this.last;
    const source = new EventSource(from ? `${this.path}?last_event_id=${encodeURIComponent(from)}` : this.path);
    this.source = source;
    let openedAt = Infinity;
    const current = () => this.source === source;
    source.addEventListener("open", () => {
      if (!current()) return;
      openedAt = performance.now();
      this.opened(from !== "");
    });
    source.addEventListener("error", () => {
      if (!current()) return;
      // Not left to the browser: it comes back in step with all others, and never after a refusal.
      if (performance.now() - openedAt > GOOD_MS) this.tries = 0;
      this.drop();
      this.timer = setTimeout(() => this.connect(), (0.5 + Math.random() / 2) * Math.min(MOST_MS, FIRST_MS * 2 ** this.tries));
      this.tries += 1;
      this.broken();
    });
    source.addEventListener("linewatch.gap", (event) => {
      if (!current()) return;
      this.seen(event);
      this.gap();
    });
    for (const kind of this.kinds) {
      source.addEventListener(kind, (event) => {
        if (!current()) return;
        this.seen(event);
        this.told(JSON.parse(event.data));
      });
    }
  }

  seen(event) {
    if (event.lastEventId) this.last = event.lastEventId;
  }

  drop() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.source?.close();
    this.source = null;
  }

  tick() {
    const late = Date.now() - this.tickedAt - TICK_MS;
    this.tickedAt = Date.now();
    if (late > ASLEEP_MS) this.wake();
  }
}
