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
        const cell = make("td", cellText(value), { "data-label": columns[at][0] });
        if (columns[at][1]) cell.className = columns[at][1];
        node.append(cell);
      });
      return node;
    }

    function show() {
      const shown = chosen.slice(0, limit);
      body.replaceChildren(...shown.map(rowNode));
      const of = words.length ? `${counts.format(chosen.length)} that match, of ${counts.format(rows.length)}` : counts.format(rows.length);
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
      heading.replaceChildren(button);
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

  // Paper has no folds: all findings are open while it is printed, and as they were afterwards.
  function openForPrint() {
    let opened = [];
    window.addEventListener("beforeprint", () => {
      opened = [...document.querySelectorAll("details.finding:not([open])")];
      for (const node of opened) node.open = true;
    });
    window.addEventListener("afterprint", () => {
      for (const node of opened) node.open = false;
      opened = [];
    });
  }

  // A table in a finding is made ready when the finding is opened: most never are.
  function enhanceLater(box) {
    const fold = box.closest("details.finding");
    if (!fold || fold.open) {
      enhance(box);
      return;
    }
    fold.addEventListener("toggle", () => enhance(box), { once: true });
  }

  themeButton();
  openForPrint();
  for (const box of document.querySelectorAll(".data")) enhanceLater(box);
  const openTarget = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.matches("details")) target.open = true;
  };
  window.addEventListener("hashchange", openTarget);
  openTarget();
})();
