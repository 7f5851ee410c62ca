// Requests to the service, with a time limit, and what went wrong in words.

const LIMIT_MS = 8000;
const PICTURES_AT_ONCE = 3; // A browser opens six connections to one server; some must stay free for the rest.

let skewMs = 0;

/** A request that was not answered as hoped. `status` is 0 where nothing was answered at all. */
export class Failure extends Error {
  /** `faults`: where what was sent is wrong, as [path of keys, words]; empty where the service does not say. */
  constructor(status, message, faults = []) {
    super(message);
    this.status = status;
    this.faults = faults;
  }
}

/** The service's clock in ms since the epoch: a tablet's own may be wrong, and alerts carry the service's. */
export function serviceNow() {
  return Date.now() + skewMs;
}

/** The JSON of a GET; statuses in `also` count as answers too. Throws Failure. */
export async function getJson(path, also = []) {
  const answer = await send(path, {});
  if (!answer.ok && !also.includes(answer.status)) throw await refusal(answer);
  return body(answer);
}

/** The JSON that answers a POST. Throws Failure. */
export function postJson(path, content, limitMs = LIMIT_MS) {
  return order("POST", path, content, limitMs);
}

/** The JSON that answers another order, null where the answer is empty. Throws Failure. */
export async function order(method, path, content, limitMs = LIMIT_MS) {
  const sent = content === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) };
  const answer = await send(path, { method, ...sent }, limitMs);
  if (!answer.ok) throw await refusal(answer);
  return answer.status === 204 ? null : body(answer);
}

/** Whether a file is there, without fetching more than its first byte. Throws Failure, with why it is not. */
export async function lookFor(path) {
  const answer = await send(path, { headers: { Range: "bytes=0-0" } });
  if (!answer.ok) throw await refusal(answer);
  await answer.body?.cancel();
}

const waiting = [];
let busy = 0;

/** A picture as {blob, capturedMs}, three at a time; null where the service does not say when. Throws Failure. */
export async function getPicture(path) {
  while (busy >= PICTURES_AT_ONCE) await new Promise((go) => waiting.push(go));
  busy += 1;
  try {
    const answer = await send(path, {});
    if (!answer.ok) throw await refusal(answer);
    const blob = await answer.blob().catch((error) => { throw new Failure(0, String(error)); });
    // Nanoseconds do not fit a number of JavaScript's, and the service knows the frame again by its very millisecond.
    const at = answer.headers.get("x-captured-at");
    return { blob, capturedMs: /^\d+$/.test(at ?? "") ? Number(BigInt(at) / 1_000_000n) : null };
  } finally {
    busy -= 1;
    waiting.shift()?.();
  }
}

async function send(path, options, limitMs = LIMIT_MS) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(limitMs), ...options });
  } catch (error) {
    throw new Failure(0, error.name === "TimeoutError" ? "no answer in time" : "no connection");
  }
  noteClock(answer.headers.get("date"));
  return answer;
}

async function body(answer) {
  try {
    return await answer.json();
  } catch {
    throw new Failure(0, "the answer was cut off");
  }
}

async function refusal(answer) {
  let told;
  try {
    told = (await answer.json()).detail;
  } catch {
    // Not every error page is JSON; the status says enough.
  }
  const faults = Array.isArray(told) ? told.filter((one) => Array.isArray(one?.loc)).map((one) => [one.loc.slice(1), String(one.msg)]) : [];
  const detail = faults.length > 0 ? faults.map(([where, words]) => `${where.join(".")}: ${words}`).join("; ")
    : typeof told === "string" ? told : told === undefined ? "" : JSON.stringify(told);
  return new Failure(answer.status, detail || `status ${answer.status}`, faults);
}

function noteClock(date) {
  const told = Date.parse(date ?? "");
  if (Number.isNaN(told)) return;
  const found = told + 500 - Date.now(); // The header has whole seconds.
  skewMs = Math.abs(found) > 2000 ? found : 0;
}
