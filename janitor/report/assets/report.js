/* The pictures and the table of findings of `janitor report --format html`.
   Text from the account reaches the page through textContent and attributes only. */
"use strict";
(() => {
  const PAGE = 100;
  const DETAILS_A_BLOCK = 500;
  const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
  const DAY = 86400000;

  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const number = (value) => value.toLocaleString("en-US");

  function size(bytes) {
    let value = bytes;
    if (value < 1024) return `${value} B`;
    for (const unit of ["KiB", "MiB", "GiB", "TiB", "PiB"]) {
      value /= 1024;
      if (value < 1023.95) return `${value.toFixed(1)} ${unit}`;
    }
    return `${(value / 1024).toFixed(1)} EiB`;
  }

  function usd(value) {
    if (value === null || value === undefined) return "unknown";
    if (value > 0 && value < 0.01) return "<$0.01";
    return "$" + value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  }

  /* Characters that would hide or reverse text are replaced by their numbers. */
  function visible(text) {
    return String(text).replace(INVISIBLE, (char) => {
      const code = char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      return `⟨U+${code}⟩`;
    });
  }

  /* As Python's shlex.quote: the line can be pasted whatever the name holds. */
  function quoted(word) {
    return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
  }

  function moment(ms) {
    return ms > 0 ? `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC` : "unknown";
  }

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  function svg(parent, name, attributes = {}, text = null) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== null) made.textContent = text;
    parent.append(made);
    return made;
  }

  // ---- light and dark ---------------------------------------------------------------------------

  function theme() {
    const button = byId("theme");
    const order = ["auto", "light", "dark"];
    const remembered = () => {
      try { return localStorage.getItem("janitor-theme"); } catch { return null; }
    };
    const show = (name) => {
      if (name === "auto") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = name;
      button.querySelector("span").textContent = name;
    };
    let now = order.includes(remembered()) ? remembered() : "auto";
    show(now);
    button.hidden = false;
    button.addEventListener("click", () => {
      now = order[(order.indexOf(now) + 1) % order.length];
      show(now);
      try { localStorage.setItem("janitor-theme", now); } catch { /* kept for this page only */ }
    });
  }

  // ---- pictures ---------------------------------------------------------------------------------

  const tip = byId("tip");

  function explained(node, lines) {
    node.addEventListener("pointermove", (event) => {
      tip.replaceChildren(...lines.map((line) => element("div", {}, line)));
      tip.hidden = false;
      const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
      const below = event.clientY + 16;
      const top = below + tip.offsetHeight < innerHeight ? below : event.clientY - tip.offsetHeight - 10;
      tip.style.left = `${Math.max(left, 4)}px`;
      tip.style.top = `${Math.max(top, 4)}px`;
    });
    node.addEventListener("pointerleave", () => { tip.hidden = true; });
  }

  function canvas(id, height) {
    const box = byId(id);
    const width = Math.max(Math.floor(box.clientWidth), 240);
    box.replaceChildren();
    const made = svg(box, "svg", {
      viewBox: `0 0 ${width} ${height}`, width: "100%", "aria-hidden": "true", focusable: "false",
    });
    return { made, width };
  }

  const cut = (text, pixels, each = 6.8) => {
    const most = Math.floor(pixels / each);
    if (text.length <= most) return text;
    return most > 4 ? `${text.slice(0, most - 1)}…` : "";
  };
  const never = (part) => (part.stored ? part.never / part.stored : 0);
  const shade = (part) => Math.min(Math.round(never(part) * 4), 4);
  const percent = (share) => (share > 0 && share < 0.01 ? "<1%" : `${Math.round(100 * share)}%`);

  function label(part, family) {
    const name = part.prefix.startsWith(family.prefix) && part.prefix !== family.prefix
      ? part.prefix.slice(family.prefix.length) : part.prefix;
    if (!part.rest) return visible(name);
    return part.prefix && part.prefix !== family.prefix ? `${visible(name)}… others` : "others";
  }

  function drawBytes() {
    const whole = d3.sum(data.families, (family) => family.stored);
    const narrow = byId("bytes").clientWidth < 520;
    const height = narrow ? 420 : 392;
    const { made, width } = canvas("bytes", height);
    const root = d3
      .hierarchy({ parts: data.families }, (node) => (node.parts && node.parts.length ? node.parts : null))
      .sum((node) => (node.parts && node.parts.length ? 0 : node.stored))
      .sort((a, b) => b.value - a.value);
    d3.treemap().size([width, height]).paddingInner(2).round(true)
      .paddingTop((node) => (node.depth === 1 && node.children.length > 1 ? 19 : 0))(root);
    for (const family of root.children) {
      const several = family.children.length > 1;
      if (several && family.x1 - family.x0 > 30) {
        const room = family.x1 - family.x0;
        const title = !family.data.prefix ? "others" : `${visible(family.data.prefix)}${family.data.rest ? " others" : ""}`;
        const text = cut(`${title}  ${size(family.value)}`, room, 7);
        svg(made, "text", { x: family.x0 + 1, y: family.y0 + 14, class: "family" }, text);
      }
      for (const leaf of family.children) {
        const part = leaf.data;
        const room = leaf.x1 - leaf.x0;
        const deep = leaf.y1 - leaf.y0;
        const tile = svg(made, "g", { class: `tile f${shade(part)}` });
        svg(tile, "rect", { x: leaf.x0, y: leaf.y0, width: room, height: deep });
        const name = several ? label(part, family.data) : part.rest && !part.prefix ? "others" : visible(part.prefix);
        if (room > 38 && deep > 17) {
          svg(tile, "text", { x: leaf.x0 + 5, y: leaf.y0 + 14 }, cut(name, room - 8));
        }
        if (room > 56 && deep > 34) {
          const line = `${size(part.stored)}${room > 150 ? ` · ${percent(part.stored / whole)}` : ""}`;
          svg(tile, "text", { x: leaf.x0 + 5, y: leaf.y0 + 29, class: "minor" }, cut(line, room - 8));
        }
        explained(tile, [
          `${visible(part.prefix) || "any prefix"}${part.rest ? " (others)" : ""}`,
          `${size(part.stored)}, ${percent(part.stored / whole)} of all, in ${number(part.groups)} log group${part.groups === 1 ? "" : "s"}`,
          `${percent(never(part))} of the bytes never expire`,
        ]);
        if (part.prefix) tile.addEventListener("click", () => search(part.prefix));
      }
    }
  }

  function bars(id, rows, { gutter, note, shown, kind, total }) {
    const step = 22;
    const { made, width } = canvas(id, rows.length * step + 2);
    const most = d3.max(rows, (row) => row.value) || 1;
    const right = note === null ? 70 : width < 430 ? 76 : 148;
    const scale = d3.scaleLinear([0, most], [0, Math.max(width - gutter - right, 40)]);
    rows.forEach((row, index) => {
      const y = index * step;
      const line = svg(made, "g", { class: `bar ${kind(row)}` });
      svg(line, "text", { x: gutter - 8, y: y + 15, "text-anchor": "end" }, cut(row.label, gutter - 2));
      svg(line, "rect", { x: gutter, y: y + 3, width: Math.max(scale(row.value), row.value > 0 ? 1.5 : 0), height: step - 6 });
      const end = gutter + scale(row.value) + 6;
      const text = svg(line, "text", { x: end, y: y + 15, class: "value" }, shown(row));
      if (note !== null && width >= 430) {
        const minor = document.createElementNS("http://www.w3.org/2000/svg", "tspan");
        minor.setAttribute("class", "minor");
        minor.textContent = `  ${note(row)}`;
        text.append(minor);
      }
      explained(line, [row.label, `${shown(row)}${total ? `, ${percent(row.value / total)} of all` : ""}`, ...(note === null ? [] : [note(row)])]);
    });
  }

  function drawRetentions() {
    const rows = data.retentions.map((bar) => ({
      ...bar,
      value: bar.stored,
      label: `${bar.by_policy ? "account policy, " : ""}${bar.days === null ? "never" : `${bar.days} day${bar.days === 1 ? "" : "s"}`}`,
    }));
    bars("retentions", rows, {
      gutter: rows.some((row) => row.by_policy) ? 172 : 76,
      note: (row) => `${number(row.groups)} group${row.groups === 1 ? "" : "s"}`,
      shown: (row) => size(row.stored),
      kind: (row) => (row.days === null ? "never" : row.by_policy ? "policy" : "set"),
      total: d3.sum(rows, (row) => row.value),
    });
  }

  function drawCosts() {
    const rows = data.costs.map((bar) => ({ ...bar, value: bar.usd }));
    bars("costs", rows, {
      gutter: 142, note: null, shown: (row) => usd(row.usd), kind: (row) => (row.label === "Now" ? "now" : "after"), total: 0,
    });
  }

  function drawArrivals() {
    const height = 300;
    const { made, width } = canvas("arrivals", height);
    const margin = { left: 62, right: 8, top: 8, bottom: 40 };
    const bottom = height - margin.bottom;
    const bubbles = data.arrivals;
    const columns = ["longer", "unread"].filter((when) => bubbles.some((bubble) => bubble.when === when));
    const dated = bubbles.filter((bubble) => typeof bubble.when === "number");
    const inner = width - margin.left - margin.right;
    const each = columns.length ? (dated.length ? Math.min(92, inner * 0.22) : inner / columns.length) : 0;
    const split = width - margin.right - each * columns.length;
    const days = data.arrivals_days || d3.max(dated, (bubble) => bubble.when) || 30;
    const x = d3.scaleLinear([0, days], [margin.left + 14, split - 14]);
    const largest = Math.max(d3.max(bubbles, (bubble) => bubble.size), 7);
    const y = d3.scaleLinear([0, largest + 0.6], [bottom - 10, margin.top + 6]);
    const radius = d3.scaleSqrt([0, d3.max(bubbles, (bubble) => bubble.groups)], [0, Math.min(20, (y(0) - y(1)) * 0.95)]);

    const ticks = [0, ...[1, 2, 3, 4, 5].map((power) => 1 + 2 * power * Math.log10(1024)).filter((bin) => bin < largest + 0.6)];
    const axis = d3.axisLeft(y).tickValues(ticks).tickSizeInner(-(width - margin.left - margin.right)).tickSizeOuter(0).tickPadding(8)
      .tickFormat((bin) => (bin === 0 ? "0 B" : ["1 KiB", "1 MiB", "1 GiB", "1 TiB", "1 PiB"][Math.round((bin - 7) / 6)]));
    d3.select(made).append("g").attr("class", "axis").attr("transform", `translate(${margin.left},0)`).call(axis).select(".domain").remove();
    if (dated.length) {
      d3.select(made).append("g").attr("class", "axis days").attr("transform", `translate(0,${bottom})`)
        .call(d3.axisBottom(x).ticks(Math.min(width < 430 ? 3 : 6, days)).tickSizeOuter(0));
      svg(made, "text", { x: (margin.left + split) / 2, y: height - 6, "text-anchor": "middle", class: "minor" }, "days since the last arrival");
    }
    const names = { longer: dated.length ? "longer ago" : "proved silent", unread: "not read" };
    columns.forEach((when, index) => {
      const middle = split + each * (index + 0.5);
      if (dated.length || index) {
        svg(made, "line", { x1: split + each * index, x2: split + each * index, y1: margin.top, y2: bottom + 22, class: "divide" });
      }
      svg(made, "text", { x: middle, y: bottom + 18, "text-anchor": "middle", class: "minor" }, names[when]);
    });
    for (const bubble of [...bubbles].sort((a, b) => b.groups - a.groups)) {
      const at = typeof bubble.when === "number" ? x(Math.min(bubble.when, days)) : split + each * (columns.indexOf(bubble.when) + 0.5);
      const kind = bubble.when === "unread" ? "unread" : bubble.when === "longer" ? "silent" : "alive";
      const circle = svg(made, "circle", { cx: at, cy: y(bubble.size), r: Math.max(radius(bubble.groups), 2.5), class: `bubble ${kind}` });
      const when = typeof bubble.when === "number" ? `last arrival ${bubble.when} day${bubble.when === 1 ? "" : "s"} ago` : names[bubble.when];
      explained(circle, [when, `${number(bubble.groups)} log group${bubble.groups === 1 ? "" : "s"}, ${size(bubble.stored)} in all`]);
    }
  }

  function pictures() {
    const drawers = { bytes: drawBytes, retentions: drawRetentions, costs: drawCosts, arrivals: drawArrivals };
    for (const [id, draw] of Object.entries(drawers)) {
      const box = byId(id);
      if (!box) continue;
      let last = 0;
      const again = () => {
        if (!box.clientWidth || Math.abs(box.clientWidth - last) < 2) return;  // folded, or as it was
        last = box.clientWidth;
        draw();
      };
      again();
      new ResizeObserver(again).observe(box);
    }
  }

  // ---- the table of findings --------------------------------------------------------------------

  const blocks = { rows: [], details: [] };
  for (const block of document.querySelectorAll("script[data-kind]")) blocks[block.dataset.kind].push(block);

  async function unpacked(block) {
    const bytes = Uint8Array.from(atob(block.textContent), (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  function records(columns) {
    const names = Object.keys(columns);
    const values = names.map((name) => {
      const column = columns[name];
      return column.values ?? column.at.map((index) => column.of[index]);
    });
    return values[0].map((_, row) => Object.fromEntries(names.map((name, index) => [name, values[index][row]])));
  }

  /* `from` names the page width from which a column is shown; an opened row shows everything. */
  const COLUMNS = [
    { key: "group", title: "Log group", text: true },
    { key: "account", title: "Account", text: true, from: "from-wide", several: true },
    { key: "region", title: "Region", text: true, from: "from-wide" },
    { key: "what", title: "Action", text: true },
    { key: "stored_bytes", title: "Stored", show: (row) => size(row.stored_bytes) },
    { key: "retention_days", title: "Retention", show: retention, from: "from-middle" },
    { key: "monthly_usd", title: "Cost a month", show: (row) => usd(row.monthly_usd), money: true, from: "from-wide" },
    { key: "saves_usd", title: "Saves a month", show: (row) => usd(row.saves_usd), money: true, from: "from-middle" },
    { key: "rule", title: "Rule", text: true, from: "from-wide" },
  ];

  function retention(row) {
    const days = (value) => (value === null ? "never" : `${value} d`);
    const now = days(row.retention_days);
    return row.new_retention_days === null ? now : `${now} → ${days(row.new_retention_days)}`;
  }

  let rows = [];
  let shown = [];
  let page = 0;
  let sorting = { key: "", down: false };
  let columns = COLUMNS;
  const details = new Map();
  const controls = () => ({ text: byId("search"), what: byId("f-what"), account: byId("f-account"), region: byId("f-region"), rule: byId("f-rule") });
  const selects = () => Object.values(controls()).slice(1).filter(Boolean);

  const PERSON = "\u0000person";

  function filter() {
    const { text, what, account, region, rule } = controls();
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = rows.filter((row) =>
      (!what.value || (what.value === PERSON ? data.for_a_person.includes(row.status) : row.what === what.value))
      && (!account?.value || row.account === account.value)
      && (!region.value || row.region === region.value)
      && (!rule.value || row.rule === rule.value.slice(1))
      && words.every((word) => row.searched.includes(word)));
    if (sorting.key) {
      const key = sorting.key;
      const turn = sorting.down ? -1 : 1;
      // Unknown values come last in both directions.
      shown.sort((a, b) => {
        const [one, two] = [a[key], b[key]];
        if (one === two) return a.order - b.order;
        if (one === null || one === undefined) return 1;
        if (two === null || two === undefined) return -1;
        return one < two ? -turn : turn;
      });
    }
    page = 0;
    draw();
  }

  function search(text) {
    const { text: field } = controls();
    for (const select of selects()) select.value = "";
    field.value = text;
    filter();
    field.focus({ preventScroll: true });
    document.querySelector("#findings > details").open = true;
    byId("findings").scrollIntoView({ block: "start" });
  }

  function draw() {
    const body = byId("rows").tBodies[0];
    const start = page * PAGE;
    const part = shown.slice(start, start + PAGE);
    body.replaceChildren(...part.map(tableRow));
    const stored = d3.sum(shown, (row) => row.stored_bytes);
    const range = shown.length > PAGE ? `, ${number(start + 1)} to ${number(start + part.length)} shown` : "";
    byId("found").textContent = shown.length
      ? `${number(shown.length)} of ${number(rows.length)} findings, ${size(stored)} stored${range}`
      : `No finding matches; there are ${number(rows.length)}.`;
    drawPages();
  }

  function drawPages() {
    const last = Math.max(Math.ceil(shown.length / PAGE) - 1, 0);
    const nav = byId("pages");
    nav.hidden = last === 0;
    const turn = (name, to, off) => {
      const button = element("button", { type: "button", "data-page": name }, name);
      button.disabled = off;
      button.addEventListener("click", () => {
        page = to;
        draw();
        const again = nav.querySelector(`[data-page="${name}"]`);
        (again.disabled ? nav.querySelector("button:not([disabled])") : again).focus({ preventScroll: true });
        byId("found").scrollIntoView({ block: "nearest" });
      });
      return button;
    };
    nav.replaceChildren(
      turn("First", 0, page === 0), turn("Previous", page - 1, page === 0),
      element("span", {}, `Page ${number(page + 1)} of ${number(last + 1)}`),
      turn("Next", page + 1, page === last), turn("Last", last, page === last),
    );
  }

  function tableRow(row) {
    const line = element("tr", { class: `row ${row.status} ${row.action}` });
    const id = `detail-${row.order}`;
    const button = element("button", { type: "button", class: "open", "aria-expanded": "false", "aria-controls": id }, element("bdi", {}, visible(row.group)));
    line.append(element("th", { scope: "row", class: "name" }, button));
    for (const column of columns.slice(1)) {
      const text = column.show ? column.show(row) : visible(row[column.key] ?? "");
      const unknown = column.money && text === "unknown" ? " unknown" : "";
      const cell = element("td", { class: `${column.text ? "" : "n"} ${column.from ?? ""}${unknown}` });
      if (column.key === "what") cell.append(element("span", { class: "mark", "aria-hidden": "true" }), text);
      else cell.append(text);
      line.append(cell);
    }
    line.addEventListener("click", (event) => {
      if (event.target.closest("button") !== button && String(getSelection())) return;
      toggle(row, line, button, id);
    });
    return line;
  }

  async function toggle(row, line, button, id) {
    const open = line.nextElementSibling?.id === id;
    button.setAttribute("aria-expanded", String(!open));
    line.classList.toggle("opened", !open);
    if (open) {
      line.nextElementSibling.remove();
      return;
    }
    const cell = element("td", { colspan: columnsInSight() });
    line.after(element("tr", { class: "detail", id }, cell));
    cell.append(facts(row), explain(row), await evidence(row));
  }

  /* A cell that also spanned hidden columns would make the browser reserve room for them. */
  function columnsInSight() {
    return [...byId("rows").tHead.rows[0].cells].filter((cell) => getComputedStyle(cell).display !== "none").length;
  }

  function fitDetails() {
    for (const cell of document.querySelectorAll(".detail > td")) cell.colSpan = columnsInSight();
  }

  function facts(row) {
    const list = element("dl", { class: "facts" });
    const add = (term, text) => {
      if (text !== null && text !== "") list.append(element("div", {}, element("dt", {}, term), element("dd", {}, text)));
    };
    add("Region", `${visible(row.region)}, account ${visible(row.account)}`);
    add("Created", moment(row.creation_time));
    add("Class", visible(row.class));
    add("Retention", `${retention(row)}${row.retention_policy ? ` (account policy ${visible(row.retention_policy)})` : ""}`);
    add("Streams", row.streams === null ? null : number(row.streams));
    add("Cost a month", usd(row.monthly_usd));
    add("Saves a month", usd(row.saves_usd));
    add("Owner", row.orphan_of === null ? null : `${visible(row.orphan_of)}: gone`);
    add("Rule", visible(row.rule || "none"));
    return element("div", {}, element("p", { class: "reason" }, visible(row.reason)), list);
  }

  function explain(row) {
    const account = data.org ? ["--account", row.account] : [];
    const line = [...data.explain, ...account, "--region", row.region, "--", row.group].map(quoted).join(" ");
    const button = element("button", { type: "button" }, "Copy");
    button.setAttribute("aria-label", "Copy the explain line");
    const code = element("code", { tabindex: "0" }, visible(line));
    button.addEventListener("click", async () => {
      button.textContent = (await copied(line)) ? "Copied" : "Press Ctrl-C";
      byId("found").textContent = button.textContent === "Copied" ? "The explain line was copied." : "The explain line is selected.";
      if (button.textContent !== "Copied") getSelection().selectAllChildren(code);
    });
    return element("div", { class: "explain" }, code, button);
  }

  async function copied(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    }
  }

  async function evidence(row) {
    const number = Math.floor(row.order / DETAILS_A_BLOCK);
    if (!details.has(number)) details.set(number, unpacked(blocks.details[number]));
    const pieces = (await details.get(number))[row.order % DETAILS_A_BLOCK];
    if (!pieces.length) return element("p", { class: "note" }, "No evidence was needed for this decision.");
    const body = element("tbody");
    for (const piece of pieces) {
      body.append(element("tr", {}, element("th", { scope: "row" }, visible(piece.source)), element("td", { class: "text" }, visible(piece.finding)), element("td", {}, moment(piece.at))));
    }
    const head = element("thead", {}, element("tr", {}, ...["Evidence: source call", "What it said", "Read at"].map((title) => element("th", { scope: "col" }, title))));
    return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Evidence" }, element("table", { class: "evidence" }, head, body));
  }

  function heads() {
    const line = byId("rows").tHead.rows[0];
    for (const column of columns) {
      const button = element("button", { type: "button" }, column.title);
      const head = element("th", { scope: "col", class: `c-${column.key}${column.text ? "" : " n"} ${column.from ?? ""}` }, button);
      button.addEventListener("click", () => {
        const first = !column.text;
        sorting = { key: column.key, down: sorting.key === column.key ? !sorting.down : first };
        for (const other of line.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
        filter();
      });
      line.append(head);
    }
  }

  function choices(select, key, extra = []) {
    const counts = new Map();
    for (const row of rows) counts.set(row[key], (counts.get(row[key]) ?? 0) + 1);
    const rest = [...counts].sort((a, b) => b[1] - a[1]);
    select.append(element("option", { value: "" }, "All"));
    for (const [value, text] of extra) select.append(element("option", { value }, text));
    for (const [value, count] of rest) {
      // A rule may be empty: the first character distinguishes it from "All".
      const chosen = key === "rule" ? `=${value}` : value;
      select.append(element("option", { value: chosen }, `${visible(value || "none")} (${number(count)})`));
    }
  }

  function keys(event) {
    const typing = event.target.matches?.("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      byId("search").focus();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target.matches?.("button.open")) {
      const buttons = [...document.querySelectorAll("button.open")];
      const next = buttons[buttons.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)];
      if (next) {
        event.preventDefault();
        next.focus();
      }
    }
  }

  async function table() {
    byId("found").textContent = "Unpacking the findings …";
    for (const block of blocks.rows) rows.push(...records(await unpacked(block)));
    rows.forEach((row, order) => {
      row.order = order;
      row.searched = `${row.account}\n${row.group}\n${row.reason}\n${row.rule}`.toLowerCase();
    });
    const priced = rows.some((row) => typeof row.monthly_usd === "number" || typeof row.saves_usd === "number");
    columns = COLUMNS.filter((column) => (!column.money || priced) && (!column.several || data.several));
    const { text, what, account, region, rule } = controls();
    const people = rows.filter((row) => data.for_a_person.includes(row.status)).length;
    choices(what, "what", people ? [[PERSON, `Needs a person (${number(people)})`]] : []);
    if (account) choices(account, "account");
    choices(region, "region");
    choices(rule, "rule");
    heads();
    text.addEventListener("input", filter);
    for (const select of selects()) select.addEventListener("change", filter);
    const form = text.form;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(filter));
    form.hidden = false;
    document.querySelector(".tablewrap").hidden = false;
    document.addEventListener("keydown", keys);
    addEventListener("resize", fitDetails);
    for (const button of document.querySelectorAll("button[data-prefix]")) {
      button.addEventListener("click", () => search(button.dataset.prefix));
    }
    filter();
    document.body.dataset.ready = "yes";
  }

  theme();
  pictures();
  if (!rows.length && !blocks.rows.length) {
    byId("found").textContent = "There are no findings.";
    document.body.dataset.ready = "yes";
  } else if (typeof DecompressionStream === "undefined") {
    byId("found").textContent = "This browser is too old to unpack the findings (it has no DecompressionStream); the summary above is complete.";
  } else {
    table().catch((error) => {
      byId("found").textContent = `The findings could not be unpacked: ${error.message}`;
      throw error;
    });
  }
})();
