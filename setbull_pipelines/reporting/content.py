"""What the daily report tells: funnel, lists, reasons, and the sums over quality and reconciliation.

Belongs here: choosing and counting of stored rows. Does not belong here: layout (``page``), the bars of charts
(``charts``), reading tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from setbull_pipelines.settings import SequenceSettings
from setbull_pipelines.tables import COMPUTED_TABLES
from setbull_pipelines.tables.bb_width import BB_WIDTH_DAILY
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.tables.filters import (
    FILTER_RESULTS,
    PASSING_VERDICTS,
    RANK_ORDER,
    STAGES,
    VERDICT_NOT_ENOUGH_DATA,
    VERDICT_REJECTED,
)

GENERATED = "generated sample"
"""Source of the instruments of the sample."""
TOP = 10
"""Length of the list of the most mamba days."""
_BAR = 20
"""Blocks of a bar for all instruments."""
_NUMBER = re.compile(r"(\d+(?:[.-]\d+)*)")


@dataclass(frozen=True)
class Stored:
    """The stored rows of a report. Served tables have the column ``variant``.

    Histories (daily bars) hold only instruments that get a chart, in the variant and the series that they are
    served in, up to ``day``; five-minute bars are of ``day``.
    """

    day: date
    filter_results: pd.DataFrame
    sequence_analysis: pd.DataFrame
    moves_daily: pd.DataFrame
    candles_daily: pd.DataFrame
    indicators_daily: pd.DataFrame
    candles_5min: pd.DataFrame
    indicators_5min: pd.DataFrame
    instruments: pd.DataFrame
    corporate_actions: pd.DataFrame
    accounting: pd.DataFrame
    quarantined: pd.Series
    """Rows by rule, most frequent first."""
    failures: pd.DataFrame
    reconciliation: pd.DataFrame
    variants: Mapping[str, Mapping[str, int]]
    """By served table: instruments by variant."""
    bb_width_alerts: pd.DataFrame | None = None
    """The band-width monitor of the day; None where no such table is stored."""
    bb_width_daily: pd.DataFrame = field(default_factory=BB_WIDTH_DAILY.empty)
    """The sessions up to ``day`` of every instrument of the monitor, in the variant that it is served in."""
    removed: tuple[str, ...] = ()
    """Sessions, ascending, some of whose rows of charts or moves were removed to save disk space."""
    earlier: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By session before ``day``, ascending, the verdict of every stock that passed on it."""
    mamba_day: str = ""
    """What a mamba day is under the settings, in one sentence."""
    differences: Mapping[str, str] = field(default_factory=dict)
    """By table the address of the page of its difference on ``day``."""

    @property
    def is_generated(self) -> bool:
        """Whether prices were invented by the sample."""
        return bool((self.instruments["source"] == GENERATED).any())


@dataclass(frozen=True)
class Shown:
    """One column of a list: what it shows, under which heading, and the decimals of a number."""

    column: str
    heading: str
    digits: int | None = None
    """None for text."""
    is_ratio: bool = False
    """Shown in percent."""

    @property
    def meaning(self) -> str:
        """Description and unit from the table's contract; empty for columns of no table."""
        for table in (FILTER_RESULTS, *COMPUTED_TABLES):
            if self.column in table.column_names:
                column = table.column(self.column)
                return (
                    f"{column.description} [{column.unit}]" if column.unit else column.description
                )
        return ""


