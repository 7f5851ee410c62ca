// Work that comes round again: never twice at once, never piling up.

/**
 * Run `task` now and then every `periodMs()` after it has ended. Returns a function that runs it at once;
 * called while it runs, it runs once more right after.
 */
export function repeat(task, periodMs) {
  let timer = 0;
  let running = false;
  let again = false;

  async function turn() {
    if (running) {
      again = true;
      return;
    }
    clearTimeout(timer);
    running = true;
    try {
      await task();
    } finally {
      running = false;
      timer = setTimeout(turn, again ? 0 : periodMs());
      again = false;
    }
  }

  turn();
  return turn;
}
