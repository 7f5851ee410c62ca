// A subscription as the service knows it: a new one, and a copy of one.

import { DAYS } from "./subscription_words.js";

export const EVERY_DAY = DAYS.map(([day]) => day);

/** What a new one is unless somebody says otherwise: all events of all cameras, at once, at any time. */
export function fresh(channels) {
  const own = channels.filter((channel) => !channel.built_in);
  return {
    name: "",
    to: own.length === 1 ? [own[0].name] : [],
    enabled: true,
    cameras: [],
    lines: [],
    tags: [],
    from_severity: "warning",
    kinds: [],
    tell: ["begin", "end"],
    when: { timezone: here(), working: [], quiet: [], critical_passes: true, missed: "summary" },
    how_often: { group_s: null, digest: null },
    escalate: null,
  };
}

/** Another one that says the same, under a name that is free. */
export function copyOf(subscription, listed) {
  const taken = new Set(listed.map((one) => one.subscription.name));
  let name = `${subscription.name.slice(0, 58)}-copy`;
  for (let nth = 2; taken.has(name); nth += 1) name = `${subscription.name.slice(0, 55)}-copy-${nth}`;
  return { ...structuredClone(subscription), name };
}

/** This browser's time zone, by its name. */
function here() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

export function timeZones() {
  return ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")];
}

/** Those of `names` that a list of patterns with * and ? matches; all where it is empty. */
export function matching(patterns, names) {
  const forms = patterns.map((pattern) => new RegExp(
    `^${[...pattern].map((sign) => ({ "*": "[^]*", "?": "[^]" })[sign] ?? sign.replace(/[\\^$.|+()[\]{}]/g, "\\$&")).join("")}$`, "u"));
  return forms.length === 0 ? names : names.filter((name) => forms.some((form) => form.test(name)));
}
