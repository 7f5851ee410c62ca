// The clip of an alert: the seconds before and after it. While it is being made the service says so, and is asked again.

import { Failure, lookFor } from "./net.js";
import { el } from "./text.js";

const AGAIN_MS = 2000;
const TRIES = 90; // Three minutes; a clip is ready some seconds after its alert, or never.

export class Clip {
  /** `place`: an element of a figure of its own, which goes where there is no clip. */
  constructor(place) {
    this.place = place;
    this.figure = place.parentElement;
    this.id = null;
    this.timer = 0;
  }

  /** The clip of this alert; of none where it is null. */
  show(alert) {
    const id = alert?.clip_url ? alert.alert_id : null;
    if (id === this.id) return;
    this.id = id;
    clearTimeout(this.timer);
    this.place.querySelector("video")?.pause();
    this.place.replaceChildren();
    this.figure.hidden = id === null;
    if (id === null) return;
    this.words("looking for it");
    void this.look(id, alert, 1);
  }

  async look(id, alert, turn) {
    const path = `/api/alerts/${encodeURIComponent(id)}/clip.mp4`;
    try {
      await lookFor(path);
      if (this.id !== id) return;
      this.place.replaceChildren(el("video", { controls: "", preload: "metadata", playsinline: "", src: path,
        "aria-label": `Clip of the alert on camera ${alert.camera}` }));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (this.id !== id) return;
      this.words(error.message);
      if (turn < TRIES) this.timer = setTimeout(() => this.look(id, alert, turn + 1), AGAIN_MS);
    }
  }

  words(text) {
    this.place.replaceChildren(el("span", { class: "no-picture", role: "status" }, text));
  }
}
