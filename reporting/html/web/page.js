"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (selector) => document.querySelector(selector);
const SVG = "http://www.w3.org/2000/svg";
const DASHES = ["", "7 4", "2 3", "9 3 2 3"];
const COLOURS = 7;

// ---- elements: text is always text, never markup

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  return filled(made, attributes, children);
}
function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}
function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
function fixed(value, digits) {
  return value === null || value === undefined ? "" : value.toFixed(digits);
}
function choice(label, options, changed, chosen = options[0]) {
  const select = element("select", { onchange: () => changed(select.value) });
  for (const option of options) select.append(element("option", { value: option }, option));
  select.value = chosen;
  return [element("label", {}, label + " ", select), select];
}
function unique(values) {
  return [...new Set(values)];
}

// ---- tables: columns of {name, number}, rows of cells {text, sort, className, extra}

function table(columns, rows, initial = null) {
  let by = initial, down = initial !== null;
  const body = element("tbody");
  const heads = columns.map((column, index) =>
    element("th", { scope: "col", class: column.number ? "number" : "" },
      element("button", { type: "button", onclick: () => sort(index) }, column.name)));
  const filter = element("input", { type: "search", placeholder: "filter", title: "rows in which all these words occur", "aria-label": "filter", oninput: show });
  const count = element("span", { class: "caption" });

  function sort(index) {
    down = by === index ? !down : Boolean(columns[index].number);
    by = index;
    show();
  }
  function show() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = rows.filter((row) => {
      const text = row.map((cell) => cell.text).join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    if (by !== null) kept.sort((a, b) => compare(a[by].sort, b[by].sort, down));
    heads.forEach((head, index) =>
      head.setAttribute("aria-sort", index !== by ? "none" : down ? "descending" : "ascending"));
    body.replaceChildren(...kept.map((row) => element("tr", {}, ...row.map(shown))));
    count.textContent = kept.length === rows.length ? `${rows.length} rows` : `${kept.length} of ${rows.length} rows`;
  }
  function shown(cell, index) {
    const names = [columns[index].number ? "number" : "", cell.className || ""].join(" ").trim();
    return element("td", { class: names || null }, cell.text, ...(cell.extra ? [cell.extra()] : []));
  }
  show();
  const head = element("thead", {}, element("tr", {}, ...heads));
  return element("div", {}, element("div", { class: "controls" }, filter, count),
    element("div", { class: "scroll" }, element("table", {}, head, body)));
}
function compare(a, b, down) {
  const missing = (value) => value === null || value === undefined;
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  const order = typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  return down ? -order : order;
}
function word(text, className = "") {
  return { text: String(text ?? ""), sort: text ?? null, className };
}
function figure(value, digits) {
  return { text: fixed(value, digits), sort: value ?? null };
}

// ---- sections

function results(reading) {
  const made = data.tables[reading];
  $("#results .caption").textContent = made ? made.caption : `No run has the reading ${reading}.`;
  if (!made) return $("#results .body").replaceChildren();
  const columns = [{ name: "method" }, ...made.columns.map((column) => ({ name: column.name, number: true }))];
  const rows = made.rows.map((row) => [word(row.method), ...row.cells.map((cell, index) => meanCell(cell, made.columns[index].digits))]);
  $("#results .body").replaceChildren(table(columns, rows));
}
function meanCell(cell, digits) {
  if (cell === null) return figure(null, 0);
  const spread = cell.spread === null ? "" : ` ± ${fixed(cell.spread, digits)}`;
  const after = `${spread} (${cell.n})${cell.tied ? " †" : ""}`;
  return {
    text: fixed(cell.mean, digits), sort: cell.mean,
    className: cell.best ? "best" : cell.second ? "second" : "",
    extra: () => element("small", {}, after),
  };
}

function runs(reading) {
  const names = data.metrics;
  const columns = [{ name: "dataset" }, { name: "method" }, { name: "seed", number: true }, { name: "state" },
    ...names.map((name) => ({ name: name.name, number: true })),
    { name: "minutes", number: true }, { name: "images/s", number: true }, { name: "peak GiB", number: true }, { name: "commit" }];
  const rows = data.runs.map((run) => [word(run.dataset), word(run.method), figure(run.seed, 0), word(run.state, run.state),
    ...names.map((name) => {
      const value = run.readings[reading]?.[name.name];
      return figure(value === undefined || value === null ? null : value * name.factor, name.digits);
    }),
    figure(run.cost.minutes, 1), figure(run.cost.speed, 0), figure(run.cost.memory, 2), word(run.commit)]);
  $("#runs .body").replaceChildren(table(columns, rows));
}

function cost() {
  const groups = unique(data.runs.map((run) => `${run.dataset}\n${run.method}`));
  const rows = groups.map((key) => {
    const own = data.runs.filter((run) => `${run.dataset}\n${run.method}` === key);
    const of = (name) => own.map((run) => run.cost[name]).filter((value) => value !== null);
    const mean = (values) => (values.length ? values.reduce((a, b) => a + b) / values.length : null);
    const sum = (values) => (values.length ? values.reduce((a, b) => a + b) : null);
    return { own, minutes: mean(of("minutes")), hours: sum(of("minutes")), speed: mean(of("speed")),
      memory: of("memory").length ? Math.max(...of("memory")) : null, gpu: sum(of("gpu")) };
  });
  const longest = Math.max(...rows.map((row) => row.minutes ?? 0), 1e-9);
  const columns = [{ name: "dataset" }, { name: "method" }, { name: "runs", number: true }, { name: "minutes per run", number: true },
    { name: "hours, all runs", number: true }, { name: "images/s", number: true }, { name: "peak GiB", number: true }, { name: "GPU hours, all runs", number: true }, { name: "device" }];
  const cells = rows.map((row) => [word(row.own[0].dataset), word(row.own[0].method), figure(row.own.length, 0),
    { ...figure(row.minutes, 1), extra: () => element("span", { class: "bar", style: `width:${100 * (row.minutes ?? 0) / longest}%` }) },
    figure(row.hours === null ? null : row.hours / 60, 2), figure(row.speed, 0), figure(row.memory, 2), figure(row.gpu, 2),
    word(unique(row.own.map((run) => run.cost.device).filter(Boolean)).join(", "))]);
  $("#cost .body").replaceChildren(table(columns, cells, 3));
}

function failures() {
  const failed = data.runs.filter((run) => run.error);
  const other = data.runs.filter((run) => !run.error && run.state !== "finished");
  const parts = failed.map((run) => element("details", {},
    element("summary", {}, element("strong", {}, run.name), ` ${run.error}`), element("pre", {}, run.traceback ?? "")));
  parts.push(...other.map((run) => element("p", {}, element("strong", {}, run.name), ` ${run.state}`)));
  $("#failures .body").replaceChildren(...(parts.length ? parts : [element("p", {}, "None: every run is finished.")]));
}

function differences() {
  const names = data.runs.map((run) => run.name);
  const [first, a] = choice("first", names, show);
  const [second, b] = choice("second", names, show, names[Math.min(1, names.length - 1)]);
  $("#differences .controls").replaceChildren(first, second);
  function show() {
    const [one, two] = [a, b].map((select) => data.runs[select.selectedIndex].config);
    const keys = unique([...Object.keys(one), ...Object.keys(two)]).sort();
    const text = (value) => (value === undefined ? "(absent)" : JSON.stringify(value));
    const rows = keys.filter((key) => text(one[key]) !== text(two[key]))
      .map((key) => [word(key), word(text(one[key]), "wrap"), word(text(two[key]), "wrap")]);
    const columns = [{ name: "key" }, { name: "first" }, { name: "second" }];
    $("#differences .body").replaceChildren(rows.length ? table(columns, rows) : element("p", {}, "These configurations are the same."));
  }
  show();
}

// ---- charts

function curves() {
  const names = unique(data.runs.flatMap((run) => Object.keys(run.history)));
  names.sort((a, b) => b.startsWith("test/") - a.startsWith("test/"));
  const datasets = unique(data.runs.map((run) => run.dataset));
  if (!names.length) return;
  const [where, dataset] = choice("dataset", datasets, show);
  const [what, metric] = choice("metric", names, show);
  $("#curves .controls").replaceChildren(where, what);
  function show() {
    const lines = grouped(dataset.value, (run) => run.history[metric.value]);
    $("#curves .body").replaceChildren(chart(lines, "epoch", metric.value, false));
  }
  show();
}
function spectra() {
  const datasets = unique(data.runs.filter((run) => run.spectrum).map((run) => run.dataset));
  if (!datasets.length) {
    $("#spectra .body").append(element("p", {}, "No run recorded its spectrum (test/rho_spectrum@0)."));
    return;
  }
  const [where, dataset] = choice("dataset", datasets, show);
  $("#spectra .controls").replaceChildren(where);
  function show() {
    const lines = grouped(dataset.value, (run) => run.spectrum?.map((value, index) => [index + 1, value]));
    $("#spectra .body").replaceChildren(chart(lines, "direction", "share of the sum", true));
  }
  show();
}
function grouped(dataset, pointsOf) {
  // method -> points [x, mean, low, high] over its seeds; the colour is that of the method everywhere
  const lines = [];
  data.methods.forEach((method, index) => {
    const at = new Map();
    for (const run of data.runs) {
      if (run.dataset !== dataset || run.method !== method) continue;
      for (const [x, y] of pointsOf(run) ?? []) if (y !== null) at.set(x, [...(at.get(x) ?? []), y]);
    }
    const points = [...at].sort((a, b) => a[0] - b[0])
      .map(([x, ys]) => [x, ys.reduce((a, b) => a + b) / ys.length, Math.min(...ys), Math.max(...ys)]);
    if (points.length) lines.push({ method, index, points });
  });
  return lines;
}
function look(index) {
  return { stroke: `var(--c${index % COLOURS})`, "stroke-dasharray": DASHES[Math.floor(index / COLOURS) % DASHES.length] };
}

function chart(lines, xName, yName, logarithmic) {
  const hidden = new Set();
  let width = 960; // until the page is laid out
  const frame = element("div"), legend = element("div", { class: "legend" }), tip = element("div", { class: "tip", hidden: "" });
  for (const line of lines) {
    const button = element("button", { type: "button", "aria-pressed": "true", onclick: () => {
      hidden.has(line.method) ? hidden.delete(line.method) : hidden.add(line.method);
      button.setAttribute("aria-pressed", String(!hidden.has(line.method)));
      draw();
    } }, drawn("svg", { viewBox: "0 0 26 8" }, drawn("line", { x1: 0, x2: 26, y1: 4, y2: 4, "stroke-width": 3, ...look(line.index) })), line.method);
    legend.append(button);
  }
  function draw() {
    const shown = lines.filter((line) => !hidden.has(line.method));
    frame.replaceChildren(picture(shown, xName, yName, logarithmic, tip, width));
  }
  draw();
  new ResizeObserver(() => {
    if (!frame.clientWidth || frame.clientWidth === width) return;
    width = frame.clientWidth;
    draw();
  }).observe(frame);
  return element("div", {}, frame, legend, tip);
}

function picture(lines, xName, yName, logarithmic, tip, width) {
  // one unit is one pixel, so that text has the size of the page's at any width
  const [height, right, top, bottom] = [Math.min(380, width * 0.7), 16, 14, 40];
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${yName} over ${xName}` });
  const up = (y) => (logarithmic ? Math.log10(y) : y);
  const points = lines.flatMap((line) => line.points).filter((point) => !logarithmic || point[2] > 0);
  if (!points.length) return element("p", {}, "Nothing to draw.");
  const xs = points.map((point) => point[0]), lows = points.map((point) => up(point[2])), highs = points.map((point) => up(point[3]));
  const whole = xs.every(Number.isInteger);
  let [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...lows), Math.max(...highs)];
  if (x0 === x1) [x0, x1] = [x0 - 1, x1 + 1];
  const margin = (y1 - y0 || Math.abs(y1) || 1) * 0.05;
  [y0, y1] = [y0 - margin, y1 + margin];
  const levels = logarithmic ? powers(y0, y1) : ticks(y0, y1, 6);
  const left = 36 + 7 * Math.max(...levels.map((tick) => label(tick).length));
  const px = (x) => left + ((x - x0) / (x1 - x0)) * (width - left - right);
  const py = (y) => height - bottom - ((up(y) - y0) / (y1 - y0)) * (height - top - bottom);
  const across = ticks(x0, x1, Math.max(2, Math.round(width / 110)), whole ? 1 : 0);
  for (const tick of across) svg.append(
    drawn("text", { x: px(tick), y: height - bottom + 18, "text-anchor": "middle" }, label(tick)));
  for (const tick of levels) svg.append(
    drawn("line", { class: "grid", x1: left, x2: width - right, y1: py(tick), y2: py(tick) }),
    drawn("text", { x: left - 8, y: py(tick) + 4, "text-anchor": "end" }, label(tick)));
  svg.append(drawn("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, xName),
    drawn("text", { x: 14, y: (height - bottom + top) / 2, "text-anchor": "middle", transform: `rotate(-90 14 ${(height - bottom + top) / 2})` }, yName));
  for (const line of lines) {
    const own = line.points.filter((point) => !logarithmic || point[2] > 0);
    const path = (list, y) => list.map((point) => `${px(point[0]).toFixed(1)},${py(point[y]).toFixed(1)}`);
    const band = [...path(own, 3), ...path([...own].reverse(), 2)].join(" ");
    svg.append(drawn("polygon", { class: "band", points: band, fill: look(line.index).stroke }),
      drawn("polyline", { class: "line", points: path(own, 1).join(" "), ...look(line.index) }));
    if (own.length === 1) svg.append(drawn("circle", { cx: px(own[0][0]), cy: py(own[0][1]), r: 4, fill: look(line.index).stroke }));
  }
  svg.addEventListener("mousemove", (event) => {
    const box = svg.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) * width / box.width, (event.clientY - box.top) * height / box.height];
    let nearest = null, closest = 900;
    for (const line of lines) for (const point of line.points) {
      const away = (px(point[0]) - x) ** 2 + (py(point[1]) - y) ** 2;
      if (away < closest) [nearest, closest] = [{ line, point }, away];
    }
    tip.hidden = !nearest;
    if (!nearest) return;
    const [at, mean, low, high] = nearest.point;
    tip.textContent = `${nearest.line.method}\n${xName} ${label(at)}: ${label(mean)}` + (low < high ? ` (${label(low)} .. ${label(high)})` : "");
    tip.style.left = `${event.clientX + 14}px`;
    tip.style.top = `${event.clientY + 14}px`;
  });
  svg.addEventListener("mouseleave", () => { tip.hidden = true; });
  return svg;
}
function ticks(low, high, about, least = 0) {
  const raw = Math.max((high - low) / about, least), power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw);
  const found = [];
  // counted, not added up: ten times 0.1 is not 1
  for (let n = Math.ceil(low / step); n * step <= high + step / 1e6; n++) found.push(Number((n * step).toPrecision(12)));
  return found;
}
function powers(low, high) {
  // 1, 2 and 5 times the powers of ten between 10^low and 10^high; the powers alone where they are many
  const factors = high - low > 3 ? [1] : [1, 2, 5], found = [];
  for (let power = Math.floor(low); power <= high; power += 1)
    for (const factor of factors) found.push(power + Math.log10(factor));
  const within = found.filter((tick) => tick >= low && tick <= high).map((tick) => 10 ** tick);
  return within.length > 2 ? within : ticks(10 ** low, 10 ** high, 6);
}
function label(value) {
  return Number(value.toPrecision(4)).toString();
}

// ---- start

function start() {
  const finished = data.runs.filter((run) => run.state === "finished").length;
  const minutes = data.runs.reduce((sum, run) => sum + (run.cost.minutes ?? 0), 0);
  $("#summary").textContent = `${data.runs.length} runs, ${finished} finished; ${data.methods.length} methods on ` +
    `${unique(data.runs.map((run) => run.dataset)).join(", ")}; ` +
    (minutes < 60 ? `${minutes.toFixed(0)} minutes` : `${(minutes / 60).toFixed(1)} hours`);
  const reading = $("#reading");
  for (const name of data.readings) reading.append(element("option", { value: name }, name));
  reading.addEventListener("change", () => { results(reading.value); runs(reading.value); });
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const paint = (name) => document.documentElement.setAttribute("data-theme", name);
  paint(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => paint(dark.matches ? "dark" : "light"));
  $("#theme").addEventListener("click", () =>
    paint(document.documentElement.getAttribute("data-theme") === "dark" ? "light" : "dark"));
  results(reading.value);
  runs(reading.value);
  curves();
  spectra();
  cost();
  failures();
  differences();
}
start();
