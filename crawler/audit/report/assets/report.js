"use strict";
(() => {
  // Everything that comes from data is set as textContent; nothing here makes markup of text.
  const PAGE = 100;
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const counts = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

  function make(name, text, attributes = {}) {
    const node = document.createElement(name);
    if (text !== undefined) node.textContent = text;
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  }

  function cellText(value) {
    if (value === null || value === "") return "–";
    if (value === true) return "yes";
    if (value === false) return "no";
    return Number.isInteger(value) ? counts.format(value) : String(value);
  }

  // As in markup.py: long words break after separators, and only addresses without a user name become links.
  const LONG_WORD = /\S{17}/;
  const PIECE = /[^/:_.#@=,|-]{1,40}[/:_.#@=,|-]{0,20}|[/:_.#@=,|-]{1,20}/gsu;
  const ADDRESS = /^https:\/\/[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+(?::[0-9]{1,5})?(?:[/?#][A-Za-z0-9/?#:@!$&()*+,;=._~%-]*)?$/;

  function fill(node, text) {
    if (!LONG_WORD.test(text)) {
      node.textContent = text;
      return;
    }
    text.match(PIECE).forEach((piece, at) => {
      if (at) node.append(make("wbr"));
      node.append(piece);
    });
  }

  function fillCell(cell, value, kind) {
    const text = cellText(value);
    if (kind !== "address" || !ADDRESS.test(text)) {
      fill(cell, text);
      return;
    }
    const link = make("a", undefined, { href: text, rel: "noopener noreferrer", target: "_blank" });
    fill(link, text);
    cell.append(link);
  }

  // What isn't there comes last, whichever way a column is sorted.
  function compare(a, b, direction) {
    const isEmptyA = a === null || a === "";
    const isEmptyB = b === null || b === "";
    if (isEmptyA || isEmptyB) return isEmptyA - isEmptyB;
    if (typeof a === "number" && typeof b === "number") return direction * (a - b);
    return direction * collator.compare(cellText(a), cellText(b));
  }

  function enhance(box) {
    const { columns, rows } = JSON.parse(box.querySelector("script").textContent);
    const first = Number(box.dataset.first);
    const printed = Number(box.dataset.printed);
    const ownerAt = columns.findIndex(([, kind]) => kind === "owner");
    let owner = null;
    const headings = [...box.querySelectorAll("thead th")];
    const body = box.querySelector("tbody");
    const caption = box.querySelector("caption").textContent;
    const kept = box.querySelector(".note strong");
    const note = make("p", undefined, { class: "note" });
    const status = make("span", "", { role: "status" });
    const more = make("button", "", { type: "button" });
    const all = make("button", "", { type: "button" });
    let texts = null;
    let chosen = rows;
    let limit = first;
    let sorted = -1;
    let direction = 1;
    let words = [];

    function rowNode(row) {
      const node = document.createElement("tr");
      row.forEach((value, at) => {
        const cell = make("td", undefined, { "data-label": columns[at][0] });
        fillCell(cell, value, columns[at][1]);
        if (columns[at][1]) cell.className = columns[at][1];
        node.append(cell);
      });
      return node;
    }

    function show() {
      const isNarrowed = words.length || owner !== null;
      const shown = chosen.slice(0, limit);
      body.replaceChildren(...shown.map(rowNode));
      const of = isNarrowed ? `${counts.format(chosen.length)} that match, of ${counts.format(rows.length)}` : counts.format(rows.length);
      status.textContent = shown.length < chosen.length ? `${counts.format(shown.length)} of ${of} rows.` : `${of} rows.`;
      const rest = chosen.length - shown.length;
      more.hidden = rest <= 0;
      all.hidden = rest <= PAGE;
      more.textContent = `Show ${counts.format(Math.min(rest, PAGE))} more`;
      all.textContent = "Show all";
    }

    function choose() {
      if (words.length && texts === null) texts = new Map(rows.map((row) => [row, row.map(cellText).join("\u0000").toLowerCase()]));
      chosen = words.length ? rows.filter((row) => words.every((word) => texts.get(row).includes(word))) : rows;
      if (owner !== null) chosen = chosen.filter((row) => ownerAt >= 0 && (row[ownerAt] ?? "") === owner);
      if (sorted >= 0) chosen = [...chosen].sort((a, b) => compare(a[sorted], b[sorted], direction));
      show();
    }

    function sortBy(at) {
      direction = sorted === at ? -direction : 1;
      sorted = at;
      headings.forEach((heading, other) => heading.setAttribute("aria-sort", other !== at ? "none" : direction > 0 ? "ascending" : "descending"));
      choose();
    }

    headings.forEach((heading, at) => {
      const button = make("button", heading.textContent, { type: "button" });
      button.addEventListener("click", () => sortBy(at));
      heading.setAttribute("aria-sort", "none");
      // A browser leaves buttons out of the headings that it repeats on paper.
      heading.replaceChildren(button, make("span", heading.textContent, { class: "on-paper", "aria-hidden": "true" }));
    });
    if (rows.length > first) {
      const field = make("input", undefined, { type: "search", placeholder: "Filter rows", "aria-label": `Filter rows: ${caption}`, spellcheck: "false" });
      field.addEventListener("input", () => {
        words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
        limit = first;
        choose();
      });
      const tools = make("div", undefined, { class: "tools" });
      tools.append(field);
      box.querySelector(".scroll").before(tools);
    }
    more.addEventListener("click", () => { limit += PAGE; show(); });
    all.addEventListener("click", () => { limit = Infinity; show(); });
    note.append(status, more, all);
    if (kept) note.append(kept);
    box.querySelector(".note")?.remove();
    if (rows.length > first || kept) box.querySelector(".scroll").after(note);
    show();
    return {
      // Null for all owners, "" for rows without one. Returns the number of rows.
      setOwner(name) {
        owner = name;
        limit = first;
        choose();
        return chosen.length;
      },
      // Paper has no buttons: it has all rows up to a bound, and the note says how many are left out.
      print() {
        const before = limit;
        limit = Math.max(limit, printed);
        show();
        return () => { limit = before; show(); };
      },
    };
  }

  const made = new Map();

  function ready(box) {
    if (!made.has(box)) made.set(box, enhance(box));
    return made.get(box);
  }

  function themeButton() {
    const root = document.documentElement;
    const prefers = window.matchMedia("(prefers-color-scheme: dark)");
    const button = make("button", "", { type: "button" });
    const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefers.matches);
    const name = () => { button.textContent = isDark() ? "Light" : "Dark"; button.setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours"); };
    button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); });
    prefers.addEventListener("change", name);
    name();
    const item = make("li", undefined, { class: "theme" });
    item.append(button);
    document.querySelector("nav > ul").append(item);
  }

  // Paper has no folds: all findings and changes are open while it is printed, and as they were afterwards.
  function openForPrint() {
    let undo = [];
    window.addEventListener("beforeprint", () => {
      undo = [...document.querySelectorAll("details.fold:not([open])")].map((node) => {
        node.open = true;
        return () => { node.open = false; };
      });
      for (const box of document.querySelectorAll(".data")) undo.push(ready(box).print());
    });
    window.addEventListener("afterprint", () => {
      for (const step of undo) step();
      undo = [];
    });
  }

  // A table in a fold is made ready when the fold is opened: most never are.
  function enhanceLater(box) {
    const fold = box.closest("details.fold");
    if (!fold || fold.open) {
      ready(box);
      return;
    }
    fold.addEventListener("toggle", () => ready(box), { once: true });
  }

  // A choice of owners, for all findings at once: findings without a row of that owner are hidden.
  function ownerChoice(place) {
    const label = make("label", "Owner ");
    const choice = make("select");
    choice.append(make("option", "all", { value: "*" }), make("option", "without an owner", { value: "-" }));
    for (const [name] of JSON.parse(place.querySelector("script").textContent).rows) choice.append(make("option", name, { value: `=${name}` }));
    const note = make("span", "", { role: "status", class: "note" });
    const printed = make("strong", "", { class: "on-paper", "aria-hidden": "true" });
    choice.addEventListener("change", () => {
      const owner = choice.value === "*" ? null : choice.value.slice(1);
      let count = 0;
      for (const finding of document.querySelectorAll("details.finding")) {
        const found = [...finding.querySelectorAll(".data")].map((box) => ready(box).setOwner(owner));
        const rows = found.reduce((sum, number) => sum + number, 0);
        finding.hidden = owner !== null && rows === 0;
        const result = finding.querySelector(".result");
        result.dataset.all ??= result.textContent;
        result.textContent = owner === null || rows === 0 ? result.dataset.all : `${counts.format(rows)} of ${result.dataset.all}`;
        count += owner !== null && rows > 0 ? 1 : 0;
      }
      for (const group of document.querySelectorAll(".findings")) {
        group.hidden = owner !== null && !group.querySelector("details.finding:not([hidden])");
      }
      note.textContent = owner === null ? "" : `${counts.format(count)} findings have rows of this owner; the others are hidden.`;
      place.classList.toggle("chosen", owner !== null);
      const whose = owner === "" ? "Without an owner" : `Owner: ${owner}`;
      printed.textContent = owner === null ? "" : `${whose}. Only these rows of the findings are printed; the other sections cover all owners.`;
    });
    label.append(choice);
    place.append(label, note, printed);
  }

  themeButton();
  openForPrint();
  for (const box of document.querySelectorAll(".data")) enhanceLater(box);
  for (const place of document.querySelectorAll(".owners")) ownerChoice(place);
  const openTarget = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.matches("details")) target.open = true;
  };
  window.addEventListener("hashchange", openTarget);
  openTarget();
})();
