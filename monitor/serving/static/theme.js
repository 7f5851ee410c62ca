// Dark or light, before anything is painted: as this browser remembers it. Not a module, for those come too late.

(() => {
  try {
    if (localStorage.getItem("linewatch.theme") === "light") document.documentElement.dataset.theme = "light";
  } catch {
    // Storage may be forbidden; then it is dark.
  }
})();