_CLOSE = Shown("close", "Close", 2)
_VOLUME = Shown("average_volume", "Average volume", 0)
_DEVIATION = Shown("ema_deviation", "From EMA 50", 2, is_ratio=True)
_RSI = Shown("rsi", "RSI", 2)
_MAMBA = Shown("mamba_count", "Mamba days", 0)
_SERIES = Shown("mamba_series", "Mamba series")
_OTHERS = Shown("non_mamba_series", "Other runs")
_VARIANT = Shown("variant", "Variant")
PASSING_COLUMNS = (
    Shown("rank", "Rank", 0),
    *(_CLOSE, _VOLUME, _DEVIATION, _RSI, _MAMBA, _SERIES, _OTHERS),
    Shown("quality_score", "Quality", 3),
    Shown("momentum_score", "Momentum", 3),
    Shown("width_percent", "Band width, %", 2),
    _VARIANT,
)
TOP_COLUMNS = (
    Shown("place", "Place", 0),
    Shown("verdict", "Verdict"),
    *(_CLOSE, _MAMBA),
    Shown("average_mamba_length", "Mean mamba run", 2),
    Shown("average_non_mamba_length", "Mean other run", 2),
    *(_SERIES, _OTHERS),
)
ALL_COLUMNS = (
    Shown("verdict", "Verdict"),
    Shown("stopped_at", "Stopped at"),
    Shown("reason", "Why"),
    *(_CLOSE, _VOLUME, _DEVIATION, _RSI, _MAMBA, _VARIANT),
    Shown("name", "Name"),
)
WIDTH_COLUMNS = (
    Shown("alert_rule", "Rule"),
    Shown("alert_time", "At"),
    Shown("alert_bb_width", "Width", 2),
    Shown("alert_distance_percent", "From lowest, %", 2),
    Shown("lowest_bb_width", "Lowest", 2),
    Shown("lowest_bb_day", "Lowest on"),
    Shown("alerting_bands", "Alerting bars", 0),
    Shown("bb_width", "Last width", 2),
    Shown("distance_from_lowest_percent", "Last from lowest, %", 2),
    Shown("candles_in_range", "Bars in range", 0),
    Shown("contracting_bands", "Contracting", 0),
    Shown("bb_width_trend", "Trend"),
    Shown("pattern_strength", "Pattern"),
    Shown("verdict", "Verdict"),
)
MONITOR_COLUMNS = (
    Shown("distance_from_lowest_percent", "From lowest, %", 2),
    Shown("bb_width", "Last width", 2),
    Shown("lowest_bb_width", "Lowest", 2),
    Shown("lowest_bb_day", "Lowest on"),
    Shown("look_back_sessions", "Of sessions", 0),
    Shown("width_history", "Narrow widths"),
    Shown("candles_in_range", "Bars in range", 0),
    Shown("contracting_bands", "Contracting", 0),
    Shown("bb_width_trend", "Trend"),
    Shown("pattern_strength", "Pattern"),
    Shown("alert_rule", "Alert"),
    Shown("verdict", "Verdict"),
)
METRICS = (
    *("trend", "trend_percent", "days_above_ema", "days_below_ema", "mamba_days", "sequences"),
    *("longest_mamba_sequence", "average_mamba_length", "long_gaps", "current_kind"),
    *("current_length", "quality_score", "length_score", "strength_score", "consistency_score"),
    *("continuity_score", "predictive_score", "momentum_score", "volume_average"),
    *("volume_strength", "volume_trend", "volume_consistency", "dominant_pattern"),
)
"""Columns of the sequence analysis that the page of a stock lists."""


def mamba_day(settings: SequenceSettings) -> str:
    """What a mamba day is, in one sentence."""
    return (
        f"A mamba day is a day of a strong move with the trend: in a bullish trend a rise of more than "
        f"{settings.bullish_move_percent:g} % from open to close, in a bearish one a fall of more than "
        f"{settings.bearish_move_percent:g} %, with enough volume behind it (strength {settings.strength_threshold:g} "
        f"or more); the lists count them over the last {settings.look_back_days} sessions."
    )


def stock_rows(stored: Stored) -> pd.DataFrame:
    """Every instrument of the filter results, by symbol, with what the lists show of it.

    ``rank`` is the place in its list (null for those that did not pass), ``width_percent`` the daily band width of
    the day.
    """
    names = stored.instruments[["instrument_key", "symbol", "name"]]
    scores = stored.sequence_analysis[["instrument_key", "quality_score", "momentum_score"]]
    today = stored.indicators_daily["trading_day"] == pd.Timestamp(stored.day)
    widths = stored.indicators_daily.loc[
        today, ["instrument_key", "bb_width_normalized_percentage"]
    ].rename(columns={"bb_width_normalized_percentage": "width_percent"})
    rows = stored.filter_results
    for facts in (names, scores, widths):
        rows = rows.merge(facts, how="left", on="instrument_key", validate="one_to_one")
    ranks = ranked(rows).groupby("verdict", observed=True).cumcount() + 1
    return rows.assign(
        symbol=rows["symbol"].fillna(rows["instrument_key"]),
        rank=ranks,
    ).sort_values(["symbol", "instrument_key"], ignore_index=True)


def width_rows(stored: Stored, rows: pd.DataFrame) -> pd.DataFrame | None:
    """Stocks with a band-width alert, the nearest to their lowest width first; None where no such table is stored.

    ``alert_time`` is the start of the alert's bar in India, HH:MM.
    """
    if stored.bb_width_alerts is None:
        return None
    found = _monitored(stored.bb_width_alerts, rows)
    found = found[found["alert_rule"].notna()]
    return found.assign(
        alert_time=found["alert_bar"].dt.tz_convert(INDIA).dt.strftime("%H:%M"),
        nearness=found["alert_distance_percent"].abs(),
    ).sort_values(["nearness", "symbol"], kind="stable")


