// What the chart of a stock does when it is used: timeframes, indicators, V1 beside V2, the strip of sessions beneath.
// Texts from data are only ever set as text. Everything it shows is in the document; it asks nobody.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const all = (selector, under = document) => [...under.querySelectorAll(selector)];
  const { colour, number } = drawing;
  const PRICES = ["open", "high", "low", "close"];
  const MARKED_WITH_WORDS = 12;
  const FIRST_WIDTH = 8; // Pixels of a bar in the first view.
  const BESIDE = 5; // Bars that stay beside the cursor when the view follows it.

  function element(name, text = "", className = "") {
    const made = document.createElement(name);
    made.textContent = text;
    made.className = className;
    return made;
  }

  // What is shown: in the address too, so that a view can be passed on.

  const asked = new URLSearchParams(location.hash.slice(1));
  const frames = Object.keys(data.frames).filter((name) => data.frames[name].times.length);
  let frame = frames.includes(asked.get("frame")) ? asked.get("frame") : Object.keys(data.worst)[0] ?? frames[0];
  let compared = asked.get("compare") ?? data.worst[frame] ?? "";
  if (asked.has("indicators")) {
    const wanted = asked.get("indicators").split(",");
    all("#choices input").forEach((input) => { input.checked = wanted.includes(input.value); });
  }

  let chart = null;
  let candles = null;
  let bars = [];
  let cursor = -1;

  const chosen = () => all("#choices input").filter((input) => input.checked).map((input) => input.value);
  const has = (name) => name in data.frames[frame].columns;
  const labelOf = (name) => data.columns[name][0];
  const unitOf = (name) => data.columns[name][1];
  const digitsOf = (name) => (unitOf(name) === "shares" ? 0 : unitOf(name) === "ratio" ? 4 : 2);
  const isDaily = () => frame === "day";
  const dayOf = (bar) => (isDaily() ? bar.time : new Date(bar.time * 1000).toISOString().slice(0, 10));
  const timeOf = (bar) => (isDaily() ? bar.time : new Date(bar.time * 1000).toISOString().slice(0, 16).replace("T", " "));

  /** By what a value of a day is divided to hold it against those of the last day: actions after it. */
  function divisorOf(name, day) {
    if (!byId("adjusted")?.checked) return 1;
    const unit = unitOf(name);
    const after = data.actions.filter(([of]) => of > day);
    if (unit === "rupees") return after.reduce((product, [, , price]) => product * price, 1);
    return unit === "shares" ? after.reduce((product, [, , , shares]) => product / shares, 1) : 1;
  }
  const divided = (value, divisor) => (value === null || divisor === 1 ? value : value / divisor);

  function barsOf() {
    const { times, columns } = data.frames[frame];
    const names = Object.keys(columns);
    const known = new Map();
    return times.map((time, row) => {
      const bar = { time };
      const day = dayOf(bar);
      if (!known.has(day)) known.set(day, names.map((name) => divisorOf(name, day)));
      names.forEach((name, place) => { bar[name] = divided(columns[name][row], known.get(day)[place]); });
      return bar;
    });
  }

  function remember() {
    const said = new URLSearchParams({ frame, indicators: chosen().join(","), compare: compared });
    history.replaceState(null, "", "#" + said.toString().replaceAll("%2C", ","));
  }

  // Drawing.

  const LINES = ["second", "good", "warn", "link", "bad", "quiet"];
  const colourOf = new Map(); // By column the variable of its line's colour.

  function draw(view) {
    all("#frames button").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.frame === frame));
      button.disabled = !frames.includes(button.dataset.frame);
    });
    all("#compare option").forEach((option) => { option.disabled = option.value !== "" && !has(option.value); });
    if (compared && !has(compared)) compared = data.worst[frame] ?? "";
    byId("compare").value = compared;
    if (chart) chart.remove();
    bars = barsOf();
    const box = byId("chart");
    box.setAttribute("aria-label", data.summaries[frame]);
    const names = chosen().filter((name) => data.choices[name][0].every(has));
    const beneath = names.filter((name) => !data.choices[name][1] && name !== "volume_ma_10");
    const isOwnPane = compared && !PRICES.includes(compared);
    box.classList.toggle("taller", beneath.length + (compared ? 2 : 0) > 2);
    chart = drawing.chartIn(box, !isDaily());
    candles = drawing.candles(chart, bars);
    colourOf.clear();
    names.filter((name) => data.choices[name][1]).forEach((name, place) => level(name, LINES[place % LINES.length]));
    let pane = 0;
    const shares = [compared ? 3.4 : 6];
    if (data.frames[frame].compared[compared]) {
      difference((pane += 1));
      shares.push(2.2);
    }
    if (compared) beside(isOwnPane ? (pane += 1) : 0);
    if (isOwnPane) shares.push(2.2);
    drawing.volume(chart, bars, (pane += 1));
    shares.push(1.3);
    if (names.includes("volume_ma_10")) {
      colourOf.set("volume_ma_10", "second");
      drawing.line(chart, bars, (bar) => bar.volume_ma_10, pane, { color: colour("second") });
    }
    beneath.filter((name) => name !== compared).forEach((name, place) => {
      const label = { title: labelOf(name), lastValueVisible: true };
      colourOf.set(name, LINES[place % LINES.length]);
      drawing.line(chart, bars, (bar) => bar[name], (pane += 1), { color: colour(LINES[place % LINES.length]), lineWidth: 2, ...label });
      shares.push(1.6);
    });
    shares.forEach((share, number) => chart.panes()[number].setStretchFactor(share));
    LightweightCharts.createSeriesMarkers(candles, marks());
    const scale = chart.timeScale();
    const shown = Math.floor(box.clientWidth / FIRST_WIDTH);
    scale.setVisibleLogicalRange(view ?? { from: Math.max(-0.5, bars.length - shown), to: bars.length + BESIDE / 2 });
    const place = new Map(bars.map((bar, row) => [bar.time, row]));
    chart.subscribeCrosshairMove((at) => { if (place.has(at.time)) tell((cursor = place.get(at.time))); });
    scale.subscribeVisibleLogicalRangeChange(drawStrip);
    scale.subscribeSizeChange(drawStrip);
    cursor = Math.min(cursor < 0 ? bars.length - 1 : cursor, bars.length - 1);
    tell(cursor);
    drawStrip();
    if (byId("bars").open) fillTable();
    remember();
  }

  /** An indicator that is a price, over the candles. */
  function level(name, color) {
    for (const column of data.choices[name][0]) {
      const isBand = name === "bands";
      colourOf.set(column, isBand ? "quiet" : color);
      drawing.line(chart, bars, (bar) => bar[column], 0, {
        color: colour(isBand ? "quiet" : color), lineWidth: isBand ? 1 : 2, lineStyle: column === "bb_middle" ? 2 : 0,
      });
    }
  }

  const pairOf = (row) => {
    const of = data.frames[frame].compared[compared];
    if (!of) return [bars[row][compared], bars[row][compared], null];
    const divisor = divisorOf(compared, dayOf(bars[row]));
    return [of.v1[row], of.v2[row], of.difference[row]].map((value) => divided(value, divisor));
  };

  /** V1 as a line and V2 dashed over it: where they agree, one line is seen in both colours. */
  function beside(pane) {
    const rows = new Map(bars.map((bar, row) => [bar.time, row]));
    const title = compared === "volume" ? "" : labelOf(compared);
    drawing.line(chart, bars, (bar) => pairOf(rows.get(bar.time))[0], pane, { color: colour("v1"), lineWidth: 3, title: `V1 ${title}`, lastValueVisible: true });
    drawing.line(chart, bars, (bar) => pairOf(rows.get(bar.time))[1], pane, { color: colour("v2"), lineWidth: 2, lineStyle: 2, title: "V2", lastValueVisible: true });
  }

  function difference(pane) {
    const differences = bars.map((_, row) => pairOf(row)[2]);
    const largest = Math.max(...differences.map((value) => Math.abs(value ?? 0)));
    const precision = largest > 0 ? Math.min(12, Math.max(2, 2 - Math.floor(Math.log10(largest)))) : 2;
    const rows = new Map(bars.map((bar, row) => [bar.time, row]));
    drawing.columns(chart, bars, (bar) => differences[rows.get(bar.time)], () => colour("bad"), pane, {
      priceFormat: { type: "price", precision, minMove: 10 ** -precision }, title: "V2 − V1", lastValueVisible: true,
    });
  }

  /** Corporate actions, missing minutes and refused rows; with words where they are few. */
  function marks() {
    const times = bars.map((bar) => bar.time);
    /** The bar that a moment falls into, or the first one after it. */
    const barAt = (time) => times.find((each) => (isDaily() ? each >= time : each + 300 > time));
    const midnight = (day) => (isDaily() ? day : Date.parse(day + "T00:00:00Z") / 1000);
    const first = midnight(isDaily() ? times[0] : dayOf(bars[0]));
    const found = [];
    const put = (time, mark) => {
      const at = time < first ? undefined : barAt(time);
      if (at !== undefined) found.push({ time: at, ...mark });
    };
    data.actions.forEach(([day, text]) => put(midnight(day), { position: "aboveBar", shape: "arrowDown", color: colour("second"), text }));
    const gaps = isDaily() ? [] : data.gaps;
    gaps.forEach(([time, minutes]) => put(time, {
      position: "belowBar", shape: "square", color: colour("warn"),
      text: gaps.length > MARKED_WITH_WORDS ? "" : `${minutes} min missing`,
    }));
    const byBar = new Map();
    data.refused.forEach(([day, time]) => {
      const at = isDaily() || time === null ? midnight(day) : time;
      byBar.set(at, (byBar.get(at) ?? 0) + 1);
    });
    byBar.forEach((count, time) => put(time, {
      position: "aboveBar", shape: "circle", color: colour("bad"), text: byBar.size > MARKED_WITH_WORDS ? "" : `${count} quarantined`,
    }));
    return found.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time));
  }

  // The strip: what is known of each session, beneath its bars.

  const sessionOf = new Map(data.sessions.map((session) => [session.day, session]));
  const SIGNS = { bullish: "▲", bearish: "▼", rejected: "×", "not enough data": "?", pass: "✓", diverged: "✗", "not comparable": "–" };
  const refusedOn = new Map();
  data.refused.forEach(([day]) => refusedOn.set(day, (refusedOn.get(day) ?? 0) + 1));

  const ROWS = [
    ["verdict", (day) => of(day, (session) => session.verdict && [SIGNS[session.verdict], session.verdict, session.verdict.replaceAll(" ", "-")])],
    ["V1 = V2?", (day) => of(day, (session) => session.state && [SIGNS[session.state], session.state, session.state.replaceAll(" ", "-")])],
    ...data.components.map((component, place) => [component, (day) => of(day, (session) => session.stages[place] && [
      session.stages[place], `${session.stages[place]}${session.served[place] ? `, ${session.served[place].toUpperCase()} is served` : ""}`,
      session.served[place] ?? ""])]),
    ["minutes", (day) => {
      const missing = data.missing[day] ?? 0, refused = refusedOn.get(day) ?? 0;
      if (!missing && !refused) return null;
      const words = [missing && `${missing} missing`, refused && `${refused} quarantined`].filter(Boolean).join(", ");
      return [missing ? "▢" : "●", words, "marked"];
    }],
  ];

  function of(day, tell) {
    const session = sessionOf.get(day);
    return session ? tell(session) || null : null;
  }

  /** Bars in a row of which a row of the strip says the same. */
  function partsOf(tell) {
    const parts = [];
    let before = null;
    bars.forEach((bar, row) => {
      const day = dayOf(bar), said = tell(day);
      if (!said) { before = null; return; }
      if (before && before.words === said[1] && before.last === row - 1) before.last = row;
      else parts.push((before = { first: row, last: row, sign: said[0], words: said[1], style: said[2] }));
    });
    return parts;
  }

  let stripOf = [null, []];
  function drawStrip() {
    if (stripOf[0] !== bars) stripOf = [bars, ROWS.map(([label, tell]) => [label, partsOf(tell)]).filter(([, parts]) => parts.length)];
    const scale = chart.timeScale();
    const width = scale.width();
    const step = scale.logicalToCoordinate(1) - scale.logicalToCoordinate(0);
    byId("strip").replaceChildren(...stripOf[1].map(([label, parts]) => {
      const row = element("div", "", "row");
      row.append(element("span", label, "label"));
      for (const part of parts) {
        const left = scale.logicalToCoordinate(part.first) - step / 2;
        const long = Math.min(width, scale.logicalToCoordinate(part.last) + step / 2) - Math.max(0, left);
        if (!(long > 0)) continue;
        const made = element("span", long > part.words.length * 7 ? part.words : long > part.sign.length * 7 ? part.sign : "", "part " + part.style);
        made.title = part.words;
        made.style.left = `${Math.max(0, left)}px`;
        made.style.width = `${long}px`;
        row.append(made);
      }
      return row;
    }));
  }

  // What the bar under the cursor says.

  function tell(row) {
    const bar = bars[row];
    const legend = byId("legend");
    legend.replaceChildren(
      element("b", `${timeOf(bar)} `),
      `open ${number(bar.open)}, high ${number(bar.high)}, low ${number(bar.low)}, close ${number(bar.close)} rupees, ` +
      `volume ${number(bar.volume, 0)} shares `);
    chosen().flatMap((name) => data.choices[name][0]).filter(has).forEach((name) => {
      const part = element("span", `${labelOf(name)} ${number(bar[name], digitsOf(name))}${unitOf(name) === "percent" ? " %" : ""}`, "value");
      part.style.setProperty("--line-colour", `var(--${colourOf.get(name) ?? "v1"})`);
      legend.append(part, " ");
    });
    if (compared) {
      const [v1, v2, apart] = pairOf(row);
      const said = apart === null ? "equal" : `V2 − V1 = ${Number(apart.toPrecision(4))}`;
      const unit = unitOf(compared) === "0 to 100" ? "" : ` ${unitOf(compared)}`;
      legend.append(
        element("br"), `${labelOf(compared)}: `, element("span", `V1 ${number(v1, 4)}`, "v1"), ", ", element("span", `V2 ${number(v2, 4)}`, "v2"),
        ": ", element("span", said + (apart === null ? "" : unit), apart === null ? "" : "apart"));
    }
    tellSession(dayOf(bar));
  }

  function tellSession(day) {
    const session = sessionOf.get(day);
    const place = byId("of-session");
    if (!session) { place.textContent = `${day}: not asked for in a run, only looked back at.`; return; }
    place.replaceChildren(`${day}: `, ...[
      session.verdict && [session.verdict, session.reason].filter(Boolean).join(", "),
      session.state && `V1 against V2 of all stocks: ${session.state}`,
      data.missing[day] && `minutes missing: ${data.missing[day]}`,
      refusedOn.get(day) && `${refusedOn.get(day)} ${refusedOn.get(day) === 1 ? "row" : "rows"} quarantined`,
    ].filter(Boolean).join("; "), " ");
    const links = [[session.report, "report"], ...Object.entries(session.differences).map(([table, link]) => [link, `difference of ${table}`])];
    links.filter(([link]) => link).forEach(([link, text]) => {
      const made = element("a", text);
      made.href = link;
      place.append(made, " ");
    });
  }

  function fillTable() {
    const names = [...PRICES, "volume", ...new Set(chosen().flatMap((name) => data.choices[name][0]).filter(has))];
    const table = byId("bars-table");
    const range = chart.timeScale().getVisibleLogicalRange() ?? { from: 0, to: bars.length };
    const from = Math.max(0, Math.ceil(range.from)), to = Math.min(bars.length, Math.floor(range.to) + 1);
    const head = document.createElement("tr");
    ["Bar", ...names.map((name) => `${labelOf(name)} [${unitOf(name)}]`)].forEach((text, place) => {
      const cell = element("th", text, place ? "number" : "");
      cell.scope = "col";
      head.append(cell);
    });
    const rows = bars.slice(from, to).map((bar) => {
      const row = document.createElement("tr");
      const when = element("th", timeOf(bar));
      when.scope = "row";
      row.append(when, ...names.map((name) => element("td", number(bar[name], digitsOf(name)), "number")));
      return row;
    });
    const [top, body] = [document.createElement("thead"), document.createElement("tbody")];
    top.append(head);
    body.append(...rows);
    table.replaceChildren(element("caption", data.summaries[frame]), top, body);
  }

  // Mouse and keyboard.

  function zoom(factor) {
    const scale = chart.timeScale();
    if (!factor) { scale.setVisibleLogicalRange({ from: -0.5, to: bars.length + BESIDE / 2 }); return; }
    const { from, to } = scale.getVisibleLogicalRange();
    const middle = Math.min(Math.max(cursor, from), to);
    scale.setVisibleLogicalRange({ from: middle - (middle - from) * factor, to: middle + (to - middle) * factor });
  }

  function pan(share) {
    const scale = chart.timeScale();
    const { from, to } = scale.getVisibleLogicalRange();
    scale.setVisibleLogicalRange({ from: from + (to - from) * share, to: to + (to - from) * share });
  }

  function moveCursor(steps) {
    cursor = Math.min(bars.length - 1, Math.max(0, cursor + steps));
    const scale = chart.timeScale();
    const { from, to } = scale.getVisibleLogicalRange();
    if (cursor < from || cursor > to - 1) {
      const start = cursor < from ? cursor - BESIDE : cursor + BESIDE - (to - from);
      scale.setVisibleLogicalRange({ from: start, to: start + (to - from) });
    }
    chart.setCrosshairPosition(bars[cursor].close, bars[cursor].time, candles);
    tell(cursor);
  }

  const keys = {
    ArrowLeft: () => moveCursor(-1), ArrowRight: () => moveCursor(1),
    Home: () => moveCursor(-bars.length), End: () => moveCursor(bars.length),
    "+": () => zoom(0.7), "=": () => zoom(0.7), "-": () => zoom(1.4), 0: () => zoom(0),
  };
  const withShift = { ArrowLeft: () => pan(-1 / 3), ArrowRight: () => pan(1 / 3) };

  byId("chart").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = (event.shiftKey && withShift[event.key]) || keys[event.key];
    if (!act || !bars.length) return;
    event.preventDefault();
    act();
  });
  const view = () => chart.timeScale().getVisibleLogicalRange();
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button) return;
    if (button.matches(".differs")) {
      compared = button.dataset.column;
      show(button.dataset.frame);
      byId("chart").scrollIntoView({ block: "center" });
      byId("chart").focus({ preventScroll: true });
    } else if (button.closest("#frames")) show(button.dataset.frame);
    else if ("zoom" in button.dataset) zoom(Number(button.dataset.zoom));
  });
  function show(wanted) {
    const isSame = wanted === frame;
    frame = wanted;
    if (!isSame) cursor = -1;
    draw(isSame ? view() : null);
  }
  byId("compare").addEventListener("change", ({ target }) => { compared = target.value; draw(view()); });
  byId("choices").addEventListener("change", () => draw(view()));
  byId("adjusted")?.addEventListener("change", () => draw(view()));
  byId("bars").addEventListener("toggle", () => { if (byId("bars").open) fillTable(); });
  const redraw = () => { if (chart) draw(view()); };
  byId("theme").addEventListener("click", () => { drawing.otherTheme(); redraw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  if (frames.length) draw(null);
})();
