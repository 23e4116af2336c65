"""Rules about what came in: nothing is lost, nothing lies outside its session, the calendar fits the data."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.instruments import is_index
from setbull_pipelines.market.session_frames import CLOSED_DAY, minutes_in_session
from setbull_pipelines.market.session_table import TIMEZONE
from setbull_pipelines.quality.verdict import Rule, Verdict, not_judged
from setbull_pipelines.settings import Settings
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
    found = {
        stored.name: int(traded(frames[stored.name]).sum())
        for stored in (CANDLES_1MIN, CANDLES_DAILY_HISTORY)
    }
    coverage = frames[COVERAGE.name]
    inside = (coverage["first_trading_day"] <= day) & (coverage["last_trading_day"] >= day)
    covering = int(coverage.loc[inside, "instrument_key"].nunique())
    metadata = {f"traded rows of {name}": rows for name, rows in found.items()}
    metadata["instruments covering the day"] = covering
    if any(found.values()):
        return Verdict(True, f"{sum(found.values()):,} rows with trades in the session", metadata)
    if not covering:
        return not_judged(f"the source does not cover {day:%Y-%m-%d}")
    return Verdict(
        False,
        f"{day:%Y-%m-%d} is a session of the calendar, but nothing traded on it, though {covering} instruments "
        f"have candles before and after: the source has a hole or the calendar a session too many",
        metadata,
    )


def traded(candles: pd.DataFrame) -> pd.Series:
    """Whether something moved: an index has prices without volume."""
    indices = [key for key in candles["instrument_key"].unique() if is_index(key)]
    return (candles["volume"] > 0).fillna(False) | candles["instrument_key"].isin(indices)


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
)
