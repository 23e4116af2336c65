"""Pictures of a divergence as PNG: which instruments differ where, and the bars around the first difference.

Belongs here: drawing the tables of the drill-down. Does not belong here: computing what is drawn
(``reconciliation/drill_down.py``).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from setbull_pipelines.pictures.drawing import (
    BLUE,
    GREY,
    ORANGE,
    beside,
    drawn,
    grid,
    time_axis,
    title,
    to_png,
)
from setbull_pipelines.tables.contract import Table

INSTRUMENTS_DRAWN = 40
"""Rows of a heat map; the instruments that differ less are counted in its title."""
_COUNTS_SHOWN = 240
"""Cells of a heat map up to which each tells its number."""
_NEVER = "#EDEDED"


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
    with drawn(size) as figure:
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
        title(
            figure,
            f"{table.name} {trading_day:%Y-%m-%d}: where V2 differs from V1",
            f"{'number and share' if tells_numbers else 'share'} of unequal cells of {len(shown)} instruments{rest}",
        )
        return to_png(figure)


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
    with drawn((9.0, 4.6)) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        upper.plot(bars["v1"], color=BLUE, linewidth=2.4, label="V1")
        upper.plot(bars["v2"], color=ORANGE, linewidth=1.2, linestyle="--", label="V2")
        marked = bars["v2"].fillna(bars["v1"])[differs]
        upper.plot(marked, "o", color=ORANGE, markersize=3, label="V2 differs")
        lower.bar(bars.index, bars["difference"], color=ORANGE, width=0.8)
        lower.axhline(0, color=GREY, linewidth=0.8)
        grid(upper, lower)
        for axes in (upper, lower):
            axes.axvline(first, color=GREY, linestyle=":", linewidth=1.4)
        upper.plot([], [], ":", color=GREY, label="first diverging bar\nof the day")
        beside(upper)
        upper.set_ylabel(f"{name} [{unit}]" if unit else name)
        lower.set_ylabel(f"V2 - V1 [{unit}]" if unit else "V2 - V1")
        time_axis(lower, bars["timestamp"])
        figure.align_ylabels()
        series = bars["series"].iloc[0]
        of = bars["instrument_key"].iloc[0] + ("" if pd.isna(series) else f" ({series})")
        title(
            figure,
            f"{table.name}.{name} {trading_day:%Y-%m-%d}: V1 against V2",
            f"{of}, the instrument with the worst cell; {differs.sum()} of the {len(bars)} bars differ",
        )
        return to_png(figure)
