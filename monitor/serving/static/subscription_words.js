// What a subscription says, in one plain sentence.

export const DAYS = [["mon", "Mon"], ["tue", "Tue"], ["wed", "Wed"], ["thu", "Thu"], ["fri", "Fri"], ["sat", "Sat"], ["sun", "Sun"]];
const KINDS = { anomaly: "anomalies", camera: "camera trouble", drift: "drift", system: "alarm storms" };
const TELLING = { begin: "begin", end: "end", acknowledged: "are acknowledged", escalated: "are escalated" };
const UNITS = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
const NAMED = 4;

export function sentence(subscription) {
  const { to, when, how_often: often, escalate } = subscription;
  const parts = [
    `${whatWords(subscription)}${whereWords(subscription)}`,
    tellWords(subscription.tell),
    ...whenWords(when, subscription.from_severity),
    oftenWords(often),
    `to ${to.length ? listed(to) : "no channel yet"}`,
    escalate ? `after ${spanWords(escalate.after_s)} without acknowledgement to ${escalate.to || "…"}${escalate.resolved_too ? ", even if over" : ""}` : "",
  ];
  const said = parts.filter(Boolean).join(", ");
  return `${said[0].toUpperCase()}${said.slice(1)}.`;
}

function whatWords({ from_severity: from, kinds }) {
  const critical = from === "critical" ? "critical " : "";
  const all = kinds.length === 0 || kinds.length === Object.keys(KINDS).length;
  return all ? `all ${critical}events` : `${critical}${listed(kinds.map((kind) => KINDS[kind] ?? kind))}`;
}

function whereWords({ cameras, lines, tags }) {
  const parts = [
    cameras.length ? `of ${listed(cameras, "or")}` : "",
    lines.length ? `on line ${listed(lines, "or")}` : "",
    tags.length ? `tagged ${listed(tags, "or")}` : "",
  ].filter(Boolean);
  return parts.length ? ` ${parts.join(" ")}` : " of all cameras";
}

function tellWords(tell) {
  if (tell.length === 2 && tell.includes("begin") && tell.includes("end")) return "";
  return tell.length ? `as they ${listed(tell.map((telling) => TELLING[telling] ?? telling))}` : "never";
}

function whenWords({ timezone, working, quiet, critical_passes: passes, missed }, from) {
  if (working.length === 0 && quiet.length === 0) return [];
  if (passes && from === "critical") return ["at any time (critical events pass its hours)"];
  const parts = [];
  if (working.length) parts.push(`only ${listed(working.map(hoursWords))}`);
  if (quiet.length) parts.push(`not ${listed(quiet.map(hoursWords))}`);
  parts[parts.length - 1] += ` (${[timezone, passes ? "critical ones at any time" : ""].filter(Boolean).join(", ")})`;
  return [...parts, missed === "drop" ? "what comes meanwhile is dropped" : "what comes meanwhile is told afterwards"];
}

function hoursWords({ days, start, end }) {
  const on = daysWords(days);
  return `${on ? `${on} ` : ""}from ${start || "?"} to ${end || "?"}`;
}

/** Mon to Fri; Sat and Sun; nothing where it is every day. */
export function daysWords(days) {
  if (days.length === DAYS.length) return "";
  const runs = [];
  DAYS.forEach(([day, words], nth) => {
    if (!days.includes(day)) return;
    const last = runs.at(-1);
    if (last && last.end === nth - 1) Object.assign(last, { end: nth, to: words });
    else runs.push({ begin: nth, end: nth, from: words, to: words });
  });
  return listed(runs.flatMap(({ begin, end, from, to }) => (end - begin > 1 ? [`${from} to ${to}`] : [...new Set([from, to])])));
}

function oftenWords({ group_s: group, digest }) {
  if (digest) {
    const when = digest.at.length ? `at ${listed(digest.at)}` : `every ${spanWords(digest.every_s)}`;
    return `in one digest ${when}`;
  }
  return group === null ? "at once" : `gathered for ${spanWords(group)}`;
}

/** 90 as 90 s, 600 as 10 min, 28800 as 8 h. */
export function spanWords(seconds) {
  if (!(seconds > 0)) return "?";
  const [size, unit] = UNITS.find(([length]) => seconds >= length && seconds % length === 0) ?? [1, "s"];
  return `${Number((seconds / size).toFixed(1))} ${unit}`;
}

function listed(words, joint = "and") {
  const shown = words.length > NAMED + 1 ? [...words.slice(0, NAMED), `${words.length - NAMED} more`] : words;
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} ${joint} ${shown.at(-1)}`;
}
