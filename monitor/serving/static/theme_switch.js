// The button that makes the page light or dark. Dark is the beginning: it is easy on those who watch all night.

import { remember } from "./prefs.js";

export function switchTheme(button) {
  const root = document.documentElement;
  const show = () => button.setAttribute("aria-pressed", String(root.dataset.theme === "light"));
  button.addEventListener("click", () => {
    const light = root.dataset.theme !== "light";
    if (light) root.dataset.theme = "light";
    else delete root.dataset.theme;
    remember("theme", light ? "light" : "dark");
    show();
  });
  show();
}
