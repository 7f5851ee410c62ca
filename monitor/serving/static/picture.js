// A camera's newest picture, exchanged without flicker.

import { getPicture } from "./net.js";

export class Picture {
  /** `place` holds the picture; `name` is what a screen reader calls it. */
  constructor(place, path, name) {
    this.place = place;
    this.path = path;
    this.name = name;
    this.shown = null;
    this.capturedMs = null; // When the picture that is shown was taken.
    this.image = null;
    this.loading = false;
  }

  /** Show the picture called `stamp`, unless it is there already. What cannot be had leaves the old one. */
  async refresh(stamp) {
    if (this.loading || stamp === this.shown) return;
    this.loading = true;
    let url = null;
    try {
      const { blob, capturedMs } = await getPicture(this.path);
      url = URL.createObjectURL(blob);
      const next = new Image();
      next.alt = this.name;
      next.src = url;
      await next.decode(); // Only a picture that is ready to be painted takes the old one's place.
      const former = this.image;
      if (former) former.replaceWith(next);
      else this.place.prepend(next);
      this.release();
      this.image = next;
      this.shown = stamp;
      this.capturedMs = capturedMs;
      url = null;
    } catch {
      // The card says how old the picture is; the next round tries again.
    } finally {
      if (url) URL.revokeObjectURL(url);
      this.loading = false;
    }
  }

  /** Free the picture's memory. */
  release() {
    if (this.image) URL.revokeObjectURL(this.image.src);
  }
}
