// Who sits before this page, as the service knows them: their name and what they may do.
// What is marked with data-needs="operator" or "admin" is shown by the style sheet only to those who may.

import { Failure, getJson } from "./net.js";

const RANK = { viewer: 0, operator: 1, admin: 2 };
const AGAIN_MS = 3000;

const me = { name: "", role: null };

/** Ask the service, until it answers. One that knows no roles lets everybody do everything. */
export async function askWhoIAm(known) {
  try {
    const { name, role } = await getJson("/api/me");
    me.name = typeof name === "string" ? name : "";
    me.role = role in RANK ? role : "viewer";
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.status !== 404) {
      setTimeout(() => askWhoIAm(known), AGAIN_MS); // Until then nothing is offered that might be refused.
      return;
    }
    me.role = "admin";
  }
  document.body.dataset.role = me.role;
  known(me);
}

/** Whether somebody of this role, or a higher one, sits here. */
export function may(role) {
  return me.role !== null && RANK[me.role] >= RANK[role];
}

/** The name that the service notes whatever this page says, "" where it takes the page's word. */
export function myName() {
  return me.name;
}
