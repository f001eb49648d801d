"use strict";
// Before anything is drawn: the theme that was chosen, else that of the system.
(() => {
  const root = document.documentElement;
  const THEMES = ["system", "light", "dark"];
  const kept = () => {
    try { return localStorage.getItem("theme"); } catch { return null; }
  };
  const now = () => root.dataset.theme ?? "system";
  const set = (name) => {
    if (name === "light" || name === "dark") root.dataset.theme = name;
    else delete root.dataset.theme;
    for (const one of document.querySelectorAll("[data-theme-next]")) {
      one.title = `Theme: ${now()}`;
      one.setAttribute("aria-label", one.title);
    }
  };
  root.classList.add("themed");
  set(kept());
  addEventListener("DOMContentLoaded", () => set(now()));
  // The editor of Datasette has a field of its own, without a name.
  addEventListener("load", () => setTimeout(() => {
    for (const one of document.querySelectorAll(".CodeMirror textarea")) one.setAttribute("aria-label", "SQL");
  }));
  addEventListener("storage", (event) => { if (event.key === "theme") set(event.newValue); });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-next]")) return;
    const name = THEMES[(THEMES.indexOf(now()) + 1) % THEMES.length];
    set(name);
    try { localStorage.setItem("theme", name); } catch { /* for this page alone */ }
  });
})();