def monitor_rows(stored: Stored, rows: pd.DataFrame) -> pd.DataFrame | None:
    """Every stock of the band-width monitor, the narrowest against its lowest width first, those without one last.

    ``width_history`` are the 10th percentiles of its sessions' widths in rupees, in order; None where no session has
    a band. None where no such table is stored.
    """
    if stored.bb_width_alerts is None:
        return None
    sessions = stored.bb_width_daily.sort_values(["instrument_key", "trading_day"])
    known = sessions.dropna(subset=["p10_bb_width"])
    histories = known.groupby("instrument_key")["p10_bb_width"].agg(list).rename("width_history")
    found = _monitored(stored.bb_width_alerts, rows).merge(
        histories, how="left", left_on="instrument_key", right_index=True
    )
    order = ["distance_from_lowest_percent", "symbol"]
    return found.sort_values(order, kind="stable", na_position="last")


def _monitored(monitor: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    of_day = monitor.drop(columns=["trading_day", "variant"])
    found = rows.merge(of_day, on="instrument_key", validate="one_to_one")
    return found.assign(lowest_bb_day=found["lowest_bb_day"].dt.strftime("%Y-%m-%d"))


def ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """The instruments that passed, in the order of the lists."""
    passed = rows[rows["verdict"].isin(PASSING_VERDICTS)]
    return passed.sort_values(list(RANK_ORDER), ascending=list(RANK_ORDER.values()))


def top_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The instruments with the most mamba days of both lists, with their ``place``.

    The old system's list of this name had no limit; here all others are in the lists of both sides.
    """
    first = ranked(rows).head(TOP)
    return first.assign(place=range(1, len(first) + 1))


@dataclass(frozen=True)
class StageCount:
    """How many instruments came to a stage, and what became of them."""

    stage: str
    entered: int
    passed: int
    rejected: int
    without_data: int
    reasons: tuple[tuple[str, int], ...]
    """Why the others stopped here: the reason without the numbers that are their own, and how many, most first."""


def funnel(filter_results: pd.DataFrame) -> list[StageCount]:
    """The counts of every stage, in order; each begins with those that passed the one before."""
    counts, entered = [], len(filter_results)
    for stage in STAGES:
        stopped = filter_results[filter_results["stopped_at"] == stage]
        counts.append(
            StageCount(
                stage,
                entered,
                entered - len(stopped),
                int((stopped["verdict"] == VERDICT_REJECTED).sum()),
                int((stopped["verdict"] == VERDICT_NOT_ENOUGH_DATA).sum()),
                _grouped(stopped["reason"]),
            )
        )
        entered -= len(stopped)
    return counts


def markdown_funnel(filter_results: pd.DataFrame) -> str:
    """The funnel as a Markdown table: one row per stage, a bar of those that pass, and the commonest reason."""
    lines = [
        "| stage | pass | of | | stopped | commonest reason |",
        "|---|---|---|---|---|---|",
    ]
    for count in funnel(filter_results):
        share = count.passed / len(filter_results) if len(filter_results) else 0
        commonest = ""
        if count.reasons:
            reason, times = count.reasons[0]
            commonest = f"{reason} ({times:,})".replace("|", "\\|")
        lines.append(
            f"| {count.stage} | {count.passed:,} | {count.entered:,} | {'█' * round(_BAR * share)} | "
            f"{count.entered - count.passed:,} | {commonest} |"
        )
    return "\n".join(lines)


def _grouped(reasons: pd.Series) -> tuple[tuple[str, int], ...]:
    """Equal wordings and how many have them; a number stays where all have the same, such as a limit."""
    groups: dict[str, list[list[str]]] = {}
    for reason in reasons:
        groups.setdefault(_NUMBER.sub("…", reason), []).append(_NUMBER.split(reason))
    worded = [
        (
            "".join(part[0] if len(set(part)) == 1 else "…" for part in zip(*found, strict=True)),
            found,
        )
        for found in groups.values()
    ]
    return tuple(sorted(((text, len(found)) for text, found in worded), key=lambda pair: -pair[1]))


def charted(filter_results: pd.DataFrame) -> set[str]:
    """Instruments with a daily chart: those whose price and volume the profile trades at all."""
    return set(filter_results.loc[filter_results["basic_passed"].fillna(False), "instrument_key"])


def charted_intraday(filter_results: pd.DataFrame) -> set[str]:
    """Instruments with a chart of the day's five-minute bars: those that passed."""
    passed = filter_results["verdict"].isin(PASSING_VERDICTS)
    return set(filter_results.loc[passed, "instrument_key"])
