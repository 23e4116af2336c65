"""V2: the fast implementation, whole columns at once. This module itself is the ``Variant``.

Belongs here: the steps under the names of the protocol. Does not belong here: loops over
rows or instruments outside compiled kernels, anything from V1.
"""

from setbull_pipelines.variants.v2.adjusting import adjusted
from setbull_pipelines.variants.v2.aggregation import to_5min, to_daily
from setbull_pipelines.variants.v2.analysis import sequence_analysis
from setbull_pipelines.variants.v2.bb_width import bb_width, bb_width_alerts
from setbull_pipelines.variants.v2.filters import filters
from setbull_pipelines.variants.v2.indicators import indicators
from setbull_pipelines.variants.v2.preparing import prepare
from setbull_pipelines.variants.v2.sequences import moves, sequences

name = "v2"

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
