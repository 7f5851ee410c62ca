// The channels: what each is, and how much waits for it.

import { count, duration, el } from "./text.js";

/** Drawn anew each time: nothing in it can be clicked or typed into. */
export function channelList(channels) {
  if (channels.length === 0) {
    return el("p", { class: "empty" }, el("strong", {}, "No channels yet"),
      "Add where messages shall go to the section ", el("code", {}, "channels"), " of the configuration.");
  }
  return el("ul", { class: "channels" }, ...channels.map((channel) => el("li", { "data-channel": channel.name },
    el("strong", {}, channel.name), el("span", { class: "channel-kind" }, channel.built_in ? `${channel.kind}, gets every event` : channel.kind),
    el("span", { class: `channel-queue${late(channel) ? " late" : ""}` }, queueWords(channel)),
    ...(channel.dead > 0 ? [el("span", { class: "channel-dead" }, `${count(channel.dead)} undelivered`)] : []))));
}

const LATE_S = 60;
const late = ({ queued, oldest_s: oldest }) => queued > 0 && oldest > LATE_S;

function queueWords({ queued, oldest_s: oldest }) {
  if (!queued) return "nothing waits";
  return `${count(queued)} ${queued === 1 ? "waits" : "wait"}${oldest === null ? "" : `, the oldest for ${duration(oldest * 1000)}`}`;
}
