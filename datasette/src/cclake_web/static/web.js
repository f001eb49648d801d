"use strict";
(() => {
  const root = document.documentElement;
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  root.classList.add("js");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  document.cookie = `tz=${encodeURIComponent(zone)};path=/;max-age=31536000;samesite=lax`;

  // The page of the first run looks for the export now and then.
  if ($("[data-wait]")) setTimeout(() => location.reload(), 4000);

  // A choice is a question: no button to press.
  for (const form of $$("form[data-auto]")) {
    form.addEventListener("change", (event) => {
      if (event.target.type !== "search") form.requestSubmit();
    });
    form.addEventListener("submit", () => {
      for (const field of form.elements) if (!field.value) field.disabled = true;
    });
  }
  addEventListener("pageshow", () => {
    for (const field of $$("form [disabled]")) field.disabled = false;
  });

  // The place that an address names is unfolded and seen.
  const reveal = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const place = id && document.getElementById(id);
    if (!place) return;
    for (let at = place; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    place.scrollIntoView({ block: "start" });
  };
  addEventListener("hashchange", reveal);
  reveal();

  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      navigator.clipboard?.writeText(copy.dataset.copy);
      const label = $("span", copy);
      const before = label.textContent;
      label.textContent = "Copied";
      setTimeout(() => { label.textContent = before; }, 1500);
    }
    const fold = event.target.closest("[data-fold]");
    if (fold) foldAll(fold.dataset.fold === "open");
    for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  const foldAll = (open) => {
    for (const one of $$(".work, .call, .think")) one.open = open;
  };
})();
