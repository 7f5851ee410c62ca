// One dialog for everything that is asked before it is done. A refusal is told in it, and what was typed stays.

import { myName } from "./me.js";
import { Failure } from "./net.js";
import { el, say } from "./text.js";
import { callMe, given } from "./who.js";

let made = 0;

export class Ask {
  constructor() {
    this.title = el("h2", { id: "ask-title" });
    this.text = el("p", { class: "ask-text", id: "ask-text" });
    this.fields = el("div", { class: "ask-fields" });
    this.who = el("input", { maxlength: "100", autocomplete: "off", spellcheck: "false", placeholder: "operator" });
    this.acting = el("label", { class: "ask-line" }, "Acting as", this.who);
    this.trouble = el("p", { class: "note bad", role: "alert" });
    this.cancel = el("button", { type: "button", class: "quiet" }, "Cancel");
    this.go = el("button", { type: "submit", class: "primary" });
    this.form = el("form", { novalidate: "" }, this.title, this.text, this.fields,
      this.acting,
      this.trouble, el("div", { class: "ask-buttons" }, this.cancel, this.go));
    this.dialog = el("dialog", { class: "ask", "aria-labelledby": "ask-title", "aria-describedby": "ask-text" }, this.form);
    document.body.append(this.dialog);
    this.cancel.addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.fields.replaceChildren());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
  }

  /**
   * Ask. `fields`: what `choice`, `line` and `still` make. `act(values)` does it, values by the fields' names; where
   * it throws a Failure the dialog stays and tells it. `danger`: it cannot be undone. `then()`: it is done, and the
   * dialog closed, so that the focus can go elsewhere.
   */
  open({ title, text, fields = [], action, danger = false, act, then = () => {} }) {
    this.asked = { fields, act, action, then };
    say(this.title, title);
    say(this.text, text);
    this.fields.replaceChildren(...fields.map((field) => field.root));
    this.who.value = given();
    this.acting.hidden = myName() !== ""; // The service knows better than what is typed here.
    this.trouble.hidden = true;
    say(this.go, action);
    this.go.classList.toggle("danger", danger);
    this.dialog.showModal();
    // What cannot be undone must not happen because somebody presses Enter twice.
    (danger ? this.cancel : fields.find((field) => field.where)?.where() ?? this.go).focus();
  }

  async submit() {
    const { fields, act, then } = this.asked;
    if (this.go.getAttribute("aria-busy") === "true") return;
    for (const field of fields) {
      const problem = field.problem?.();
      if (!problem) continue;
      this.complain(problem);
      field.where().focus();
      return;
    }
    if (myName() === "" && this.who.value.trim() !== given()) callMe(this.who.value.trim());
    this.trouble.hidden = true;
    this.go.setAttribute("aria-busy", "true");
    try {
      await act(Object.fromEntries(fields.filter((field) => field.value).map((field) => [field.name, field.value()])));
      this.dialog.close();
      then();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.complain(`Not done: ${error.message}.`);
    } finally {
      this.go.removeAttribute("aria-busy");
    }
  }

  complain(words) {
    this.trouble.hidden = false;
    say(this.trouble, words);
  }
}

/** One of several: `options` are [value, words]. `free`: {label, least, most} lets another number be given. */
export function choice(name, label, options, free = null) {
  const group = `choice-${made += 1}`;
  const radio = (value, words, nth) => {
    const input = el("input", { type: "radio", name: group, value });
    input.checked = nth === 0;
    return [input, el("label", { class: "ask-option" }, input, words)];
  };
  const parts = options.map(([value, words], nth) => radio(value, words, nth));
  const inputs = parts.map(([input]) => input);
  const nodes = parts.map(([, node]) => node);
  let number = null;
  if (free) {
    const [input, node] = radio("free", free.label, -1);
    number = el("input", { type: "number", min: free.least, max: free.most, step: "1", inputmode: "numeric", "aria-label": free.says });
    number.addEventListener("input", () => { input.checked = true; });
    inputs.push(input);
    nodes.push(el("span", { class: "ask-free" }, node, number));
  }
  const chosen = () => inputs.find((input) => input.checked);
  const other = () => chosen().value === "free";
  return {
    name,
    root: el("fieldset", { class: "ask-choice" }, el("legend", {}, label), el("div", { class: "ask-options" }, ...nodes)),
    value: () => (other() ? Number(number.value) : options[inputs.indexOf(chosen())][0]),
    problem: () => {
      if (!other() || (number.value !== "" && number.validity.valid)) return "";
      return `${free.says}: expected a whole number from ${free.least} to ${free.most}.`;
    },
    where: () => (other() ? number : chosen()),
  };
}

/** One line of text. `needed`: what to say where it is left empty; "" where it may be. `known`: what is suggested. */
export function line(name, label, { needed = "", most = 200, known = [], value = "" } = {}) {
  const id = `line-${made += 1}`;
  const input = el("input", { maxlength: most, autocomplete: "off", list: known.length ? id : null });
  input.value = value;
  const list = el("datalist", { id }, ...known.map((word) => el("option", { value: word })));
  return {
    name,
    root: el("label", { class: "ask-line" }, label, input, list),
    value: () => input.value.trim(),
    problem: () => (needed && input.value.trim() === "" ? needed : ""),
    where: () => input,
  };
}

/** A picture that stands still while the camera goes on. Nothing is asked by it. */
export function still(image, words) {
  const copy = el("canvas", { class: "ask-still", role: "img", "aria-label": words });
  copy.width = image.naturalWidth;
  copy.height = image.naturalHeight;
  copy.getContext("2d").drawImage(image, 0, 0);
  return { root: copy };
}
