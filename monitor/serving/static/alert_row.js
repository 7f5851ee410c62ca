// One alert in the list.

import { aboutWords, cameraWords, EVERYWHERE, heldBack, isAboutPart, lastingWords, markWords, peakWords } from "./alert_words.js";
import { Answers } from "./answers.js";
import { clock, count, el, say } from "./text.js";

/** A picture of an alert in `place`, or why there is none. */
export function showPicture(place, alert, kind) {
  const wanted = `${alert.alert_id}/${kind}/${alert.evidence_url !== null}/${heldBack(alert)}`;
  if (place.dataset.shown === wanted) return;
  place.dataset.shown = wanted;
  if (alert.evidence_url === null) {
    place.replaceChildren(heldBack(alert) > 0
      ? el("span", { class: "no-picture" }, el("strong", { class: "held" }, `+${count(heldBack(alert))}`))
      : el("span", { class: "no-picture" }, "no picture"));
    return;
  }
  const what = kind === "heatmap" ? "Heat map" : "Picture";
  const image = el("img", { alt: `${what} of the alert on camera ${alert.camera}`, loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => {
    if (place.dataset.shown === wanted) place.replaceChildren(el("span", { class: "no-picture" }, "picture not kept"));
  });
  image.src = `/api/alerts/${encodeURIComponent(alert.alert_id)}/${kind}.jpg`;
  place.replaceChildren(image);
}

export class AlertRow {
  /** `page`: what Answers takes, open(id), showCamera(name), nowOf(camera). */
  constructor(alert, page) {
    this.page = page;
    this.kind = "evidence";
    const id = alert.alert_id;
    this.thumb = el("button", { type: "button", class: "thumb", "aria-label": `Open the pictures of the alert on camera ${alert.camera}` });
    this.thumb.addEventListener("click", () => page.open(id));
    this.severity = el("span", { class: "severity" });
    this.camera = el("button", { type: "button", class: "camera", title: "Show this camera" }, cameraWords(alert));
    this.camera.disabled = alert.camera === EVERYWHERE;
    this.camera.addEventListener("click", () => page.showCamera(alert.camera));
    this.when = el("span", { class: "when" });
    this.lasting = el("span", { class: "lasting" });
    this.peak = el("span", { class: "peak" });
    this.marks = el("p", { class: "marks" });
    this.answers = new Answers(page, { small: true });
    this.heat = el("button", { type: "button", class: "quiet heat", "aria-pressed": "false" }, "Heat map");
    this.heat.addEventListener("click", () => this.toggle());
    this.answers.more.before(this.heat);
    this.root = el("li", { class: "alert", "data-alert": id },
      this.thumb,
      el("div", { class: "told" },
        el("p", { class: "first" }, this.severity, this.camera),
        el("p", { class: "second" }, this.when, this.lasting),
        this.peak, this.marks),
      this.answers.root);
    this.update(alert);
  }

  update(alert) {
    this.alert = alert;
    say(this.severity, aboutWords(alert));
    this.severity.className = `severity ${alert.condition === "missed" ? "missed" : alert.severity}`;
    this.root.classList.toggle("firing", alert.ended_at === null);
    this.root.classList.toggle("answered", alert.acknowledged_at !== null || alert.false_alarm_at !== null);
    this.root.classList.toggle("false-alarm", alert.false_alarm_at !== null);
    say(this.peak, peakWords(alert));
    this.heat.hidden = alert.evidence_url === null || !isAboutPart(alert);
    this.answers.update(alert);
    showPicture(this.thumb, alert, this.kind);
    this.tick();
  }

  /** Something new about it, for those who look elsewhere. */
  flash() {
    this.root.classList.remove("fresh");
    void this.root.offsetWidth; // So that it begins anew.
    this.root.classList.add("fresh");
  }

  tick() {
    const now = this.page.nowOf(this.alert.camera);
    say(this.when, clock(this.alert.started_at / 1e6, now));
    say(this.lasting, lastingWords(this.alert, now));
    say(this.marks, markWords(this.alert, now).join(" · "));
    this.answers.offer();
  }

  toggle() {
    this.kind = this.kind === "heatmap" ? "evidence" : "heatmap";
    this.heat.setAttribute("aria-pressed", String(this.kind === "heatmap"));
    showPicture(this.thumb, this.alert, this.kind);
  }
}
