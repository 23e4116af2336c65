"""What holds for many columns at once, as ``docs/definitions.md`` prints it before the columns.

Belongs here: rules of more than one column or table. Does not belong here: one column (the modules of
the tables), edge cases (``variants/protocol.py``), computing.
"""

from __future__ import annotations

from setbull_pipelines.settings import BandWidthSettings, LookBackSettings, SequenceSettings
from setbull_pipelines.tables.look_back import slowest


def general_rules() -> dict[str, str]:
    """The rules by their topic, with the numbers of the settings' defaults."""
    look_back, sequences, widths = LookBackSettings(), SequenceSettings(), BandWidthSettings()
    name, bars = slowest()
    return {
        "Bars without a trade": (
            "A bar in which nothing was traded has no row (`aggregation.untraded_minutes` can change that; an index, "
            "which is never traded, has one), and nothing is filled in: "
            "the bar before it in its series is the last one that was traded."
        ),
        "Look-back": (
            f"Five-minute indicators are computed from the day and the {look_back.sessions_5min} sessions before "
            f"it, daily ones from {look_back.sessions_daily} before it, moves and filters from "
            f"{look_back.sessions_moves}, the band-width monitor from {widths.look_back_sessions}; from all there "
            "are where fewer are stored. Sessions count, not bars: a stock that did not trade in some of them has "
            "fewer bars, and the reasons of the filters count the bars in the look-back."
        ),
        "How far indicators look back": (
            f"A recursion forgets what it started from. {name} does so most slowly: from bar {bars} on that weighs "
            "less than its tolerance of 1e-9. Shorter look-backs are refused. A stock that traded in too few of "
            "the sessions has values that depend on where the look-back begins; where `is_warm` is true, their "
            "start has at most 0.034 % of the weight."
        ),
        "Numbers at a limit": (
            "A computed number within 1e-9 of a limit is at the limit: a move of exactly 5 % is not above 5 %, an "
            "RSI of 50 that was rounded to just below it is not below 50. Counts, volumes and prices of the day "
            "are exact."
        ),
        "Equal widths": (
            "Two band widths that differ by less than 1e-9 of themselves are equal, in every comparison of the "
            "band-width monitor."
        ),
        "Missing values": (
            "A filter stage that asks about a value that is null gives 'not enough data', and names it."
        ),
        "Runs": (
            "A run is all neighbouring moves of one kind, so that MAMBA and NON_MAMBA runs alternate. Columns "
            "that compare the kind of a run with that of the next one can hold one value only: `predictive_score` "
            "is 0, `success_rate` 0, or null without a next run, and `dominant_pattern` is null. They are kept "
            "because the replaced system had them."
        ),
        "Patterns": (
            f"A pattern is the runs of one kind and length, of {sequences.pattern_minimum_length} days or more. "
            "Patterns are ranked by frequency, then strength, the larger first, then kind by alphabet, then "
            "length, the shorter first."
        ),
    }
