"""Rules about what came in: nothing is lost, nothing lies outside its session, the calendar fits the data."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.instruments import is_index
from setbull_pipelines.market.session_frames import CLOSED_DAY, minutes_in_session
from setbull_pipelines.market.session_table import SESSION_SHAPES, SHAPE_NOT_KNOWN, TIMEZONE
from setbull_pipelines.quality.verdict import Rule, Verdict, not_judged
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.candle_rules import OTHER_SERIES
from setbull_pipelines.tables.columns import EXCHANGE, MINUTES
from setbull_pipelines.warehouse.pointers import StoredTable

INTAKE = StoredTable("raw", tables.INTAKE)
INSTRUMENTS = StoredTable("raw", tables.INSTRUMENTS)
DERIVATIVE_UNDERLYINGS = StoredTable("raw", tables.DERIVATIVE_UNDERLYINGS)
COVERAGE = StoredTable("raw", tables.COVERAGE)
CANDLES_1MIN = StoredTable("raw", tables.CANDLES_1MIN)
CANDLES_DAILY_HISTORY = StoredTable("raw", tables.CANDLES_DAILY_HISTORY)
QUARANTINE = StoredTable("raw", tables.QUARANTINE)
ACCOUNTING = StoredTable("raw", tables.ACCOUNTING)
REVISIONS = StoredTable("raw", tables.REVISIONS)

Frames = Mapping[str, pd.DataFrame]
_DAYS_SHOWN = 5
_THIN_SHOWN = 5
_HOLES_SHOWN = 5


def files_read(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    """Every input file could be read as what it is."""
    files = frames[INTAKE.name]
    if files.empty:
        return not_judged("no file was read")
    rejected = files[files["kind"] == "rejected"]
    if rejected.empty:
        return Verdict(True, f"all {len(files)} files were read", {"files": len(files)})
    return Verdict(
        False,
        "; ".join(rejected["reason"].head(5)),
        {"files": len(files), "rejected": len(rejected)},
    )


def received_rows_assigned(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    """Per file: received = assigned to a trading day + unassigned (and quarantined)."""
    files = frames[INTAKE.name]
    if files.empty and frames[QUARANTINE.name].empty:
        return not_judged("no file was read, and no row is in quarantine")
    lost = files[files["received"] != files["assigned"] + files["unassigned"]]
    quarantined = len(frames[QUARANTINE.name])
    unassigned = int(files["unassigned"].sum())
    metadata = {
        "received": int(files["received"].sum()),
        "assigned": int(files["assigned"].sum()),
        "unassigned": unassigned,
        "quarantined without a day": quarantined,
    }
    if lost.empty and quarantined == unassigned:
        return Verdict(True, f"{metadata['received']:,} rows received, none lost", metadata)
    return Verdict(
        False,
        f"rows are lost: {len(lost)} files do not add up, {unassigned} rows unassigned, "
        f"{quarantined} of them quarantined",
        metadata,
    )


def rows_have_a_trading_day(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    """No row lies on a closed day or has an unreadable time."""
    unassigned = frames[QUARANTINE.name]
    if unassigned.empty:
        return Verdict(True, "every row received has a trading day")
    by_rule = unassigned["rule"].value_counts()
    return Verdict(
        False,
        f"{len(unassigned):,} rows have no trading day and are in raw.quarantine: "
        + ", ".join(f"{rule} {rows:,}" for rule, rows in by_rule.items()),
        {str(rule): int(rows) for rule, rows in by_rule.items()},
    )


def underlyings_known(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    """The list of stocks with derivatives names instruments, or it would shorten no session."""
    listed = frames[DERIVATIVE_UNDERLYINGS.name]["instrument_key"].unique()
    unknown = sorted(set(listed) - set(frames[INSTRUMENTS.name]["instrument_key"]))
    metadata = {"stocks": len(listed), "unknown": len(unknown)}
    if not len(listed):
        return Verdict(True, "no file lists stocks with derivatives", metadata)
    if not unknown:
        return Verdict(True, f"all {len(listed)} stocks with derivatives are known", metadata)
    return Verdict(
        False,
        f"{len(unknown)} of {len(listed)} stocks with derivatives are no known instruments, the first "
        f"{unknown[0]}; their sessions stay full",
        metadata,
    )


def closed_days_untraded(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    """No trade is dated on a day on which the calendar has no session.

    Rows without volume, with which brokers fill their responses, are no trades.
    """
    quarantine = frames[QUARANTINE.name]
    rows = quarantine[quarantine["rule"] == CLOSED_DAY]
    volume = pd.to_numeric(
        rows["record"].map(lambda record: json.loads(record)["volume"]), "coerce"
    )
    traded = rows[(volume > 0).to_numpy(dtype=bool)]
    metadata = {"rows on closed days": len(rows), "traded": len(traded)}
    if traded.empty:
        return Verdict(True, f"no trade on a closed day; {len(rows)} rows without volume", metadata)
    # A plain date is read as midnight UTC, which has the same date in India.
    moments = pd.to_datetime(traded["value"], format="ISO8601", utc=True)
    days = traded.groupby(moments.dt.tz_convert(TIMEZONE).dt.date)
    shown = [
        f"{closed} ({NSE.why_closed(closed)}) {len(of_day):,} of {of_day['instrument_key'].nunique()} instruments"
        for closed, of_day in days
    ]
    return Verdict(
        False,
        f"{len(traded):,} rows with trades on {len(shown)} days without a session, so the calendar lacks a "
        f"session or the source misdates rows: {'; '.join(shown[:_DAYS_SHOWN])}",
        metadata | {"days": len(shown)},
    )


def sessions_traded(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    """A session of the calendar inside the span of the source has trades."""
    traded = {
        stored.name: int(_traded(frames[stored.name]).sum())
        for stored in (CANDLES_1MIN, CANDLES_DAILY_HISTORY)
    }
    coverage = frames[COVERAGE.name]
    inside = (coverage["first_trading_day"] <= day) & (coverage["last_trading_day"] >= day)
    covering = int(coverage.loc[inside, "instrument_key"].nunique())
    metadata = {f"traded rows of {name}": rows for name, rows in traded.items()}
    metadata["instruments covering the day"] = covering
    if any(traded.values()):
        return Verdict(True, f"{sum(traded.values()):,} rows with trades in the session", metadata)
    if not covering:
        return not_judged(f"the source does not cover {day:%Y-%m-%d}")
    return Verdict(
        False,
        f"{day:%Y-%m-%d} is a session of the calendar, but nothing traded on it, though {covering} instruments "
        f"have candles before and after: the source has a hole or the calendar a session too many",
        metadata,
    )


def _traded(candles: pd.DataFrame) -> pd.Series:
    """Whether something moved: an index has prices without volume."""
    return (candles["volume"] > 0).fillna(False) | candles["instrument_key"].map(is_index).astype(
        bool
    )


def accounting(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    """accepted + quarantined + ignored duplicates + superseded = received, and the tables hold just those rows."""
    counts = frames[ACCOUNTING.name]
    stored = {
        "minutes": len(frames[CANDLES_1MIN.name]),
        "daily": len(frames[CANDLES_DAILY_HISTORY.name]),
    }
    accepted = counts.set_index("kind")["accepted"].reindex(list(stored), fill_value=0)
    quarantined, superseded = len(frames[QUARANTINE.name]), len(frames[REVISIONS.name])
    parts = ["accepted", "quarantined", "duplicates_ignored", "superseded"]
    if counts.empty and not (any(stored.values()) or quarantined or superseded):
        return not_judged(f"no row of {day:%Y-%m-%d} was received, and none is stored")
    total = counts[["received", *parts]].sum()
    metadata = {name.replace("_", " "): int(value) for name, value in total.items()}
    by_rule = frames[QUARANTINE.name]["rule"].value_counts()
    metadata |= {f"quarantined: {rule}": int(rows) for rule, rows in by_rule.items()}
    adds_up = (counts["received"] == counts[parts].sum(axis=1)).all()
    tables_agree = (
        all(accepted[kind] == rows for kind, rows in stored.items())
        and int(total["quarantined"]) == quarantined
        and int(total["superseded"]) == superseded
    )
    if adds_up and tables_agree:
        return Verdict(
            True, f"{metadata['received']:,} rows received, every one accounted for", metadata
        )
    return Verdict(
        False,
        f"received {metadata['received']:,}, accounted {int(total[1:].sum()):,}; stored: "
        f"{stored['minutes']:,} minutes, {stored['daily']:,} daily, {quarantined:,} quarantined, "
        f"{superseded:,} superseded",
        metadata,
    )


def in_session(stored: StoredTable) -> Rule:
    """Every bar starts inside a session interval of its trading day, which is the partition's."""

    def judge(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
        frame = frames[stored.name]
        inside = minutes_in_session(
            frame["timestamp"],
            shapes=frame["instrument_key"].map(session_shapes(frames[CANDLES_1MIN.name])),
        ).to_numpy(dtype=bool)
        on_day = (frame["trading_day"] == day).to_numpy(dtype=bool)
        dated = (frame["timestamp"].dt.tz_localize(None).dt.normalize() == day).to_numpy(dtype=bool)
        wrong = int((~(inside & on_day & dated)).sum())
        if wrong:
            first = frame[~(inside & on_day & dated)].iloc[0]
            return Verdict(
                False,
                f"{wrong:,} bars lie outside the session of {day:%Y-%m-%d}, the first "
                f"{first['instrument_key']} at {first['timestamp']}",
                {"rows": len(frame), "outside": wrong},
            )
        return Verdict(True, f"{len(frame):,} bars lie inside the session", {"rows": len(frame)})

    return Rule(
        "in_session",
        "Every bar starts inside the session of its instrument and day",
        stored,
        tuple(dict.fromkeys((stored, CANDLES_1MIN))),
        judge,
    )


def session_shapes(minutes: pd.DataFrame) -> pd.Series:
    """The session shape of each instrument of a day, by instrument key, as its minutes say."""
    of_instrument = minutes.drop_duplicates("instrument_key").set_index("instrument_key")
    return of_instrument["session_shape"]


def minutes_complete(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    """The session has minutes if the source covers it, and most of those the calendar expects."""
    minutes, coverage = frames[CANDLES_1MIN.name], frames[COVERAGE.name]
    expected = NSE.session(day.date()).minutes
    if minutes.empty:
        return _empty_day(coverage, MINUTES, day)
    if expected is None:
        return Verdict(False, f"the calendar does not know the hours of {day:%Y-%m-%d}")
    grouped = minutes.groupby("instrument_key").agg(
        delivered=("timestamp", "size"), shape=("session_shape", "first")
    )
    per_instrument = grouped["delivered"]
    of_shape = {shape: NSE.session(day.date(), shape).minutes for shape in SESSION_SHAPES}
    expected_minutes = grouped["shape"].map(of_shape)
    share = float((per_instrument / expected_minutes).mean())
    limit = settings.quality.minimum_delivered_share
    shares = (per_instrument / expected_minutes).sort_values(kind="stable")
    thin = shares[shares < limit / 2]
    named = ", ".join(
        f"{key} {per_instrument[key]} of {expected_minutes[key]}"
        for key in thin.index[:_THIN_SHOWN]
    )
    more = f" and {len(thin) - _THIN_SHOWN} more" if len(thin) > _THIN_SHOWN else ""
    unknown = int((grouped["shape"] == SHAPE_NOT_KNOWN).sum())
    return Verdict(
        share >= limit,
        f"{share:.1%} of {expected} minutes delivered on average (limit {limit:.0%}); "
        + (
            f"thin, with less than half of that: {named}{more}"
            if named
            else f"fewest: {per_instrument.idxmin()} with {per_instrument.min()}"
        )
        + (f"; {unknown} of unknown session shape are assumed to trade all day" if unknown else ""),
        {
            "instruments": len(per_instrument),
            "minutes": len(minutes),
            "minutes expected per instrument": expected,
            "share delivered": share,
            "instruments thin": len(thin),
            "instruments complete": int((per_instrument == expected_minutes).sum()),
            "instruments with closing auction": int((expected_minutes < expected).sum()),
            "instruments of unknown session shape": unknown,
        },
    )


def daily_complete(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    """The session has daily bars if the source covers it."""
    history, coverage = frames[CANDLES_DAILY_HISTORY.name], frames[COVERAGE.name]
    if history.empty:
        return _empty_day(coverage, EXCHANGE, day)
    spans = coverage[coverage["series"] == EXCHANGE]
    inside = (spans["first_trading_day"] < day) & (spans["last_trading_day"] > day)
    holes = spans.loc[
        inside & ~spans["instrument_key"].isin(history["instrument_key"]), "instrument_key"
    ]
    metadata = {"instruments": len(history), "instruments with a hole": len(holes)}
    if holes.empty:
        return Verdict(True, f"{len(history):,} daily bars", metadata)
    quarantine = frames[QUARANTINE.name]
    of_others = quarantine[quarantine["rule"] == OTHER_SERIES]
    series = dict(zip(of_others["instrument_key"], of_others["value"], strict=True))
    ordered = sorted(holes, key=lambda key: (key not in series, key))
    named = ", ".join(
        f"{key} (in series {series[key]})" if key in series else key
        for key in ordered[:_HOLES_SHOWN]
    )
    more = f" and {len(ordered) - _HOLES_SHOWN} more" if len(ordered) > _HOLES_SHOWN else ""
    lost = sum(key in series for key in ordered)
    # A share that was not traded has no bar either; one that was, in another series, has lost it.
    return Verdict(
        not lost,
        f"{len(history):,} daily bars; without one, though with some before and after: {named}{more}"
        + (f"; {lost} of them traded in a series that input.series leaves out" if lost else ""),
        metadata | {"of these in another series": lost},
    )


def _empty_day(coverage: pd.DataFrame, series: str, day: pd.Timestamp) -> Verdict:
    spans = coverage[coverage["series"] == series]
    inside = (spans["first_trading_day"] <= day) & (spans["last_trading_day"] >= day)
    if inside.any():
        return Verdict(
            False,
            f"{day:%Y-%m-%d} was a trading day, but the source has no {series} candles for it, "
            f"though {int(inside.sum())} instruments have them before and after",
            {"instruments covering the day": int(inside.sum())},
        )
    return not_judged(f"the source does not cover {day:%Y-%m-%d} with {series} candles")


RULES: tuple[Rule, ...] = (
    Rule("files_read", "Every input file could be read", INTAKE, (INTAKE,), files_read),
    Rule(
        "received_rows_assigned",
        "Received = assigned to trading days + quarantined without one, per file",
        INTAKE,
        (INTAKE, QUARANTINE),
        received_rows_assigned,
    ),
    Rule(
        "rows_have_a_trading_day",
        "No row lies on a closed day or has an unreadable time",
        INTAKE,
        (QUARANTINE,),
        rows_have_a_trading_day,
        is_error=False,
    ),
    Rule(
        "closed_days_untraded",
        "No trade is dated on a day without a session in the calendar",
        INTAKE,
        (QUARANTINE,),
        closed_days_untraded,
        is_error=False,
    ),
    Rule(
        "underlyings_known",
        "Every stock that is said to have derivatives is an instrument",
        DERIVATIVE_UNDERLYINGS,
        (DERIVATIVE_UNDERLYINGS, INSTRUMENTS),
        underlyings_known,
        is_error=False,
    ),
    Rule(
        "sessions_traded",
        "A session of the calendar inside the span of the source has trades",
        ACCOUNTING,
        (CANDLES_1MIN, CANDLES_DAILY_HISTORY, COVERAGE),
        sessions_traded,
        is_error=False,
    ),
    Rule(
        "accounting",
        "Accepted + quarantined + ignored duplicates + superseded = received",
        ACCOUNTING,
        (ACCOUNTING, CANDLES_1MIN, CANDLES_DAILY_HISTORY, QUARANTINE, REVISIONS),
        accounting,
    ),
    in_session(CANDLES_1MIN),
    Rule(
        "complete",
        "The source delivered the minutes that the calendar expects",
        CANDLES_1MIN,
        (CANDLES_1MIN, COVERAGE),
        minutes_complete,
        is_error=False,
    ),
    Rule(
        "complete",
        "The source delivered daily bars for the session, of every instrument that has some before and after",
        CANDLES_DAILY_HISTORY,
        (CANDLES_DAILY_HISTORY, COVERAGE, QUARANTINE),
        daily_complete,
        is_error=False,
    ),
)
