"""``setbull actions``: gaps that no corporate action explains, what is proposed for them, and decisions about them.

Belongs here: sentences, and making a decision of what a person says. Does not belong here: options (``commands/``), the
journal (``sources/decided_actions.py``), which ratio is near (``quality/gaps.py``).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import date

from setbull_pipelines import tables
from setbull_pipelines.errors import SetbullError
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.dependents import depending
from setbull_pipelines.pipeline.instruments import key_of, symbols_of
from setbull_pipelines.pipeline.opening import now, open_warehouse
from setbull_pipelines.pipeline.proposing import undecided_gaps
from setbull_pipelines.quality.gaps import Gap
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.corporate_files import NotARatio, ratio_of
from setbull_pipelines.sources.decided_actions import (
    ACCEPTED,
    REJECTED,
    Decision,
    in_force,
    read_decisions,
    record,
)
from setbull_pipelines.tables.actions import GENUINE, SPLIT_OR_BONUS
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable

_ACTIONS = StoredTable("raw", tables.CORPORATE_ACTIONS)


class NothingToDecide(SetbullError, ValueError):
    """What a person said is no decision; the message says what was expected."""


def proposals(settings: Settings) -> Iterator[str]:
    """Every undecided gap, with the command that would explain it. Nothing is applied."""
    gaps = _undecided(settings)
    symbols = symbols_of(settings)
    for gap in gaps:
        symbol = symbols.get(gap.instrument_key, gap.instrument_key)
        named = f"{gap.day} {symbol} opened at {gap.opened_at:.4f} of the close before"
        place = f"{shlex.quote(gap.instrument_key)} {gap.day}"
        if gap.nearest:
            yield f"{named}: looks like {gap.looks_like}"
            yield f"  setbull actions accept {place} --by NAME --reason WHY"
        else:
            yield f"{named}: near no simple ratio"
            ratio = f"--kind demerger --ratio {1 / gap.opened_at:.4g}"
            yield f"  setbull actions accept {place} {ratio} --by NAME --reason WHY"
        yield f"  setbull actions genuine {place} --by NAME --reason WHY"
    if not gaps:
        yield "no gap without a corporate action is undecided"


def listing(settings: Settings) -> Iterator[str]:
    """The corporate actions in force, as files and people state them, then what was decided."""
    warehouse = open_warehouse(settings)
    symbols = symbols_of(settings)
    if warehouse.pointer(_ACTIONS, WHOLE):
        stored = warehouse.read(_ACTIONS, [WHOLE]).sort_values(["ex_date", "instrument_key"])
        for row in stored.itertuples():
            symbol = symbols.get(row.instrument_key, row.instrument_key)
            ratio = "" if row.kind == GENUINE else f" {row.ratio:g}"
            yield f"{row.ex_date:%Y-%m-%d} {symbol} {row.kind}{ratio}, from {row.source}"
    decided = read_decisions(settings.data_directory)
    yield f"decisions: {len(decided)}, in force: {len(in_force(decided))}"
    yield from map(_sentence, decided)


def accept(
    settings: Settings,
    instrument: str,
    day: date,
    kind: str | None,
    ratio: str | None,
    by: str,
    reason: str,
) -> Iterator[str]:
    """Record an action; without a ratio the one that is proposed for the day. Raises NothingToDecide."""
    key = key_of(instrument, settings)
    if ratio is None:
        gap = _gap_of(key, day, settings)
        if gap is None or gap.nearest is None:
            found = "a gap that is near no simple ratio" if gap else "no undecided gap"
            raise NothingToDecide(
                f"{instrument} {day}: found {found}, expected one to accept a proposal for; say --kind and --ratio"
            )
        ratio = str(gap.nearest)
    try:
        ratio_of(ratio)
    except NotARatio as error:
        raise NothingToDecide(str(error)) from None
    return _decide(settings, ACCEPTED, key, day, kind or SPLIT_OR_BONUS, ratio, by, reason)


def genuine(settings: Settings, instrument: str, day: date, by: str, reason: str) -> Iterator[str]:
    """Record that a price really moved that far. Raises NothingToDecide."""
    key = key_of(instrument, settings)
    return _decide(settings, ACCEPTED, key, day, GENUINE, "1", by, reason)


def reject(settings: Settings, instrument: str, day: date, by: str, reason: str) -> Iterator[str]:
    """Record that the proposal of a day is refused, and take back what was accepted for it. Raises NothingToDecide."""
    key = key_of(instrument, settings)
    standing = [
        row
        for row in in_force(read_decisions(settings.data_directory))
        if (row.instrument_key, row.ex_date) == (key, day)
    ]
    gap = _gap_of(key, day, settings)
    if not standing and gap is None:
        raise NothingToDecide(
            f"{instrument} {day}: found neither a gap without a decision nor an accepted action, expected one to reject"
        )
    kind, ratio = (
        (standing[-1].kind, standing[-1].ratio)
        if standing
        else (SPLIT_OR_BONUS, str(gap.nearest or ""))
    )
    return _decide(settings, REJECTED, key, day, kind, ratio, by, reason)


def _decide(
    settings: Settings,
    decision: str,
    key: str,
    day: date,
    kind: str,
    ratio: str,
    by: str,
    reason: str,
) -> Iterator[str]:
    if not by.strip() or not reason.strip():
        raise NothingToDecide("found an empty --by or --reason, expected a name and a sentence")
    row = Decision(now(), by.strip(), decision, key, day, kind, ratio, reason.strip())
    record(settings.data_directory, row)
    yield _sentence(row)
    stored = [date.fromisoformat(item) for item in open_warehouse(settings).partitions(SUMMARY)]
    first = max([day, *stored[:1]])
    if sessions := depending([first], stored, settings):
        of_input = f" --input {shlex.quote(settings.input)}" if settings.input else ""
        yield (
            f"{len(sessions)} stored sessions from {sessions[0]} to {sessions[-1]} can change; the sensor new_files "
            f"requests them, or: setbull run{of_input}"
        )


def _sentence(row: Decision) -> str:
    what = row.kind if row.kind == GENUINE else f"{row.kind} {row.ratio}".strip()
    return (
        f"{row.decided_at:%Y-%m-%d %H:%M} {row.by}: {row.decision} {what} of {row.instrument_key} on {row.ex_date}: "
        f"{row.reason}"
    )


def _undecided(settings: Settings) -> list[Gap]:
    decided = {(row.instrument_key, row.ex_date) for row in read_decisions(settings.data_directory)}
    return undecided_gaps(open_warehouse(settings), decided)


def _gap_of(key: str, day: date, settings: Settings) -> Gap | None:
    found = undecided_gaps(open_warehouse(settings), ())
    return next((gap for gap in found if (gap.instrument_key, gap.day) == (key, day)), None)
