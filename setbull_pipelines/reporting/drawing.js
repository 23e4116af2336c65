// What the charts of the daily report and the chart of a stock have in common: colours, numbers, candles, lines, volume.
"use strict";
const drawing = (() => {
  /** The colour that a variable of the style has in the theme in force. */
  function colour(name) {
    const probe = document.body.appendChild(document.createElement("span"));
    probe.style.color = `var(--${name})`;
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  /** A number for readers; a dash where there is none. */
  const number = (value, digits = 2) =>
    value === null || value === undefined
      ? "–"
      : value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

  const unmarked = { lastValueVisible: false, priceLineVisible: false };

  /** An empty chart that fills its box. */
  function chartIn(box, hasMinutes) {
    return LightweightCharts.createChart(box, {
      autoSize: true,
      layout: {
        // Whose library it is, with the link to them, stands at the foot of the page.
        attributionLogo: false, background: { color: "transparent" }, textColor: colour("text"), fontSize: box.clientWidth < 500 ? 10 : 12,
        panes: { separatorColor: colour("line") },
      },
      grid: { vertLines: { visible: false }, horzLines: { color: colour("line") } },
      timeScale: { timeVisible: hasMinutes, secondsVisible: false, borderColor: colour("line") },
      rightPriceScale: { borderColor: colour("line") },
    });
  }

  /** A hollow candle rose, a full one fell. */
  function candles(chart, bars) {
    const up = colour("up"), down = colour("down");
    const series = chart.addSeries(LightweightCharts.CandlestickSeries, {
      upColor: "transparent", borderUpColor: up, wickUpColor: up, downColor: down, borderDownColor: down, wickDownColor: down,
      ...unmarked,
    });
    series.setData(bars);
    return series;
  }

  /** A line through what `valueOf` gives of each bar, with a hole where that is null. */
  function line(chart, bars, valueOf, pane, options) {
    const series = chart.addSeries(
      LightweightCharts.LineSeries, { lineWidth: 1, crosshairMarkerVisible: false, ...unmarked, ...options }, pane);
    series.setData(bars.map((bar) => {
      const value = valueOf(bar);
      return value === null || value === undefined ? { time: bar.time } : { time: bar.time, value };
    }));
    return series;
  }

  /** Columns of what `valueOf` gives of each bar, in the colour that `colourOf` gives. */
  function columns(chart, bars, valueOf, colourOf, pane, options) {
    const series = chart.addSeries(LightweightCharts.HistogramSeries, { ...unmarked, ...options }, pane);
    series.setData(bars.map((bar) => {
      const value = valueOf(bar);
      return value === null || value === undefined ? { time: bar.time } : { time: bar.time, value, color: colourOf(bar) };
    }));
    return series;
  }

  /** The shares of each bar in the colour of its candle. */
  function volume(chart, bars, pane) {
    const up = colour("up"), down = colour("down");
    return columns(
      chart, bars, (bar) => bar.volume, (bar) => (bar.close >= bar.open ? up : down), pane, { priceFormat: { type: "volume" } });
  }

  /** Dark where the page is light, and back. */
  function otherTheme() {
    const root = document.documentElement;
    const isDark = getComputedStyle(root).colorScheme === "dark"
      || (getComputedStyle(root).colorScheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    root.style.colorScheme = isDark ? "light" : "dark";
  }

  return { colour, number, chartIn, candles, line, columns, volume, otherTheme };
})();
