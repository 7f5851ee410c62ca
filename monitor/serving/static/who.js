// Who sits before this page: the name that goes with everything that is done here.

import { recall, remember } from "./prefs.js";

const NOBODY = "operator"; // As the service calls somebody who gives no name.

/** Tie the page's field for the name to what this browser remembers. */
export function askWho(field) {
  field.value = recall("who", "");
  field.addEventListener("input", () => remember("who", field.value.trim()));
}

/** The name as it was given, "" where none was. */
export function given() {
  return document.getElementById("who").value.trim();
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
