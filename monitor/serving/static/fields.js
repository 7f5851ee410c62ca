// The fields of a form. Each: `root`, `value()`, `problem()` (what is wrong, "" where nothing), `fault(words)` shows it
// there, `where()` is what gets the focus.

import { el, say } from "./text.js";

let made = 0;
export const newId = () => `field-${made += 1}`;

/** What all fields have in common. `control`: carries the fault for screen readers; it is what gets the focus. */
export function fieldOf(root, control, rest) {
  const fault = el("p", { class: "fault", id: newId() });
  fault.hidden = true;
  root.append(fault);
  const described = control.getAttribute("aria-describedby");
  return {
    root,
    problem: () => "",
    where: () => control,
    fault: (words) => {
      say(fault, words);
      fault.hidden = words === "";
      control.setAttribute("aria-invalid", String(words !== ""));
      const ids = [described, words ? fault.id : null].filter(Boolean).join(" ");
      if (ids) control.setAttribute("aria-describedby", ids);
      else control.removeAttribute("aria-describedby");
    },
    ...rest,
  };
}

function hinted(hint) {
  return hint ? el("span", { class: "hint", id: newId() }, hint) : null;
}

/** One line of text. */
export function textField(label, value, { hint = "", most = 64, known = [], fixed = false, check = () => "" } = {}) {
  const list = newId();
  const said = hinted(hint);
  const input = el("input", { maxlength: most, autocomplete: "off", spellcheck: "false", list: known.length ? list : null, "aria-describedby": said?.id });
  input.value = value;
  input.readOnly = fixed;
  const root = el("div", { class: "field" }, el("label", {}, label, input), ...(said ? [said] : []),
    el("datalist", { id: list }, ...known.map((word) => el("option", { value: word }))));
  return fieldOf(root, input, { value: () => input.value.trim(), problem: () => check(input.value.trim()) });
}

function group(legend, hint, kind) {
  const said = hinted(hint);
  return el("fieldset", { class: `field ${kind}`, "aria-describedby": said?.id }, el("legend", {}, legend), ...(said ? [said] : []));
}

/** Any number of several: `options` are [value, words]. */
export function checksField(legend, options, chosen, { hint = "", needed = "" } = {}) {
  const inputs = options.map(([value, words]) => {
    const input = el("input", { type: "checkbox", value });
    input.checked = chosen.includes(value);
    return [input, el("label", { class: "option" }, input, words)];
  });
  const root = group(legend, hint, "checks");
  root.append(el("div", { class: "options" }, ...inputs.map(([, node]) => node)));
  const value = () => inputs.filter(([input]) => input.checked).map(([input]) => input.value);
  return fieldOf(root, root, { value, problem: () => (value().length ? "" : needed), where: () => inputs[0]?.[0] ?? root });
}

/** One of several: `options` are [value, words]. */
export function radiosField(legend, options, chosen, { hint = "" } = {}) {
  const name = newId();
  const inputs = options.map(([value, words]) => {
    const input = el("input", { type: "radio", name, value });
    input.checked = value === chosen;
    return [input, el("label", { class: "option" }, input, words)];
  });
  const root = group(legend, hint, "checks");
  root.append(el("div", { class: "options" }, ...inputs.map(([, node]) => node)));
  const checked = () => inputs.find(([input]) => input.checked)?.[0];
  return fieldOf(root, root, { value: () => checked()?.value, where: () => checked() ?? root });
}

/** Yes or no. */
export function checkField(label, on, { hint = "" } = {}) {
  const said = hinted(hint);
  const input = el("input", { type: "checkbox", "aria-describedby": said?.id });
  input.checked = on;
  const root = el("div", { class: "field" }, el("label", { class: "option bare" }, input, label), ...(said ? [said] : []));
  return fieldOf(root, input, { value: () => input.checked });
}

/** One of several, where there may be many. */
export function selectField(label, options, chosen, { hint = "", needed = "" } = {}) {
  const said = hinted(hint);
  const select = el("select", { "aria-describedby": said?.id }, ...options.map(([value, words]) => el("option", { value }, words)));
  select.value = chosen;
  const root = el("div", { class: "field" }, el("label", {}, label, select), ...(said ? [said] : []));
  return fieldOf(root, select, { value: () => select.value, problem: () => (select.value ? "" : needed) });
}

const UNITS = [[1, "seconds"], [60, "minutes"], [3600, "hours"], [86_400, "days"]];

function unitOf(seconds) {
  return [...UNITS].reverse().find(([length]) => seconds >= length && seconds % length === 0) ?? UNITS[0];
}

function inUnits(seconds) {
  const [length, words] = unitOf(seconds);
  return `${seconds / length} ${words}`;
}

/** A length of time in seconds. */
export function spanField(label, seconds, { least, most, hint = "" }) {
  const said = hinted(hint);
  const [size] = unitOf(seconds);
  const number = el("input", { type: "number", min: "0", step: "any", inputmode: "decimal", "aria-describedby": said?.id });
  number.value = String(seconds / size);
  const unit = el("select", { "aria-label": `Unit: ${label}` }, ...UNITS.map(([length, words]) => el("option", { value: String(length) }, words)));
  unit.value = String(size);
  const value = () => Number(number.value) * Number(unit.value);
  const root = el("div", { class: "field span" }, el("label", {}, label, number), unit, ...(said ? [said] : []));
  return fieldOf(root, number, {
    value,
    problem: () => (number.value !== "" && value() >= least && value() <= most ? "" : `Expected between ${inUnits(least)} and ${inUnits(most)}.`),
  });
}
