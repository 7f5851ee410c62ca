// Which fields the form of a subscription has, what they are called, and how they make a subscription again.

import { checkField, checksField, radiosField, selectField, spanField, textField } from "./fields.js";
import { hoursField, wordsField } from "./list_fields.js";
import { matching, timeZones } from "./subscription_model.js";
import { count } from "./text.js";

const KINDS = [["anomaly", "Anomalies"], ["camera", "Camera trouble"], ["drift", "Drift"], ["system", "Alarm storms"]];
const TELLING = [["begin", "It begins, or becomes critical"], ["end", "It ends"], ["acknowledged", "Somebody acknowledges"], ["escalated", "It is escalated"]];
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** `context`: {name, channels, others, cameras} as SubscriptionForm takes it. */
export function fieldsOf(subscription, { name, channels, others, cameras }) {
  const { when, how_often: often, escalate } = subscription;
  const own = channels.filter((channel) => !channel.built_in || subscription.to.includes(channel.name));
  const gone = subscription.to.filter((to) => !channels.some((channel) => channel.name === to));
  const everything = channels.filter((channel) => channel.built_in).map((channel) => channel.name);
  const also = everything.length ? ` ${everything.join(" and ")} get${everything.length === 1 ? "s" : ""} every event anyway.` : "";
  const targets = [...new Set([...others, ...(escalate ? [escalate.to] : [])])];
  const mode = often.digest ? (often.digest.at.length ? "times" : "every") : often.group_s === null ? "once" : "group";
  return {
    name: textField("Name", subscription.name, {
      fixed: name !== null,
      hint: name === null ? "Short, like shift-line-3: letters, digits, . _ and -" : "A name stays; to have another, copy the subscription.",
      check: (value) => (NAME.test(value) ? "" : "Expected letters, digits, . _ and -, beginning with a letter or digit."),
    }),
    to: checksField("To these channels", [
      ...own.map((channel) => [channel.name, `${channel.name} (${channel.kind})`]),
      ...gone.map((channel) => [channel, `${channel} (not there any more)`]),
    ], subscription.to, {
      needed: "Choose at least one channel.",
      hint: own.length ? `Channels are made in the configuration.${also}` : `There is no channel yet: add one to the section channels of the configuration.${also}`,
    }),
    kinds: checksField("What about", KINDS, subscription.kinds.length ? subscription.kinds : KINDS.map(([kind]) => kind), { needed: "Choose at least one." }),
    severity: radiosField("How severe", [["warning", "Warnings and critical"], ["critical", "Critical only"]], subscription.from_severity),
    tell: checksField("A message when", TELLING, subscription.tell, { needed: "Choose at least one." }),
    cameras: wordsField("Cameras", subscription.cameras, { known: cameras, said: (patterns) => camerasHint(patterns, cameras) }),
    lines: wordsField("Lines", subscription.lines, { most: 64, hint: "Cameras of these lines, as the configuration says; none: of any." }),
    tags: wordsField("Tags", subscription.tags, { most: 64, hint: "Cameras with one of these tags, likewise; none: with any or without." }),
    working: hoursField("Only in these hours", when.working, { hint: "None: at any time. Hours that end before they begin go on into the next day.", first: { start: "06:00", end: "22:00" } }),
    quiet: hoursField("Not in these hours", when.quiet, { hint: "Quiet hours: nobody is woken.", first: { start: "22:00", end: "06:00" } }),
    timezone: textField("Time zone", when.timezone, { most: 64, known: timeZones(), hint: "Of all times here; it knows when clocks change.", check: (value) => (value ? "" : "Name a time zone, like Europe/Berlin.") }),
    passes: checkField("Critical events are told at any time all the same", when.critical_passes),
    missed: radiosField("What comes outside these hours", [["summary", "is told in one message when they are over"], ["drop", "is not told at all"]], when.missed),
    often: radiosField("Messages come", [["once", "at once"], ["group", "gathered"], ["times", "in a digest, at times of day"], ["every", "in a digest, every so often"]], mode,
      { hint: "A digest has the pictures of its alerts side by side, and does not come where nothing happened." }),
    group: spanField("Gather for so long after the first event", often.group_s ?? 300, { least: 1, most: 86_400 }),
    at: wordsField("At", often.digest?.at ?? [], { kind: "time", hint: "Times of day, in the time zone below.", needed: "Give at least one time of day." }),
    every: spanField("Every", often.digest?.every_s ?? 28_800, { least: 60, most: 604_800 }),
    escalates: checkField("Tell somebody else where nobody acknowledges in time", escalate !== null, { hint: targets.length ? "" : "This needs another subscription: make that one first." }),
    escalateTo: selectField("By the subscription", [["", "choose"], ...targets.map((target) => [target, target])], escalate?.to ?? "", { hint: "Its channels are told, whatever it says of cameras.", needed: "Choose who is told then." }),
    after: spanField("After", escalate?.after_s ?? 600, { least: 5, most: 604_800, hint: "Counted from when the alert began to be told." }),
    resolvedToo: checkField("Also where the alert is over by then", escalate?.resolved_too ?? false),
    enabled: checkField("On", subscription.enabled, { hint: "Off: nothing is told, and nothing gathered." }),
  };
}

/** What these fields say, as the service takes it. */
export function subscriptionOf(fields) {
  const value = (key) => fields[key].value();
  const kinds = value("kinds");
  const often = value("often");
  return {
    name: value("name"),
    to: value("to"),
    enabled: value("enabled"),
    cameras: value("cameras"),
    lines: value("lines"),
    tags: value("tags"),
    from_severity: value("severity"),
    kinds: kinds.length === KINDS.length ? [] : kinds, // All there are, also those of later versions.
    tell: value("tell"),
    when: { timezone: value("timezone"), working: value("working"), quiet: value("quiet"), critical_passes: value("passes"), missed: value("missed") },
    how_often: {
      group_s: often === "group" ? value("group") : null,
      digest: often === "times" ? { at: value("at"), every_s: null } : often === "every" ? { at: [], every_s: value("every") } : null,
    },
    escalate: value("escalates") ? { to: value("escalateTo"), after_s: value("after"), resolved_too: value("resolvedToo") } : null,
  };
}

function camerasHint(patterns, cameras) {
  if (patterns.length === 0) return "Names, or patterns with * and ?. None: every camera.";
  const found = matching(patterns, cameras);
  const some = found.slice(0, 5).join(", ");
  const more = found.length > 5 ? ` and ${count(found.length - 5)} more` : "";
  return found.length ? `Now ${count(found.length)} of ${count(cameras.length)} cameras: ${some}${more}.` : `None of the ${count(cameras.length)} cameras that are there now.`;
}
