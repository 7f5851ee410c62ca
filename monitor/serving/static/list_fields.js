// Fields that hold several things: words one beside the other, and stretches of the week.

import { fieldOf, newId } from "./fields.js";
import { EVERY_DAY } from "./subscription_model.js";
import { DAYS } from "./subscription_words.js";
import { el } from "./text.js";

/** Words: each is entered with Enter, the button, or by going on. `kind`: of the input. `said(values)`: a hint of now. */
export function wordsField(label, values, { hint = "", most = 128, known = [], kind = "text", said = null, needed = "" } = {}) {
  const held = [...values];
  const list = newId();
  const hintId = newId();
  const chips = el("ul", { class: "chips", role: "list", "aria-label": `${label}: chosen` });
  const input = el("input", { type: kind, maxlength: kind === "text" ? most : null, autocomplete: "off", spellcheck: "false",
    list: known.length ? list : null, "aria-describedby": hintId });
  const add = el("button", { type: "button", class: "quiet small" }, "Add");
  const told = el("span", { class: "hint", id: hintId });
  const root = el("div", { class: "field words" }, el("label", {}, label, input), add, chips, told,
    el("datalist", { id: list }, ...known.map((word) => el("option", { value: word }))));

  function take() {
    for (const word of input.value.split("\n").map((part) => part.trim())) {
      if (word && !held.includes(word)) held.push(word);
    }
    if (input.value) input.value = "";
    show();
  }

  function show() {
    chips.replaceChildren(...held.map((word, nth) => {
      const off = el("button", { type: "button", "aria-label": `Remove ${word}` }, "×");
      off.addEventListener("click", () => {
        held.splice(nth, 1);
        show();
        input.focus();
        root.dispatchEvent(new Event("input", { bubbles: true }));
      });
      return el("li", {}, word, off);
    }));
    chips.hidden = held.length === 0;
    told.replaceChildren(said ? said(held) : hint);
  }

  const entered = () => {
    take();
    root.dispatchEvent(new Event("input", { bubbles: true }));
  };
  add.addEventListener("click", entered);
  input.addEventListener("blur", () => {
    if (input.value !== "") entered();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || input.value === "") return;
    event.preventDefault(); // Otherwise it would send the form.
    entered();
  });
  show();
  return fieldOf(root, input, { value: () => [...held], problem: () => (held.length ? "" : needed) });
}

/** Stretches of the week: {days, start, end}. `first`: what a new one is. */
export function hoursField(legend, values, { hint, first }) {
  const rows = [];
  const hintId = newId();
  const place = el("div", { class: "hours-rows" });
  const add = el("button", { type: "button", class: "quiet small" }, "Add hours");
  const root = el("fieldset", { class: "field hours", "aria-describedby": hintId }, el("legend", {}, legend),
    el("span", { class: "hint", id: hintId }, hint), place, add);
  const changed = () => root.dispatchEvent(new Event("input", { bubbles: true }));

  function put(hours) {
    const days = DAYS.map(([day, words]) => {
      const input = el("input", { type: "checkbox", value: day });
      input.checked = hours.days.includes(day);
      return [input, el("label", { class: "option day" }, input, words)];
    });
    const time = (value, name) => {
      const input = el("input", { type: "time", required: "", "aria-label": `${legend}: ${name}` });
      input.value = value;
      return input;
    };
    const start = time(hours.start, "from");
    const end = time(hours.end, "to");
    const off = el("button", { type: "button", class: "quiet small", "aria-label": `Remove these hours from: ${legend}` }, "×");
    const row = {
      node: el("div", { class: "hours-row", role: "group", "aria-label": legend },
        el("span", { class: "from-to" }, start, "to", end, off), el("span", { class: "days" }, ...days.map(([, node]) => node))),
      value: () => ({ days: days.filter(([input]) => input.checked).map(([input]) => input.value), start: start.value, end: end.value }),
      problem: () => (!start.value || !end.value ? "Give both times." : days.some(([input]) => input.checked) ? "" : "Choose at least one day."),
      where: () => (start.value ? (end.value ? days[0][0] : end) : start),
    };
    off.addEventListener("click", () => {
      rows.splice(rows.indexOf(row), 1);
      row.node.remove();
      add.focus();
      changed();
    });
    rows.push(row);
    place.append(row.node);
    return start;
  }

  values.forEach(put);
  add.addEventListener("click", () => {
    put({ days: EVERY_DAY, ...first }).focus();
    changed();
  });
  const wrong = () => rows.find((row) => row.problem() !== "");
  return fieldOf(root, root, {
    value: () => rows.map((row) => row.value()),
    problem: () => wrong()?.problem() ?? "",
    where: () => wrong()?.where() ?? add,
  });
}
