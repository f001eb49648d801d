"use strict";
// Find in this thread: the whole session is searched, and each place is led to.
(() => {
  const thread = document.querySelector("[data-session]");
  if (!thread) return;
  const column = document.querySelector(".reading-column");
  const make = (tag, name = "", text = "", rest = {}) => {
    const made = Object.assign(document.createElement(tag), rest);
    made.className = name;
    made.textContent = text;
    return made;
  };
  const here = new URLSearchParams(location.search);
  const paint = globalThis.Highlight && CSS.highlights;
  let bar = null;
  let places = [];
  let more = false;
  let at = -1;
  let asked = 0;
  let told = "";
  let pending = null;

  // Every text of the page as one string, and where each begins.
  const texts = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const nodes = [];
    const starts = [];
    let whole = "";
    while (walker.nextNode()) {
      nodes.push(walker.currentNode);
      starts.push(whole.length);
      // In lower case some letters are longer: then they stay as they are.
      const low = walker.currentNode.data.toLowerCase();
      whole += low.length === walker.currentNode.data.length ? low : walker.currentNode.data;
    }
    return { nodes, starts, whole };
  };
  const ranges = (root, words) => {
    const { nodes, starts, whole } = texts(root);
    const wanted = words.trim().toLowerCase();
    const found = [];
    const place = (offset) => {
      let low = 0;
      let high = starts.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (starts[middle] <= offset) low = middle; else high = middle - 1;
      }
      return [nodes[low], offset - starts[low]];
    };
    for (let from = whole.indexOf(wanted); wanted && from >= 0 && found.length < 3000; from = whole.indexOf(wanted, from + wanted.length)) {
      const range = new Range();
      range.setStart(...place(from));
      const [node, offset] = place(from + wanted.length - 1);
      range.setEnd(node, offset + 1);
      found.push(range);
    }
    return found;
  };
  const mark = (name, found) => {
    if (!paint) return;
    const made = new Highlight(...found);
    made.priority = name === "found-here" ? 1 : 0;
    CSS.highlights.set(name, made);
  };

  const row = (place, number) => {
    const line = make("li", "", "");
    const link = make("a", "", "", { href: place.href, tabIndex: -1 });
    const text = make("span", "");
    text.append(place.before, make("mark", "", place.words), place.after);
    link.append(make("small", "", place.who), text);
    link.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey) return;
      event.preventDefault();
      go(number);
    });
    line.append(link);
    return line;
  };
  const tell = () => {
    const said = places.length === 1 ? "1 place" : `${places.length}${more ? "+" : ""} places`;
    bar.count.textContent = !bar.field.value.trim() ? "" : at < 0 ? (places.length ? said : "Not found") : `${at + 1} of ${places.length}${more ? "+" : ""}`;
    [...bar.list.children].forEach((one, n) => {
      if (n === at) one.setAttribute("aria-current", "true"); else one.removeAttribute("aria-current");
    });
    bar.list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  // An entry may have several parts, of which only the first has an address.
  const partOf = async (target, place) => {
    // The anchor of a result is empty: what belongs to it is around it.
    const parts = [target.matches(".anchor") ? target.parentElement : target];
    for (let one = target.nextElementSibling; one && !one.id; one = one.nextElementSibling) parts.push(one);
    if (parts.some((one) => one.querySelector("[data-load='']"))) {
      await Promise.all(parts.map(loadInside));
      if (!bar) return target;
      mark("found", ranges(column, bar.field.value));
    }
    if (target.matches(".anchor")) return parts[0];
    const fitting = parts.filter((one) => ranges(one, bar.field.value).length);
    const before = places.slice(0, at).filter((one) => one.key === place.key).length;
    return fitting[Math.min(before, fitting.length - 1)] ?? target;
  };
  const go = async (to) => {
    if (!places.length) return;
    at = (to + places.length) % places.length;
    tell();
    const place = places[at];
    const target = document.getElementById(`e-${place.key}`);
    if (!target) {
      // Without the fragment, which would take the focus away from the field.
      location.href = place.href.replace(/#.*/, "");
      return;
    }
    const around = await partOf(target, place);
    if (!bar || places[at] !== place) return;
    for (let one = around; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    const [first] = ranges(around, bar.field.value);
    mark("found-here", first ? [first] : []);
    const box = (first ?? around).getBoundingClientRect();
    scrollBy({ top: box.top - innerHeight * 0.38 });
  };
  const ask = async () => {
    const words = bar.field.value;
    const mine = ++asked;
    told = words;
    const query = new URLSearchParams({ q: words });
    for (const name of ["all", "reveal"]) if (here.get(name)) query.set(name, here.get(name));
    let found = { places: [], more: false };
    if (words.trim()) {
      const answer = await fetch(`/session/${encodeURIComponent(thread.dataset.session)}/find.json?${query}`);
      if (!answer.ok || mine !== asked || !bar) return;
      found = await answer.json();
    }
    if (mine !== asked || !bar) return;
    ({ places, more } = found);
    at = -1;
    bar.list.replaceChildren(...places.map(row));
    mark("found", ranges(column, words));
    mark("found-here", []);
    tell();
  };
  // From where the reader is, not from the beginning.
  const nearest = () => {
    const below = places.findIndex((place) => {
      const target = document.getElementById(`e-${place.key}`);
      return target && target.getBoundingClientRect().bottom > 60;
    });
    return Math.max(0, below);
  };
  const close = () => {
    bar?.box.remove();
    bar = null;
    asked += 1;
    told = "";
    places = [];
    if (paint) for (const name of ["found", "found-here"]) CSS.highlights.delete(name);
    document.querySelector("[data-find]")?.focus({ preventScroll: true });
  };
  const open = async (words = "") => {
    if (bar) { bar.field.select(); return; }
    const box = make("div", "finder");
    box.setAttribute("role", "search");
    box.setAttribute("aria-label", "Find in this session");
    const field = make("input", "", "", { type: "search", value: words, placeholder: "Find in this session", autocomplete: "off" });
    field.setAttribute("aria-label", "Find in this session");
    const count = make("span", "count");
    count.setAttribute("role", "status");
    const button = (text, label, does) => {
      const made = make("button", "", text, { type: "button", title: label });
      made.setAttribute("aria-label", label);
      made.addEventListener("click", does);
      return made;
    };
    const step = (by) => go(at < 0 ? nearest() : at + by);
    const line = make("div", "line");
    line.append(field, count, button("↑", "The place before", () => step(-1)), button("↓", "The next place", () => step(1)), button("×", "Close", close));
    const list = make("ol");
    list.setAttribute("aria-label", "Places");
    box.append(line, list);
    document.body.append(box);
    bar = { box, field, count, list };
    let timer = 0;
    field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => { pending = ask(); }, 150); });
    box.addEventListener("keydown", async (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1, Enter: event.shiftKey ? -1 : 1 }[event.key];
      if (event.key === "Escape") { event.stopPropagation(); close(); return; }
      if (!by || (event.key === "Enter" && event.target !== field)) return;
      event.preventDefault();
      clearTimeout(timer);
      if (field.value !== told) pending = ask();
      await pending;
      if (bar) step(by);
    });
    field.focus({ preventScroll: true });
    if (!words) return;
    await (pending = ask());
    const wanted = here.get("at");
    const known = places.findIndex((place) => place.key === wanted);
    if (known >= 0) go(known);
  };

  document.addEventListener("click", (event) => { if (event.target.closest("[data-find]")) open(); });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog")) return;
    if (event.target.closest("input, select, textarea") || event.key !== "f") return;
    event.preventDefault();
    open();
  });
  if (here.get("find")) open(here.get("find"));
})();
