"""Pictures of what was decided: the funnel of the filters per day, and the stages of the rollout.

Belongs here: drawing counts and stages. Does not belong here: counting, deciding.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

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
    title,
    to_png,
)
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.tables.filters import STAGES

_SHADES = ("#C9C9C9", "#9ECAE1", BLUE)
"""Between which the colours of the stages lie, the earliest lightest."""
_PASSED = GREEN
_LINES = {
    Component.AGGREGATION: (BLUE, "-"),
    Component.INDICATORS: (ORANGE, "--"),
    Component.SEQUENCES: (GREEN, ":"),
}
_ROLLED_BACK = "rolled back"


def funnel_chart(results: pd.DataFrame) -> bytes:
    """Draw, per day, at which filter stage how many instruments stopped, and how many passed all.

    ``results`` are rows of ``filter_results`` of one day or more, with trading_day and stopped_at. Raises ValueError
    for no rows.
    """
    if results.empty:
        raise ValueError("filter funnel: found no rows, expected those of one day or more")
    counts = (
        results.assign(stopped_at=results["stopped_at"].fillna("passed"))
        .groupby(["trading_day", "stopped_at"])
        .size()
        .unstack(fill_value=0)
        .reindex(columns=[*STAGES, "passed"], fill_value=0)
    )
    days = counts.index.to_series()
    last = counts.iloc[-1]
    at, total = np.arange(len(counts)), counts.sum(axis=1).to_numpy()
    with drawn((9.0, 4.0)) as figure:
        from matplotlib.colors import LinearSegmentedColormap

        between = LinearSegmentedColormap.from_list("stages", _SHADES, len(STAGES))
        shades = between(range(len(STAGES)))
        funnel, history = figure.subplots(1, 2, width_ratios=(2, 3))
        left = [int(total[-1])]
        left += [left[0] - int(stopped) for stopped in last[list(STAGES)].cumsum()]
        labels = ("all", *(f"passed {stage}" for stage in STAGES))
        rows = np.arange(len(labels))
        funnel.barh(rows, left, color=(GREY, *shades[1:], _PASSED), height=0.7)
        for row, number in zip(rows, left, strict=True):
            funnel.text(number, row, f" {number:,}", va="center")
        funnel.set_yticks(rows, labels)
        funnel.invert_yaxis()
        funnel.set_xlim(right=left[0] * 1.15)
        funnel.xaxis.get_major_locator().set_params(integer=True)
        funnel.set_xlabel(f"instruments on {days.iloc[-1]:%Y-%m-%d}")
        below = np.zeros(len(counts))
        for name, colour in zip((*STAGES, "passed"), (*shades, _PASSED), strict=True):
            share = 100 * counts[name].to_numpy() / total
            label = "passed all" if name == "passed" else f"stopped at {name}"
            history.bar(at, share, 0.8, below, color=colour, label=label)
            below += share
        history.set_ylim(0, 100)
        history.set_ylabel("share of instruments [%]")
        day_axis(history, days, most=5)
        beside(history)
        grid(history)
        title(
            figure,
            f"Filter funnel {days.iloc[-1]:%Y-%m-%d}",
            f"{left[-1]:,} of {left[0]:,} instruments passed every stage; "
            f"on the right where instruments stopped, {len(counts)} sessions",
        )
        return to_png(figure)


def rollout_chart(judged: Sequence[tuple[date, str, str, str]]) -> bytes:
    """Draw the percentage that each component serves from V2, by judged session, and its rollbacks.

    ``judged`` has the session, the component, the stage after it and the verdict of every judgement, in the order of
    the log; of several of one session the last counts. Raises ValueError for none.
    """
    if not judged:
        raise ValueError("rollout history: found no judged session, expected one or more")
    log = pd.DataFrame(judged, columns=["session", "component", "stage", "verdict"])
    log["session"] = pd.to_datetime(log["session"])
    days = pd.Series(sorted(log["session"].unique()))
    labels = {
        percentage: " / ".join(s.label for s in Stage if s.percentage == percentage)
        for percentage in dict.fromkeys(stage.percentage for stage in Stage)
    }
    with drawn((9.0, 3.4)) as figure:
        axes = figure.add_subplot()
        for component, (colour, style) in _LINES.items():
            rows = log[log["component"] == component.label]
            latest = rows.drop_duplicates("session", keep="last").set_index("session")
            shares = latest["stage"].map(lambda label: Stage.named(label).percentage)
            served = shares.reindex(days).ffill().to_numpy("float64")
            axes.plot(
                served,
                style,
                color=colour,
                drawstyle="steps-post",
                linewidth=2.2,
                marker="o",
                markersize=4,
                label=component.label,
            )
            back = days.isin(rows.loc[rows["verdict"] == _ROLLED_BACK, "session"]).to_numpy()
            axes.plot(
                np.flatnonzero(back), served[back], "X", color=colour, markersize=9, clip_on=False
            )
        axes.plot([], [], "X", color=GREY, markersize=9, label="rolled back")
        axes.set_ylim(-6, 106)
        axes.set_yticks(list(labels), [f"{share} %  ({names})" for share, names in labels.items()])
        axes.set_ylabel("served from V2 [%]")
        day_axis(axes, days)
        beside(axes)
        grid(axes)
        title(
            figure,
            f"Rollout of V2 up to {days.iloc[-1]:%Y-%m-%d}",
            f"stage after each of the {len(days)} judged sessions",
        )
        return to_png(figure)
