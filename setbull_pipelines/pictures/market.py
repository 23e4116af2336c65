"""Pictures of one instrument: its bars with Bollinger bands and volume, and how narrow the bands were.

Belongs here: drawing bars and band widths. Does not belong here: computing either, choosing the instrument.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from setbull_pipelines.pictures.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    beside,
    day_axis,
    drawn,
    grid,
    time_axis,
    title,
    to_png,
)
from setbull_pipelines.tables.contract import INDIA

RUPEE = "₹"
_VOLUME_SCALES = ((1e7, "crore shares"), (1e5, "lakh shares"), (1e3, "thousand shares"))


def candle_chart(bars: pd.DataFrame, name: str) -> bytes:
    """Draw candles with Bollinger bands, the volume below, and the relative width of the bands below that.

    ``bars`` are the bars of one series of one instrument, at most some hundreds, with the columns of candles and
    their indicators; ``name`` is that of the instrument. Bands are missing where they are null. Raises ValueError
    for no bars: there is nothing to draw.
    """
    if bars.empty:
        raise ValueError(f"chart of {name}: found no bars, expected one or more")
    bars = bars.sort_values("timestamp", ignore_index=True)
    at = bars.index.to_numpy()
    # Rises are hollow and falls are filled, so that they differ without colours, too.
    rises = (bars["close"] >= bars["open"]).to_numpy()
    colours = np.where(rises, BLUE, ORANGE)
    with drawn((9.0, 5.6)) as figure:
        prices, volumes, widths = figure.subplots(3, 1, sharex=True, height_ratios=(6, 2, 2))
        prices.fill_between(at, bars["bb_lower"], bars["bb_upper"], color=GREY, alpha=0.12, lw=0)
        for column, label in (("bb_upper", "Bollinger bands"), ("bb_lower", None)):
            prices.plot(at, bars[column], color=GREY, linewidth=1.0, label=label)
        prices.plot(
            at, bars["bb_middle"], "--", color=GREEN, linewidth=1.0, label="mean of 20 closes"
        )
        # Wicks end at the body: a rising one is hollow.
        upper, lower = bars[["open", "close"]].max(axis=1), bars[["open", "close"]].min(axis=1)
        prices.vlines(at, upper, bars["high"], colors=colours, linewidth=0.9)
        prices.vlines(at, bars["low"], lower, colors=colours, linewidth=0.9)
        for chosen, face, label in ((rises, "white", "rise"), (~rises, ORANGE, "fall")):
            prices.bar(
                at[chosen],
                (upper - lower)[chosen],
                0.66,
                lower[chosen],
                facecolor=face,
                edgecolor=BLUE if label == "rise" else ORANGE,
                linewidth=0.9,
                label=label,
            )
        traded = bars["volume"].astype("float64")
        scale, unit = _volume_scale(traded.max()) if traded.notna().any() else (1.0, "not known")
        volumes.bar(at, traded / scale, 0.66, color=colours, alpha=0.8)
        widths.plot(at, bars["bb_width_normalized_percentage"], color=GREEN, linewidth=1.4)
        widths.set_ylim(bottom=0)
        grid(prices, volumes, widths)
        prices.set_ylabel(f"price [{RUPEE}]")
        volumes.set_ylabel(f"volume\n[{unit}]")
        widths.set_ylabel("band width\n[% of mean]")
        beside(prices)
        time_axis(widths, bars["timestamp"])
        figure.align_ylabels()
        local = bars["timestamp"].dt.tz_convert(INDIA)
        first, last = local.iloc[0], local.iloc[-1]
        of = f"{last:%Y-%m-%d}" if first.date() == last.date() else f"up to {last:%Y-%m-%d}"
        kind = "daily" if (local == local.dt.normalize()).all() else "five-minute"
        title(
            figure,
            f"{name}, {kind} candles {of}",
            f"{len(bars)} bars; last close {RUPEE} {bars['close'].iloc[-1]:,.2f}",
        )
        return to_png(figure)


def squeeze_chart(widths: pd.DataFrame, lowest: float | None, name: str) -> bytes:
    """Draw the band widths of every session, and the lowest one of the look-back that an alert is held against.

    ``widths`` are rows of ``bb_width_daily`` of one instrument; ``lowest`` is the ``lowest_bb_width`` (rupees) of the
    last of them, None where there is none. Raises ValueError when no session has a width.
    """
    known = widths.dropna(subset=["p10_bb_width"]).sort_values("trading_day", ignore_index=True)
    if known.empty:
        raise ValueError(f"squeeze history of {name}: found no session with a width, expected one")
    at = known.index.to_numpy()
    with drawn((9.0, 3.6)) as figure:
        axes = figure.add_subplot()
        axes.vlines(
            at,
            known["min_bb_width"],
            known["max_bb_width"],
            color=GREY,
            alpha=0.5,
            linewidth=3,
            label="narrowest to widest\nof the session",
        )
        axes.plot(at, known["mean_bb_width"], color=BLUE, linewidth=1.4, label="mean")
        axes.plot(
            at, known["p10_bb_width"], "o-", color=ORANGE, markersize=3, label="10th percentile"
        )
        caption = f"{len(known)} sessions; rupees of their own day"
        if lowest is not None:
            axes.axhline(
                lowest, color=GREEN, linestyle="--", linewidth=2, label="lowest width, for alerts"
            )
            caption += f"; lowest width of the look-back {RUPEE} {lowest:,.2f}"
        axes.set_ylim(bottom=0)
        grid(axes)
        axes.set_ylabel(f"width of the bands [{RUPEE}]")
        day_axis(axes, known["trading_day"])
        beside(axes)
        title(
            figure,
            f"{name}, Bollinger band widths up to {known['trading_day'].iloc[-1]:%Y-%m-%d}",
            caption,
        )
        return to_png(figure)


def _volume_scale(largest: float) -> tuple[float, str]:
    """By what volumes are divided to be readable, and the unit that they then have."""
    for scale, unit in _VOLUME_SCALES:
        if largest >= scale:
            return scale, unit
    return 1.0, "shares"
