"""The style of every picture, and how one becomes bytes and text.

Belongs here: colours, figure, title, axis of time, PNG, embedding. Does not belong here: single pictures.

matplotlib is imported inside the functions: loading it takes longer than all definitions. Nothing depends on the clock,
the machine's zone or its settings.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from setbull_pipelines.tables.contract import INDIA

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart with every kind of colour blindness, and in grey.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6E6E6E"
_GRID = "#DDDDDD"
_DOTS_PER_INCH = 100
_COLOURS = 128
"""Colours in the palette of a PNG: far fewer bytes than full colour, and no visible difference."""
_TICKS = 8
_TITLE_INCHES = 0.5
_YEAR = pd.Timedelta(days=330)


def image(meaning: str, png: bytes) -> str:
    """Return the picture inside Markdown, as it is shown without a server or a network."""
    return f"![{meaning}](data:image/png;base64,{base64.b64encode(png).decode('ascii')})"


def grid(*axes: Axes) -> None:
    """Faint lines behind the values."""
    for each in axes:
        each.grid(axis="y", color=_GRID, linewidth=0.6)


def beside(axes: Axes) -> None:
    """Explain the lines beside the axes, where the explanation never covers one."""
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def day_axis(axes: Axes, days: pd.Series, most: int = _TICKS) -> None:
    """Label evenly spaced trading days, ``most`` of them."""
    ticks = np.unique(np.linspace(0, len(days) - 1, most).round().astype(int))
    labels = days.dt.strftime("%d %b %Y" if days.iloc[-1] - days.iloc[0] > _YEAR else "%d %b")
    axes.set_xticks(ticks, labels.iloc[ticks])
    axes.set_xlabel("trading day")


def time_axis(axes: Axes, timestamps: pd.Series) -> None:
    """Label evenly spaced bars with their times: nights and holidays take no room."""
    local = timestamps.dt.tz_convert(INDIA)
    is_daily = (local == local.dt.normalize()).all()
    ticks = np.unique(np.linspace(0, len(local) - 1, _TICKS).round().astype(int))
    axes.set_xticks(
        ticks, [local[tick].strftime("%d %b" if is_daily else "%d %b\n%H:%M") for tick in ticks]
    )
    axes.set_xlabel("trading day" if is_daily else "start of the bar (Asia/Kolkata)")


def title(figure: Figure, heading: str, caption: str) -> None:
    """Write what is shown above the picture, and a line with what to know about it."""
    height = figure.get_figheight()
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - _TITLE_INCHES / height))
    figure.text(0.01, 1 - 0.08 / height, heading, va="top", size=11, weight="bold")
    figure.text(0.01, 1 - 0.29 / height, caption, va="top", size=9, color="#333333")


@contextmanager
def drawn(size: tuple[float, float]) -> Iterator[Figure]:
    """Lend a figure of ``size`` inches in the project's style, whatever is set on the machine.

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


def to_png(figure: Figure) -> bytes:
    """Return the figure as a PNG of few colours."""
    from PIL import Image

    canvas: Any = figure.canvas  # a FigureCanvasAgg, whose methods matplotlib does not type
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    data = io.BytesIO()
    # By coverage, not by area: a small patch of the scale must keep its colour.
    palette = image.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    palette.save(data, "PNG", optimize=True)
    return data.getvalue()
