// The region of a camera, drawn over its picture: what does not count is dimmed, what counts is outlined.

const SVG = "http://www.w3.org/2000/svg";
let made = 0;

export class RegionOverlay {
  constructor() {
    this.id = `region-${made += 1}`;
    this.root = svg("svg", { class: "region", "aria-hidden": "true", preserveAspectRatio: "xMidYMid meet" });
    this.root.style.display = "none";
    this.drawn = "";
  }

  /** `region`: polygons {inside, outside} in shares of the picture, or null. `image`: the picture beneath, or null. */
  update(region, image) {
    const some = region && image?.naturalWidth && (region.inside.length > 0 || region.outside.length > 0);
    const wanted = some ? JSON.stringify([region, image.naturalWidth, image.naturalHeight]) : "";
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    this.root.style.display = some ? "" : "none";
    if (some) this.draw(region, image.naturalWidth, image.naturalHeight);
    else this.root.replaceChildren();
  }

  draw({ inside, outside }, width, height) {
    // In the picture's own pixels, fitted like the picture itself: both lie on each other at any size of the card.
    this.root.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const points = (corners) => corners.map(([x, y]) => `${x * width},${y * height}`).join(" ");
    const shape = (corners, props) => svg("polygon", { points: points(corners), ...props });
    const all = { x: 0, y: 0, width, height };
    const mask = svg("mask", { id: this.id, maskUnits: "userSpaceOnUse", ...all },
      svg("rect", { ...all, fill: inside.length > 0 ? "white" : "black" }),
      ...inside.map((corners) => shape(corners, { fill: "black" })),
      ...outside.map((corners) => shape(corners, { fill: "white" })));
    this.root.replaceChildren(mask,
      svg("rect", { ...all, class: "region-dim", mask: `url(#${this.id})` }),
      ...inside.map((corners) => shape(corners, { class: "region-inside" })),
      ...outside.map((corners) => shape(corners, { class: "region-outside" })));
  }
}

function svg(tag, props, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}
