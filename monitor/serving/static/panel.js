// A dialog that fills with one view or another: lists, forms.

import { el, say } from "./text.js";

let made = 0;

export class Panel {
  constructor(title) {
    const id = `panel-${made += 1}`;
    this.title = el("h2", { id, tabindex: "-1" }, title);
    this.quit = el("button", { type: "button", class: "quiet" }, "Close");
    this.tools = el("div", { class: "panel-tools" });
    this.trouble = el("p", { class: "note bad", role: "alert" });
    this.trouble.hidden = true;
    this.body = el("div", { class: "panel-body" });
    this.dialog = el("dialog", { class: "panel", "aria-labelledby": id },
      el("div", { class: "panel-head" }, this.title, this.tools, this.quit), this.trouble, this.body);
    document.body.append(this.dialog);
    this.guard = null;
    this.quit.addEventListener("click", () => this.dismiss());
    this.dialog.addEventListener("cancel", (event) => {
      if (event.target !== this.dialog) return; // Of a control inside.
      event.preventDefault();
      this.dismiss();
    });
  }

  get open() {
    return this.dialog.open;
  }

  show() {
    if (!this.open) this.dialog.showModal(); // The browser gives the focus back where it was when it closes.
    this.title.focus();
  }

  /** What is shown now; `guard` is asked instead of closing. */
  fill(title, nodes, guard = null) {
    say(this.title, title);
    this.body.replaceChildren(...nodes);
    this.tools.hidden = guard !== null;
    say(this.quit, guard === null ? "Close" : "Back");
    this.guard = guard;
    this.complain("");
    this.dialog.scrollTop = 0;
  }

  dismiss() {
    if (this.guard) this.guard();
    else this.dialog.close();
  }

  complain(words) {
    say(this.trouble, words);
    this.trouble.hidden = words === "";
  }
}

/** A button that is busy while it acts. */
export function doing(words, props, act) {
  const button = el("button", { type: "button", ...props }, words);
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    try {
      await act();
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
  return button;
}
