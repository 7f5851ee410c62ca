// What every drawing on the page stands on: a canvas as fine as the screen, the style's colours, and words.

export class Canvas {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    this.colour = (name) => style.getPropertyValue(`--${name}`).trim();
    this.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  }

  /** The canvas in CSS pixels, its bitmap as fine as the screen. */
  size() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = window.devicePixelRatio || 1;
    const wide = Math.round(width * ratio);
    const high = Math.round(height * ratio);
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      this.canvas.width = wide;
      this.canvas.height = high;
    }
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    return { width, height };
  }

  words(text, x, y, align, colour = "soft") {
    this.pen.font = this.font;
    this.pen.fillStyle = this.colour(colour);
    this.pen.textAlign = align;
    this.pen.textBaseline = "middle";
    this.pen.fillText(text, x, y);
  }
}
