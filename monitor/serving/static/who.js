// Under which name things are done here: the one that belongs to the token, else what somebody typed.

import { myName } from "./me.js";
import { recall, remember } from "./prefs.js";
import { say } from "./text.js";

const NOBODY = "operator"; // As the service calls somebody who gives no name.

/** Tie the page's field for the name to what this browser remembers. */
export function askWho(field) {
  field.value = recall("who", "");
  field.addEventListener("input", () => remember("who", field.value.trim()));
}

/** The service knows the name and the role: nobody is asked for a name that would not count. */
export function showWho({ name, role }) {
  const known = document.getElementById("me");
  document.getElementById("who").parentElement.hidden = name !== "" || role === "viewer";
  known.hidden = name === "" && role === "admin";
  say(known, [name, role === "admin" ? "" : role].filter(Boolean).join(", "));
}

/** The name as it was given, "" where none was. */
export function given() {
  return myName() || document.getElementById("who").value.trim();
}

/** The name to act under, never empty. */
export function actor() {
  return given() || NOBODY;
}

/** Somebody says elsewhere on the page who they are. */
export function callMe(name) {
  document.getElementById("who").value = name;
  remember("who", name);
}
