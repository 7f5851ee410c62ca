// Words and numbers as people read them, and elements that hold them.
// Text goes in as text nodes only: camera names and errors come from outside and may look like HTML.

/** An element; `props` are attributes, children are nodes or text. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Change an element's text only where it differs, so that screen readers and selections are left in peace. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const whole = new Intl.NumberFormat("en", { useGrouping: true, maximumFractionDigits: 0 });

/** 12,345 */
export function count(number) {
  return whole.format(number).replaceAll(",", " ");
}

/** A raw score with three digits that count: 0.0123, 1.23, 123. */
export function raw(number) {
  if (number === 0) return "0";
  const size = Math.abs(number);
  if (size < 1e-4 || size >= 1e6) return number.toExponential(2);
  return size >= 100 ? number.toFixed(0) : number.toPrecision(3);
}

/** 14:03:27, with the date where it is not today's. */
export function clock(ms, now = Date.now()) {
  const when = new Date(ms);
  const time = when.toLocaleTimeString("en-GB");
  if (when.toDateString() === new Date(now).toDateString()) return time;
  return `${when.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })} ${time}`;
}

/** 14:03, with the day where it is not today's: for what nobody needs to the second. */
export function moment(ms, now = Date.now()) {
  const when = new Date(ms);
  const time = when.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (when.toDateString() === new Date(now).toDateString()) return time;
  return `${when.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}

/** 4 s, 1 min 05 s, 2 h 03 min, 3 d 4 h. */
export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const two = (number) => String(number).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** What a camera in trouble is, by the names that the service uses. */
export const CONDITIONS = {
  offline: "offline",
  frozen: "frozen",
  dark: "too dark",
  bright: "too bright",
  blurred: "blurred",
  covered: "covered",
  moved: "moved",
  relit: "lit differently",
};
