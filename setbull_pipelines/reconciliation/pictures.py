"""Pictures of a divergence as PNG: which instruments differ where, and the bars around the first difference.

Belongs here: drawing of stored frames. Does not belong here: choosing or computing what is drawn
(``drill_down``), where a picture is shown. matplotlib is imported inside the functions: loading it takes
longer than all definitions, and most days have nothing to draw.

The same frames give the same bytes: nothing depends on the clock, the machine's zone or its settings.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from setbull_pipelines.tables.contract import INDIA, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INSTRUMENTS_DRAWN = 40
"""Rows of a heat map; the instruments that differ less are counted in its title."""
_DOTS_PER_INCH = 100
_COLOURS = 128
"""Of the palette of a PNG: far fewer bytes than full colour, and no visible difference."""
_COUNTS_SHOWN = 240
"""Cells of a heat map up to which each tells its number."""
# Okabe and Ito's palette: told apart with every kind of colour blindness, and in grey.
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#6E6E6E"
_NEVER = "#EDEDED"
_TICKS = 8
_TITLE_INCHES = 0.5


def heat_map(instruments: pd.DataFrame, table: Table, trading_day: pd.Timestamp) -> bytes:
    """Draw the share of unequal cells by instrument and column (``RECONCILIATION_INSTRUMENTS``).

    Most affected instruments first. Raises ValueError for no rows: there is nothing to draw.
    """
    if instruments.empty:
        raise ValueError(
            f"heat map of {table.name}: found no instrument that differs, expected one"
        )
    unequal = instruments.pivot(
        index="instrument_key", columns="column_name", values="cells_unequal"
    )
    shares = unequal / instruments.pivot(
        index="instrument_key", columns="column_name", values="cells_compared"
    )
    names = [column.name for column in table.columns if column.name in unequal]
    names += [name for name in unequal if name not in names]
    affected = unequal.sum(axis=1).sort_values(ascending=False, kind="stable").index
    shown = affected[:INSTRUMENTS_DRAWN]
    more = len(affected) - len(shown)
    counts, shares = unequal.loc[shown, names], shares.loc[shown, names]
    size = (max(6.5, 3.2 + 0.62 * len(names)), 2.4 + 0.17 * len(shown))
    with _figure(size) as figure:
        axes = figure.add_subplot()
        axes.set_facecolor(_NEVER)
        image = axes.imshow(shares.to_numpy("float64"), "viridis_r", aspect="auto", vmin=0, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
        axes.set_yticks(range(len(shown)), shown)
        axes.set_xlabel("column")
        axes.set_ylabel("instrument")
        axes.tick_params(length=0)
        tells_numbers = counts.size <= _COUNTS_SHOWN
        if tells_numbers:
            for (row, column), share in np.ndenumerate(shares.to_numpy("float64")):
                if share > 0:
                    text = f"{counts.iat[row, column]:,.0f}"
                    colour = "white" if share > 0.5 else "black"
                    axes.text(column, row, text, ha="center", va="center", color=colour, size=7)
        bar = figure.colorbar(
            image, format=lambda share, _: f"{share:.0%}", aspect=max(12, len(shown)), fraction=0.05
        )
        bar.set_label("cells that differ (grey: none)")
        rest = f", and {more:,} more that differ less" if more else ""
        _title(
            figure,
            f"{table.name} {trading_day:%Y-%m-%d}: where V2 differs from V1",
            f"{'number and share' if tells_numbers else 'share'} of unequal cells of {len(shown)} instruments{rest}",
        )
        return _png(figure)


def bar_chart(bars: pd.DataFrame, table: Table, trading_day: pd.Timestamp) -> bytes:
    """Draw V1, V2 and their difference in one column of ``RECONCILIATION_BARS``.

    Raises ValueError unless ``bars`` are those of one column.
    """
    names = bars["column_name"].unique()
    if len(names) != 1:
        raise ValueError(f"chart of {table.name}: found columns {list(names)}, expected one")
    (name,) = names
    unit = table.column(name).unit
    # An infinite value has no place on an axis.
    bars = bars.sort_values("timestamp", ignore_index=True).replace([np.inf, -np.inf], np.nan)
    differs = ~bars["is_equal"].to_numpy("bool")
    (first,) = np.flatnonzero(bars["is_first"])
    with _figure((9.0, 4.6)) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        upper.plot(bars["v1"], color=_BLUE, linewidth=2.4, label="V1")
        upper.plot(bars["v2"], color=_ORANGE, linewidth=1.2, linestyle="--", label="V2")
        marked = bars["v2"].fillna(bars["v1"])[differs]
        upper.plot(marked, "o", color=_ORANGE, markersize=3, label="V2 differs")
        lower.bar(bars.index, bars["difference"], color=_ORANGE, width=0.8)
        lower.axhline(0, color=_GREY, linewidth=0.8)
        for axes in (upper, lower):
            axes.axvline(first, color=_GREY, linestyle=":", linewidth=1.4)
            axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
        upper.plot([], [], ":", color=_GREY, label="first diverging bar\nof the day")
        # Beside the lines, so that it never covers one.
        upper.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        upper.set_ylabel(f"{name} [{unit}]" if unit else name)
        lower.set_ylabel(f"V2 - V1 [{unit}]" if unit else "V2 - V1")
        _time_axis(lower, bars["timestamp"])
        figure.align_ylabels()
        series = bars["series"].iloc[0]
        of = bars["instrument_key"].iloc[0] + ("" if pd.isna(series) else f" ({series})")
        _title(
            figure,
            f"{table.name}.{name} {trading_day:%Y-%m-%d}: V1 against V2",
            f"{of}, the instrument with the worst cell; {differs.sum()} of the {len(bars)} bars differ",
        )
        return _png(figure)


def _time_axis(axes: Axes, timestamps: pd.Series) -> None:
    """Label evenly spaced bars with their times: nights and holidays take no room."""
    local = timestamps.dt.tz_convert(INDIA)
    is_daily = (local == local.dt.normalize()).all()
    ticks = np.unique(np.linspace(0, len(local) - 1, _TICKS).round().astype(int))
    axes.set_xticks(
        ticks, [local[tick].strftime("%d %b" if is_daily else "%d %b\n%H:%M") for tick in ticks]
    )
    axes.set_xlabel("trading day" if is_daily else "start of the bar (Asia/Kolkata)")


def _title(figure: Figure, title: str, caption: str) -> None:
    height = figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - _TITLE_INCHES / height))
    figure.text(0.01, 1 - 0.08 / height, title, va="top", size=11, weight="bold")
    figure.text(0.01, 1 - 0.29 / height, caption, va="top", size=9, color="#333333")


@contextmanager
def _figure(size: tuple[float, float]) -> Iterator[Figure]:
    """A figure of ``size`` inches in the project's style, whatever is set on the machine.

    It is white in every theme: the labels of a transparent one cannot be read on a dark page.
    """
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style = {
        "font.size": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.formatter.useoffset": False,
    }
    with matplotlib.style.context(["default", style]):
        figure = Figure(figsize=size, dpi=_DOTS_PER_INCH, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        yield figure


def _png(figure: Figure) -> bytes:
    from PIL import Image

    figure.canvas.draw()
    image = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    data = io.BytesIO()
    # By coverage, not by area: a small patch of the scale must keep its colour.
    palette = image.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    palette.save(data, "PNG", optimize=True)
    return data.getvalue()
