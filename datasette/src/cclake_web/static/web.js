"use strict";
(() => {
  const root = document.documentElement;
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const make = (tag, name = "", text = "") => {
    const made = document.createElement(tag);
    made.className = name;
    made.textContent = text;
    return made;
  };
  root.classList.add("js");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  const known = document.cookie.includes("tz=");
  document.cookie = `tz=${encodeURIComponent(zone)};path=/;max-age=31536000;samesite=lax`;
  if (!known && zone && document.cookie.includes("tz=") && $(".day, .chart")) location.reload();

  // The page of the first run looks for the export now and then.
  if ($("[data-wait]")) setTimeout(() => location.reload(), 4000);

  // A choice is a question: no button to press. Empty fields stay out of the address.
  for (const form of $$("form[data-auto]")) {
    const fields = () => [...form.elements];
    for (const field of fields()) {
      field.addEventListener("change", () => { if (field.type !== "search") form.requestSubmit(); });
    }
    form.addEventListener("submit", () => {
      for (const field of fields()) if (!field.value || field.value === "recent") field.disabled = true;
    });
  }
  addEventListener("pageshow", () => {
    for (const field of $$("form [disabled], [form][disabled]")) field.disabled = false;
  });

  // The place that an address names is unfolded and seen.
  const unfold = (place) => {
    for (let at = place; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  };
  const reveal = () => {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { return; }
    const place = id && document.getElementById(id);
    if (!place) return;
    unfold(place);
    place.scrollIntoView({ block: "start" });
  };
  addEventListener("hashchange", reveal);
  reveal();

  // What is too long to be there from the start comes when it is unfolded.
  const coming = new WeakMap();
  const fetchInto = async (place) => {
    const from = new URL(place.dataset.load || $("a", place).href, location);
    from.searchParams.set("inside", "1");
    place.textContent = "Loading…";
    try {
      const answer = await fetch(from);
      if (!answer.ok) throw new Error(answer.status);
      const html = await answer.text();
      if (place.isConnected) place.outerHTML = html;
    } catch {
      place.textContent = "This can't be loaded now. Fold and unfold to try again.";
      place.dataset.load = from;
      coming.delete(place);
    }
  };
  const load = (place) => {
    if (!coming.has(place)) coming.set(place, fetchInto(place));
    return coming.get(place);
  };
  // For the search in a session, which looks into folds; subagents are not loaded for it.
  globalThis.loadInside = (place) => Promise.all($$("[data-load='']", place).map(load));
  document.addEventListener("toggle", (event) => {
    if (!event.target.open) return;
    for (const place of $$("[data-load]", event.target)) {
      if (place.closest("details") === event.target) load(place);
    }
  }, true);

  // Folding.
  const foldAll = (open) => {
    for (const one of $$(".work, .call, .think")) one.open = open;
  };
  const foldWork = () => {
    const work = $$(".work");
    const open = work.some((one) => !one.open);
    for (const one of work) one.open = open;
  };

  // Copying.
  const copy = async (button) => {
    const from = button.dataset.copyFrom;
    const text = from ? $(from).textContent : button.dataset.copy;
    try { await navigator.clipboard.writeText(text); } catch { return; }
    const label = $("span", button);
    const before = label.textContent;
    label.textContent = "Copied";
    setTimeout(() => { label.textContent = before; }, 1500);
  };

  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest(selector);
    if (at("[data-copy], [data-copy-from]")) copy(at("[data-copy], [data-copy-from]"));
    if (at("[data-palette]")) palette();
    if (at("[data-beside]")) {
      const shown = at("[data-beside]").getAttribute("aria-pressed") === "true";
      document.cookie = `beside=${shown ? 0 : 1};path=/;max-age=31536000;samesite=lax`;
      location.reload();
    }
    if (at("[data-fold]")) foldAll(at("[data-fold]").dataset.fold === "open");
    const keep = at("a.keep:not(.starred)");
    if (keep && !event.metaKey && !event.ctrlKey) {
      event.preventDefault();
      const asks = new URL(keep.href).searchParams;
      asks.set("starred", "1");
      const form = () => { location.href = keep.href; };
      const headers = { accept: "application/json" };
      fetch("/keep", { method: "POST", body: asks, headers, redirect: "manual" }).then((answer) => {
        if (answer.status !== 204) { form(); return; }
        keep.classList.add("starred");
        keep.dataset.tip = "Starred; again for labels and a note";
        tell(keep);
      }).catch(form);
    }
    const perma = at(".perma");
    if (perma && !event.metaKey && !event.ctrlKey) {
      event.preventDefault();
      navigator.clipboard?.writeText(perma.href);
      history.replaceState(null, "", perma.href);
      perma.dataset.tip = "Link copied";
      tell(perma);
    }
    const shot = at("a.shot");
    if (shot && !event.metaKey && !event.ctrlKey) {
      event.preventDefault();
      const image = make("img");
      image.src = shot.href;
      image.alt = "Image in the conversation";
      const box = dialog("lightbox", image);
      box.addEventListener("click", () => box.close());
    }
    for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });

  // Words that follow the pointer over a chart.
  const tip = make("div", "tip");
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);
  const tell = (of) => {
    if (!of) { tip.hidden = true; return; }
    tip.textContent = of.dataset.tip || of.getAttribute("aria-label").replaceAll(",\n", "\n");
    tip.hidden = false;
    const box = of.getBoundingClientRect();
    const x = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${x}px`;
    tip.style.top = `${Math.max(8, Math.min(box.top, innerHeight) - tip.offsetHeight - 6)}px`;
  };
  document.addEventListener("pointerover", (event) => tell(event.target.closest?.("[data-tip]")));
  document.addEventListener("focusin", (event) => tell(event.target.closest?.("[data-tip]")));

  // Dialogs.
  const dialog = (name, ...inside) => {
    const box = make("dialog", name);
    box.append(...inside);
    document.body.append(box);
    box.addEventListener("close", () => box.remove());
    box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
    box.showModal();
    return box;
  };
  const KEYS = [
    ["Ctrl K", "Go to a session, project, file, prompt or answer"], ["/", "Search"], ["j k", "Next, previous turn or row"],
    ["J K", "Next, previous session of the list"],
    ["n p", "Next, previous prompt"], ["e", "Unfold or fold the work of all turns"], ["a", "Unfold or fold everything"],
    ["x", "Next error"], ["f", "Find in this session"], ["s", "Star this session"], ["d", "Download this session as a web page"], ["[ ]", "Earlier, later page"], ["g s", "Sessions"], ["g d", "Dashboard"], ["?", "This list"],
  ];
  const help = () => {
    const list = make("dl");
    for (const [key, does] of KEYS) {
      const keys = make("dt");
      for (const one of key.split(" ")) keys.append(make("kbd", "", one), " ");
      list.append(keys, make("dd", "", does));
    }
    dialog("keys", make("h2", "", "Keys"), list);
  };

  // Ctrl-K.
  const palette = () => {
    if ($("dialog")) return;
    const field = make("input");
    field.placeholder = "Session, project, file, prompt or answer";
    field.setAttribute("aria-label", field.placeholder);
    const list = make("ul");
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Found");
    const box = dialog("palette", field, list);
    let at = 0;
    let asked = 0;
    const choose = (to) => {
      at = Math.max(0, Math.min(to, list.children.length - 1));
      [...list.children].forEach((one, n) => one.setAttribute("aria-selected", n === at));
      list.children[at]?.scrollIntoView({ block: "nearest" });
    };
    const ask = async () => {
      const mine = ++asked;
      const answer = await fetch(`/palette.json?q=${encodeURIComponent(field.value)}`);
      if (!answer.ok || mine !== asked) return;
      list.replaceChildren(...(await answer.json()).map((one) => {
        const row = make("li");
        const link = make("a");
        row.setAttribute("role", "option");
        link.href = one.href;
        link.tabIndex = -1;
        link.append(make("small", "", one.kind), make("span", "", one.text), make("em", "", one.about));
        row.append(link);
        return row;
      }));
      choose(0);
    };
    let timer = 0;
    field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 90); });
    box.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) { event.preventDefault(); choose(at + step); }
      if (event.key === "Enter") $("a", list.children[at] ?? box)?.click();
    });
    ask();
  };

  // Keys.
  const top = () => ($(".top")?.offsetHeight ?? 0) + 18;
  const go = (places, step) => {
    const edge = top() + 4;
    const seen = places.filter((one) => one.offsetParent !== null || one.getClientRects().length);
    const next = step > 0
      ? seen.find((one) => one.getBoundingClientRect().top > edge)
      : seen.reverse().find((one) => one.getBoundingClientRect().top < edge - 8);
    if (!next) return null;
    scrollBy({ top: next.getBoundingClientRect().top - top() });
    (next.matches("a") ? next : $("a, summary", next))?.focus({ preventScroll: true });
    return next;
  };
  const errors = () => {
    for (const one of $$(".failed, .mark.bad")) unfold(one.parentElement);
    unfold(go($$(".failed, .mark.bad"), 1));
  };
  let before = "";
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      palette();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || $("dialog")) return;
    if (event.target.closest("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const rows = () => ($(".turn") ? $$(".turn") : $$(".sessions .title, .hits .where a"));
    const does = {
      "/": () => ($(".ask input[name=q]") ?? $("#find")).focus(),
      j: () => go(rows(), 1), k: () => go(rows(), -1),
      n: () => go($$(".bubble"), 1), p: () => go($$(".bubble"), -1),
      e: foldWork, a: () => foldAll(!$$(".call").every((one) => one.open)), x: errors,
      s: () => before !== "g" && $(".star button")?.click(),
      d: () => before !== "g" && $("a[download][href$='/export.html']")?.click(),
      J: () => $("a.to-next")?.click(), K: () => $("a.to-previous")?.click(),
      "[": () => $("[rel=prev]")?.click(), "]": () => $("[rel=next]")?.click(), "?": help,
    }[event.key];
    const leap = before === "g" && { s: "/", d: "/dashboard" }[event.key];
    before = event.key;
    if (leap) location.href = leap;
    else if (does) { event.preventDefault(); does(); }
  });

  // The outline shows where the reader is.
  const lines = new Map($$(".prompts li a").map((one) => [decodeURIComponent(one.hash.slice(1)), one.parentElement]));
  if (lines.size) {
    const bubbles = $$(".bubble[id]");
    const spy = () => {
      const above = bubbles.filter((one) => one.getBoundingClientRect().top < innerHeight / 3).pop() ?? bubbles[0];
      for (const [id, line] of lines) {
        const here = id === above?.id;
        if (here && !line.classList.contains("here") && matchMedia("(min-width: 62.1rem)").matches) {
          line.scrollIntoView({ block: "nearest" });
        }
        line.classList.toggle("here", here);
      }
    };
    addEventListener("scroll", () => requestAnimationFrame(spy), { passive: true });
    spy();
  }

  // The title goes with the reader.
  const title = $(".about-session h1");
  if (title) {
    const past = $(".past");
    past.textContent = title.textContent;
    new IntersectionObserver(([seen]) => { past.hidden = seen.isIntersecting; }, { rootMargin: "-60px 0px 0px" }).observe(title);
  }

  // The list beside the thread keeps its place from one session to the next.
  const beside = $(".beside");
  const current = beside && $("[aria-current]", beside);
  if (current) {
    const middle = () => current.offsetTop - (beside.clientHeight - current.offsetHeight) / 2;
    const kept = JSON.parse(sessionStorage.getItem("beside") ?? "null");
    beside.scrollTop = kept?.to === current.href ? current.offsetTop - kept.offset : middle();
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.(".beside a, .to-next, .to-previous");
      const row = link && $$("a", beside).find((one) => one.href === link.href);
      if (!row) return;
      const offset = Math.max(0, Math.min(row.offsetTop - beside.scrollTop, beside.clientHeight - row.offsetHeight));
      sessionStorage.setItem("beside", JSON.stringify({ to: row.href, offset }));
    });
  }

  // A running session goes on as it is written.
  const page = $("[data-live]");
  if (page) {
    const place = $("#live");
    let source = null;
    let seen = page.dataset.seen;
    const lines = (event) => {
      const atEnd = innerHeight + scrollY > document.body.scrollHeight - 120;
      const opened = new Set($$("details[open][id]", place).map((one) => one.id));
      const news = JSON.parse(event.data);
      place.innerHTML = news.html;
      seen = news.seen;
      for (const one of $$("details[id]", place)) if (opened.has(one.id)) one.open = true;
      if (atEnd) scrollTo({ top: document.body.scrollHeight });
    };
    const published = () => {
      // Nothing new here: folds and place stay. Else the counted page takes over,
      // unless someone is reading in the middle of it.
      const atEnd = innerHeight + scrollY > document.body.scrollHeight - 120;
      if (!place.children.length) { seen = 0; follow(); }
      else if (atEnd || scrollY < 200) location.reload();
      else close();
    };
    const close = () => { source?.close(); source = null; };
    // A browser has few connections to one host: a tab that nobody sees has none.
    const follow = () => {
      close();
      if (document.hidden) return;
      source = new EventSource(`${page.dataset.live}&seen=${seen}`);
      source.addEventListener("lines", lines);
      source.addEventListener("published", published);
      source.addEventListener("away", close);
    };
    document.addEventListener("visibilitychange", follow);
    follow();
  }
})();
