"""V1: the plain reference, one instrument at a time, to be checked against a textbook.

Belongs here: the functions of :class:`~setbull_pipelines.variants.protocol.Variant`; this module is
itself such a variant. Does not belong here: work on many instruments at once, compiled code, SQL,
anything of ``variants/v2``.
"""

from __future__ import annotations

from setbull_pipelines.variants.v1.adjusting import adjusted
from setbull_pipelines.variants.v1.aggregation import to_5min, to_daily
from setbull_pipelines.variants.v1.analysis import sequence_analysis
from setbull_pipelines.variants.v1.bb_width import bb_width, bb_width_alerts
from setbull_pipelines.variants.v1.filters import filters
from setbull_pipelines.variants.v1.indicators import indicators
from setbull_pipelines.variants.v1.sequences import moves, sequences

name = "v1"


def prepare() -> None:
    """Nothing: V1 compiles nothing."""


__all__ = [
    "adjusted",
    "bb_width",
    "bb_width_alerts",
    "filters",
    "indicators",
    "moves",
    "name",
    "prepare",
    "sequence_analysis",
    "sequences",
    "to_5min",
    "to_daily",
]
