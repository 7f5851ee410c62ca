// What the service answers about subscriptions, and about messages that could not be delivered. All of it throws Failure.

import { getJson, order, postJson } from "./net.js";
import { actor } from "./who.js";

const TEST_MS = 60_000; // The service gives each channel 20 s.

const ALL = "/api/subscriptions";
const of = (name, what = "") => `${ALL}/${encodeURIComponent(name)}${what}`;

export const readSubscriptions = () => getJson(ALL);
export const create = (subscription) => postJson(ALL, { subscription, by: actor() });
export const change = (name, subscription) => order("PUT", of(name), { subscription, by: actor() });
export const remove = (name) => order("DELETE", `${of(name)}?by=${encodeURIComponent(actor())}`);
export const turn = (name, on) => postJson(of(name, "/switch"), { on, by: actor() });

/** What happened, by channel: [{channel, outcome, detail, took_s}]. */
export async function tryOut(name) {
  return (await postJson(of(name, "/test"), { by: actor() }, TEST_MS)).results;
}

/** `to`: a subscription's name; null where those that match the alert say. The alert then. */
export const escalate = (id, to) => postJson(`/api/alerts/${encodeURIComponent(id)}/escalate`, { by: actor(), to });

/** {dead_letters, next}, newest first, of one channel or of all where it is null. */
export function readDeadLetters(channel, offset) {
  const of = channel === null ? "" : `&channel=${encodeURIComponent(channel)}`;
  return getJson(`/api/dead-letters?limit=50&offset=${offset}${of}`);
}

/** `what`: "replay" or "discard". `ids`: null for all, of `channel` or of every one. How many it was. */
export async function answerDeadLetters(what, ids, channel) {
  const told = await postJson(`/api/dead-letters/${what}`, { ids, channel, by: actor() });
  return told.replayed ?? told.discarded;
}
