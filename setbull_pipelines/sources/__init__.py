"""Where candles come from: files or the generated sample, taken in once and handed out by trading day.

Belongs here: reading, judging and landing input. Does not belong here: variants, the warehouse, Dagster.
"""

from __future__ import annotations

from setbull_pipelines.sources.found_files import NoInput
from setbull_pipelines.sources.intake import Intake, LandedRows, replay, take_in
from setbull_pipelines.sources.taking_in import Progress

__all__ = ["Intake", "LandedRows", "NoInput", "Progress", "replay", "take_in"]
