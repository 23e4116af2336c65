// What the daily report does when it is used: sorting, search, the page of a stock with its charts.
// Texts from data are only ever set as text. Everything it shows is in the document; it asks nobody.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const all = (selector, under = document) => [...under.querySelectorAll(selector)];
  const { colour, number } = drawing;

  function element(name, text = "", className = "") {
    const made = document.createElement(name);
    made.textContent = text;
    made.className = className;
    return made;
  }

  // Lists: sorting, search, and the stocks that one stage stopped.

  const rowsOf = (table) => all("tbody tr:not(.none)", table);
  const cellValue = (row, column) => {
    const cell = row.cells[column];
    return "v" in cell.dataset
      ? (cell.dataset.v === "" ? null : Number(cell.dataset.v))
      : cell.textContent.trim().toLowerCase();
  };

  function sort(button) {
    const header = button.closest("th");
    const table = header.closest("table");
    const column = header.cellIndex;
    const ascending = header.getAttribute("aria-sort") !== "ascending";
    all("th", table.tHead).forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const keyed = rowsOf(table).map((row) => [cellValue(row, column), row]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null); // What is missing is last either way.
      const order = typeof a === "number" ? a - b : a.localeCompare(b, "en");
      return ascending ? order : -order;
    });
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  }

  let stageShown = null;
  function filter(table) {
    const input = document.querySelector(`input[data-for="${table.id}"]`);
    const words = input.value.trim().toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of rowsOf(table)) {
      const text = row.textContent.toLowerCase() + " " + row.dataset.key.toLowerCase();
      const ofStage = table.id !== "all" || !stageShown || row.dataset.stage === stageShown;
      row.hidden = !(ofStage && words.every((word) => text.includes(word)));
      shown += !row.hidden;
    }
    const total = rowsOf(table).length;
    const stocks = total === 1 ? "stock" : "stocks";
    document.querySelector(`output[data-count="${table.id}"]`).textContent =
      shown === total ? `${total} ${stocks}` : `${shown} of ${total} ${stocks}`;
  }

  function showStage(stage) {
    stageShown = stage;
    byId("stage-filter").hidden = !stage;
    byId("stage-filter").querySelector("span").textContent = `Only those that stage ${stage} stopped.`;
    filter(byId("all"));
    if (!stage) return;
    byId("all-details").open = true;
    byId("all-heading").scrollIntoView();
    document.querySelector('input[data-for="all"]').focus({ preventScroll: true });
  }

  // Charts.

  const dialog = byId("stock");
  let chart = null;
  let bars = [];
  let candles = null;
  let cursor = -1;
  let key = null;
  let list = [];

  function barsOf(stock, frame) {
    const columns = stock[frame];
    const midnight = Date.parse(data.day + "T00:00:00Z") / 1000; // The library shows seconds as UTC: Indian time is drawn.
    const times = frame === "daily" ? data.sessions : columns.minute.map((minute) => midnight + minute * 60);
    return times
      .map((time, row) => ({
        time,
        ...Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[row]])),
      }))
      .filter((bar) => bar.close !== null);
  }

  function draw(frame) {
    const stock = data.stocks[key];
    all("#frames button").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.frame === frame));
      button.disabled = !(button.dataset.frame in stock);
    });
    if (chart) chart.remove();
    bars = barsOf(stock, frame);
    const up = colour("up"), down = colour("down"), quiet = colour("quiet"), second = colour("second");
    chart = drawing.chartIn(byId("chart"), frame === "minutes");
    candles = drawing.candles(chart, bars);
    const line = (name, color, pane, options) => drawing.line(chart, bars, (bar) => bar[name], pane, { color, ...options });
    line("bb_upper", quiet, 0);
    line("bb_middle", quiet, 0, { lineStyle: 2 });
    line("bb_lower", quiet, 0);
    line(frame === "daily" ? "ema_50" : "vwap", second, 0, { lineWidth: 2 });
    drawing.volume(chart, bars, 1);
    line("bb_width_normalized_percentage", second, 2, { lineWidth: 2 });
    [6, 1.5, 2].forEach((share, pane) => chart.panes()[pane].setStretchFactor(share));
    if (frame === "daily") {
      const known = new Set(bars.map((bar) => bar.time));
      const marks = [
        ...stock.moves.filter((move) => move[3]).map(([time, , rise]) => ({
          time, position: rise ? "belowBar" : "aboveBar", shape: "circle", color: rise ? up : down, text: "",
        })),
        ...stock.actions.map(([time, text]) => ({
          time, position: "aboveBar", shape: "arrowDown", color: second, text,
        })),
      ].filter((mark) => known.has(mark.time)).sort((a, b) => (a.time < b.time ? -1 : a.time > b.time));
      LightweightCharts.createSeriesMarkers(candles, marks);
    }
    chart.timeScale().fitContent();
    chart.subscribeCrosshairMove((at) => {
      const found = bars.findIndex((bar) => bar.time === at.time);
      if (found >= 0) tell((cursor = found));
    });
    tell((cursor = bars.length - 1));
  }

  function tell(row) {
    const bar = bars[row];
    const minutes = bar.minute;
    const when = minutes === undefined
      ? bar.time
      : `${data.day} ${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
    const average = minutes === undefined ? `EMA 50 ${number(bar.ema_50)}` : `VWAP ${number(bar.vwap)}`;
    byId("legend").textContent =
      `${when}  open ${number(bar.open)}, high ${number(bar.high)}, low ${number(bar.low)}, close ${number(bar.close)}, ` +
      `volume ${number(bar.volume, 0)}; bands ${number(bar.bb_lower)} to ${number(bar.bb_upper)}, ` +
      `width ${number(bar.bb_width_normalized_percentage)} %, ${average}`;
  }

  function moveCursor(steps) {
    cursor = Math.min(bars.length - 1, Math.max(0, cursor + steps));
    chart.setCrosshairPosition(bars[cursor].close, bars[cursor].time, candles);
    tell(cursor);
  }

  function zoom(factor) {
    const scale = chart.timeScale();
    const { from, to } = scale.getVisibleLogicalRange();
    scale.setVisibleLogicalRange({ from: to - (to - from) * factor, to });
  }

  const chartKeys = {
    ArrowLeft: () => moveCursor(-1), ArrowRight: () => moveCursor(1),
    Home: () => moveCursor(-bars.length), End: () => moveCursor(bars.length),
    "+": () => zoom(0.7), "-": () => zoom(1.4),
  };

  // The page of a stock.

  function showStock(chosen) {
    key = chosen;
    const stock = data.stocks[key];
    byId("stock-title").replaceChildren(
      element("span", stock.symbol), " ", element("span", stock.verdict, "verdict " + stock.verdict.replaceAll(" ", "-")));
    byId("stock-name").textContent = [stock.name, key].filter(Boolean).join(", ");
    byId("stages").replaceChildren(...stock.stages.map(([stage, passed, reason]) => {
      const item = element("li");
      const [word, style] = passed ? ["passed ✓", "passed"]
        : reason === null ? ["not reached", ""]
        : passed === false ? ["rejected ✗", "stopped"] : ["not enough data", "stopped"];
      const head = element("span", `${stage}: `);
      head.append(element("strong", word, style));
      item.append(head, element("span", reason ?? ""));
      return item;
    }));
    tellLonger(stock.address);
    const hasChart = "daily" in stock;
    byId("chart-part").hidden = byId("analysis").hidden = !hasChart;
    byId("no-chart").hidden = hasChart;
    if (hasChart) showAnalysis(stock);
    const place = list.indexOf(key);
    byId("previous").disabled = place <= 0;
    byId("next").disabled = place < 0 || place >= list.length - 1;
    if (!dialog.open) dialog.showModal();
    // A button that was pressed and is now disabled would lose the keyboard.
    if (!dialog.contains(document.activeElement) || document.activeElement.disabled) byId("close").focus();
    if (hasChart) {
      byId("chart").setAttribute("aria-label", `Chart of ${stock.symbol}`);
      draw("daily");
    }
    dialog.scrollTop = 0;
    history.replaceState(null, "", "#" + encodeURIComponent(stock.address));
  }

  /** The chart of more sessions: a page of the API where the report is one, else the command that writes it. */
  function tellLonger(address) {
    const words = element("a", "More sessions, V1 and V2, all indicators");
    words.href = `../chart/${encodeURIComponent(address)}?to=${data.day}`;
    const command = element("code", `setbull chart '${address}' --to ${data.day}`);
    byId("longer").replaceChildren(...(location.protocol === "file:" ? ["More sessions, V1 and V2, all indicators: ", command] : [words]));
  }

  // The address of a stock is its symbol behind the number sign; others lead to headings.
  const byAddress = new Map(Object.entries(data.stocks).map(([chosen, stock]) => [stock.address, chosen]));
  function followAddress() {
    let address = location.hash.slice(1);
    try { address = decodeURIComponent(address); } catch { return; }
    const chosen = byAddress.get(address);
    if (!chosen) return;
    const inAnswer = all(".answer a").map((link) => byAddress.get(decodeURIComponent(link.hash.slice(1))));
    list = inAnswer.includes(chosen) ? inAnswer : rowsOf(byId("all")).map((row) => row.dataset.key);
    showStock(chosen);
  }

  function showAnalysis(stock) {
    const largest = Math.max(1, ...stock.moves.map(([, percent]) => percent));
    byId("moves").replaceChildren(...stock.moves.map(([day, percent, rise, mamba]) => {
      const item = element("li", "", (rise ? "rise" : "fall") + (mamba ? " mamba" : ""));
      item.style.height = `${(100 * percent) / largest}%`;
      item.title = `${day}: ${rise ? "up" : "down"} ${number(percent)} %${mamba ? ", mamba day" : ""}`;
      item.setAttribute("aria-label", item.title);
      return item;
    }));
    byId("metrics").replaceChildren(...Object.entries(stock.metrics).map(([name, value]) => {
      const pair = element("div");
      const [description, unit] = data.metrics[name];
      pair.title = unit ? `${description} [${unit}]` : description;
      const word = typeof value === "boolean" ? (value ? "yes" : "no") : value ?? "–";
      const text = typeof value === "number" ? number(value, Number.isInteger(value) ? 0 : 3) : word;
      pair.append(element("dt", name.replaceAll("_", " ")), element("dd", text));
      return pair;
    }));
  }

  function step(steps) {
    const chosen = list[list.indexOf(key) + steps];
    if (chosen) showStock(chosen);
  }

  document.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button) return;
    if (button.matches(".sort")) sort(button);
    if (button.matches(".stock")) {
      const row = button.closest("tr");
      list = rowsOf(row.closest("table")).filter((other) => !other.hidden).map((other) => other.dataset.key);
      showStock(row.dataset.key);
    }
    if (button.matches(".why")) showStage(button.dataset.stage);
    if (button.closest("#stage-filter")) showStage(null);
    if (button.closest("#frames")) draw(button.dataset.frame);
  });
  all("input[type=search]").forEach((input) => {
    input.addEventListener("input", () => filter(byId(input.dataset.for)));
  });
  addEventListener("hashchange", followAddress);
  dialog.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
  byId("close").addEventListener("click", () => dialog.close());
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("print").addEventListener("click", () => window.print());
  byId("theme").addEventListener("click", drawing.otherTheme);
  dialog.addEventListener("keydown", (event) => {
    const pages = { PageUp: () => step(-1), PageDown: () => step(1) };
    const act = pages[event.key] ?? (event.target.id === "chart" ? chartKeys[event.key] : undefined);
    if (!act) return;
    event.preventDefault();
    act();
  });
  followAddress();
})();
