"""Intake: everything that was taken in, as the raw tables of any trading day.

Belongs here: the tables of the whole input and of days. Does not belong here: finding and landing files
(``found_files.py``, ``taking_in.py``), what a file is (``understanding.py``), the list of files (``listing.py``), a
day's rows of several files (``resolving.py``), the warehouse, a clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import cached_property
from pathlib import Path

import pandas as pd

from setbull_pipelines.settings import InputSettings, SampleSettings
from setbull_pipelines.sources.arrivals import Journal
from setbull_pipelines.sources.corporate_files import ACTIONS_KIND, ALIASES_KIND
from setbull_pipelines.sources.coverage import coverage_of, instruments_of_candles
from setbull_pipelines.sources.found_files import NoInput, unread_files
from setbull_pipelines.sources.frames import concatenate, in_contract, split
from setbull_pipelines.sources.landed_files import LandedFile, arrivals_of, counting_files
from setbull_pipelines.sources.landing import (
    DERIVATIVES_KIND,
    INSTRUMENTS_KIND,
    DamagedLanding,
)
from setbull_pipelines.sources.landing_writing import sweep_landing
from setbull_pipelines.sources.listing import OF_NO_USE, OutOfReach, listed
from setbull_pipelines.sources.moments import DAILY, MINUTES, CandleKind
from setbull_pipelines.sources.resolving import Resolved, resolve
from setbull_pipelines.sources.taking_in import Progress, land_decided, land_files, land_sample
from setbull_pipelines.sources.universe import Universe, facts_of, universe_of
from setbull_pipelines.tables import (
    ACCOUNTING,
    CANDLES_1MIN,
    CANDLES_DAILY_HISTORY,
    CORPORATE_ACTIONS,
    INSTRUMENT_ALIASES,
    QUARANTINE,
    REVISIONS,
)


@dataclass(frozen=True)
class LandedRows:
    """The raw tables of one or several trading days, each satisfying its contract."""

    candles_1min: pd.DataFrame
    candles_daily_history: pd.DataFrame
    quarantine: pd.DataFrame
    accounting: pd.DataFrame
    revisions: pd.DataFrame


@dataclass(frozen=True)
class Intake:
    """Everything that was taken in: tables of the whole input, and the raw tables of any day on request.

    ``files`` is ``raw.intake``, ``instruments`` ``raw.instruments``, ``coverage`` ``raw.coverage``;
    ``derivative_underlyings``, ``corporate_actions`` and ``instrument_aliases`` are the raw tables of these names;
    ``out_of_reach`` are the files that could not be read this time, ``unassigned`` the rows of ``raw.quarantine`` that
    have no trading day.
    """

    files: pd.DataFrame
    derivative_underlyings: pd.DataFrame
    corporate_actions: pd.DataFrame
    instrument_aliases: pd.DataFrame
    unassigned: pd.DataFrame
    out_of_reach: OutOfReach
    _landed: tuple[LandedFile, ...]
    _universe: Universe
    _instruments_listed: pd.DataFrame | None

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """Worked out when asked for: it reads what every file covers, and most readers want single days."""
        return coverage_of(self._files_of_candles, self._universe)

    @cached_property
    def instruments(self) -> pd.DataFrame:
        """As the instrument files list them; without such a file, as the candles name them."""
        if self._instruments_listed is not None:
            return self._instruments_listed
        return instruments_of_candles(self._files_of_candles, self.coverage)

    @property
    def landed(self) -> tuple[LandedFile, ...]:
        """What was landed of every file, earlier contents among them."""
        return self._landed

    def knows(self, file: LandedFile, landed: Sequence[str]) -> list[bool]:
        """Whether each instrument of a file, as it was landed, is one of the universe."""
        keys = self._universe.keys_of(file, landed)
        return [bool(known) for known in self._universe.knows(keys)]

    @property
    def _files_of_candles(self) -> list[LandedFile]:
        return [file for file in self._landed if file.landing.kind in (MINUTES, DAILY)]

    def days(self, kind: CandleKind) -> list[date]:
        """Trading days with rows of the kind, accepted or quarantined, in order."""
        return sorted(
            {day for file in self._candle_files(kind) for day in file.days["trading_day"].dt.date}
        )

    @property
    def identity(self) -> tuple[str, ...]:
        """What everything that was taken in follows from."""
        return tuple(file.identity for file in self._landed)

    def identity_of_bars(self, day: date) -> tuple[str, ...]:
        """What the tables of a day follow from: files with rows of it, and those that say which instruments there are.

        Corporate actions and aliases are not among them: bars are stored as received.
        """
        return (*self._identities_by_day.get(day, ()), *self._identity_of_universe)

    @cached_property
    def _identities_by_day(self) -> dict[date, list[str]]:
        found: dict[date, list[str]] = {}
        for file in self._files_of_candles:
            for day in file.days["trading_day"].dt.date:
                found.setdefault(day, []).append(file.identity)
        return found

    @cached_property
    def _identity_of_universe(self) -> list[str]:
        return [
            file.identity
            for file in self._landed
            if file.landing.kind in (INSTRUMENTS_KIND, DERIVATIVES_KIND)
        ]

    @property
    def first_day(self) -> date | None:
        """First trading day with rows of either kind; None when no row has a trading day."""
        return min((*self.days(MINUTES)[:1], *self.days(DAILY)[:1]), default=None)

    @property
    def last_day(self) -> date | None:
        """Last trading day with rows of either kind; None when no row has a trading day."""
        return max((*self.days(MINUTES)[-1:], *self.days(DAILY)[-1:]), default=None)

    @property
    def has_accepted_rows(self) -> bool:
        """Whether any candle of any file was accepted, as far as its file alone can tell."""
        return any(int(file.days["accepted"].sum()) for file in self._files_of_candles)

    def load_day(self, day: date) -> LandedRows:
        """The raw tables of one trading day; without rows when the input has none."""
        return self.load_days([day])[day]

    def landed_rows(self) -> dict[date, int]:
        """Accepted rows of every trading day, of all files together; known without reading rows."""
        days = [file.days for kind in (MINUTES, DAILY) for file in self._candle_files(kind)]
        if not days:
            return {}
        rows = pd.concat(days).groupby("trading_day")["accepted"].sum()
        return {day.date(): int(count) for day, count in rows.items()}

    def load_days(self, days: Sequence[date]) -> dict[date, LandedRows]:
        """The raw tables of each of several trading days, read together."""
        wanted = sorted(set(days))
        together = self.load_range(wanted)
        by_day = {
            table.name: split(getattr(together, table.name), wanted) for table in fields(together)
        }
        return {
            day: LandedRows(**{name: frames[number] for name, frames in by_day.items()})
            for number, day in enumerate(wanted)
        }

    def load_range(self, days: Sequence[date]) -> LandedRows:
        """The raw tables of several trading days, each in one frame, day after day; their indexes tell nothing.

        Of bars with equal instrument and timestamp the last one counts, in the order of ``correcting``.
        """
        wanted = sorted(set(days))
        resolved = {
            kind: resolve(kind, self._candle_files(kind), self._universe, wanted)
            for kind in (MINUTES, DAILY)
        }
        rejected = self._rejected(wanted)
        quarantine = in_contract(
            QUARANTINE,
            concatenate(
                QUARANTINE,
                [rejected.drop(columns="kind"), *(part.quarantined for part in resolved.values())],
            ),
        ).sort_values(["trading_day", "source", "line"], ignore_index=True)
        accounting = self._account(wanted, resolved, rejected)
        return LandedRows(
            candles_1min=in_contract(CANDLES_1MIN, resolved[MINUTES].accepted),
            candles_daily_history=in_contract(CANDLES_DAILY_HISTORY, resolved[DAILY].accepted),
            quarantine=quarantine,
            accounting=accounting,
            revisions=in_contract(
                REVISIONS, pd.concat([part.revisions for part in resolved.values()])
            ).sort_values(["trading_day", *REVISIONS.key], ignore_index=True),
        )

    def _candle_files(self, kind: str) -> list[LandedFile]:
        """The files of a kind, as they arrived; those of one moment by path."""
        of_kind = [file for file in self._landed if file.landing.kind == kind]
        return sorted(of_kind, key=lambda file: file.ingested_at)

    def _rejected(self, days: Sequence[date]) -> pd.DataFrame:
        parts = [
            found.assign(source=file.source, kind=file.landing.kind)
            for file in self._landed
            if file.landing.kind in (MINUTES, DAILY) and file.is_current
            # Of hundreds of files most have none.
            if len(found := file.landing.rejected(days))
        ]
        empty = QUARANTINE.empty().assign(kind=pd.Series(dtype="str"))
        return pd.concat([empty, *parts], ignore_index=True)

    def _account(
        self, days: Sequence[date], resolved: Mapping[CandleKind, Resolved], rejected: pd.DataFrame
    ) -> pd.DataFrame:
        index = pd.DatetimeIndex(days).as_unit("us")

        def per_day(found: pd.Series) -> pd.Series:
            return found.value_counts().reindex(index, fill_value=0)

        frames = []
        for kind, part in resolved.items():
            received = pd.Series(0, index=index)
            for file in self._candle_files(kind):
                landed = file.days.set_index("trading_day")
                assigned = landed["accepted"] + landed["rejected"]
                received += assigned.reindex(index, fill_value=0)
            quarantined = per_day(rejected.loc[rejected["kind"] == kind, "trading_day"])
            frames.append(
                pd.DataFrame(
                    {
                        "kind": kind,
                        "trading_day": index,
                        "received": received.to_numpy(),
                        "accepted": per_day(part.accepted["trading_day"]).to_numpy(),
                        "quarantined": (
                            quarantined + per_day(part.quarantined["trading_day"])
                        ).to_numpy(),
                        "duplicates_ignored": per_day(part.duplicates_ignored).to_numpy(),
                        "superseded": per_day(part.revisions["trading_day"]).to_numpy(),
                    }
                )
            )
        accounting = pd.concat(frames, ignore_index=True)
        return in_contract(ACCOUNTING, accounting).sort_values(
            ["trading_day", "kind"], ignore_index=True
        )


class NoCandles(NoInput):
    """No file holds candles; ``intake`` is what there is."""

    def __init__(self, message: str, intake: Intake) -> None:
        super().__init__(message)
        self.intake = intake


def take_in(
    input: Path | None,
    landing: Path,
    sample: SampleSettings,
    moment: datetime,
    progress: Progress | None = None,
    decided: Path | None = None,
    reading: InputSettings | None = None,
) -> Intake:
    """Read every file of ``input`` (a file or a folder, searched to the bottom) that is not landed yet.

    And the file of ``decided`` corporate actions, where it is there.

    What is new is taken in at ``moment``, which has a time zone. Without an input the generated sample takes its place,
    taken in when its last day was over. Landings of files that are no longer in the input stay on disk and out of the
    result. Raises :class:`NoInput` when there is no candle file.
    """
    landing.mkdir(parents=True, exist_ok=True)
    sweep_landing(landing)
    if input is None:
        landed = [*land_sample(sample, landing, progress), *land_decided(decided, landing)]
        return _intake_of(None, landed, {})
    landed, rejections = land_files(
        input, landing, reading or InputSettings(), moment, progress, decided
    )
    return _intake_of(input, landed, unread_files(input), OutOfReach(rejections, moment))


def replay(
    input: Path, landing: Path, as_of: datetime, reading: InputSettings | None = None
) -> Intake:
    """What :func:`take_in` had taken in of ``input`` by ``as_of`` (with time zone); files are not looked at.

    Raises :class:`NoInput` when that was no candle file.
    """
    journal = Journal(landing, input)
    arrivals = arrivals_of(journal.arrivals)
    landed = counting_files(landing, arrivals, reading or InputSettings(), as_of)
    if not landed:
        first = min((arrival.moment for arrival in arrivals), default=None)
        raise NoInput(
            f"{input}: found nothing that had been taken in by {as_of:%Y-%m-%d %H:%M}, expected a moment after the "
            f"first intake ({f'{first.astimezone(as_of.tzinfo):%Y-%m-%d %H:%M:%S}' if first else 'there was none'})."
        )
    return _intake_of(input, landed, {})


def _intake_of(
    input: Path | None,
    landed: Sequence[LandedFile],
    unread: Mapping[str, str],
    out_of_reach: OutOfReach | None = None,
) -> Intake:
    try:
        intake = _read_intake(landed, unread, out_of_reach)
    except DamagedLanding as error:
        raise NoInput(str(error)) from error
    if not any(file.landing.kind in (MINUTES, DAILY) for file in landed):
        raise NoCandles(_nothing_to_read(input, landed, out_of_reach), intake)
    return intake


def _read_intake(
    landed: Sequence[LandedFile], unread: Mapping[str, str], out_of_reach: OutOfReach | None
) -> Intake:
    universe, instruments_listed = universe_of(landed)
    unassigned = [
        file.landing.rejected(None).assign(source=file.source)
        for file in landed
        if file.landing.kind not in OF_NO_USE and file.is_current
    ]
    actions, superseded_actions = facts_of(CORPORATE_ACTIONS, ACTIONS_KIND, landed, universe)
    aliases, superseded_aliases = facts_of(INSTRUMENT_ALIASES, ALIASES_KIND, landed, universe)
    unassigned += [superseded_actions, superseded_aliases]
    superseded = pd.concat([superseded_actions, superseded_aliases])["source"].value_counts()
    return Intake(
        files=listed(landed, unread, superseded.to_dict(), out_of_reach),
        derivative_underlyings=universe.underlyings,
        corporate_actions=actions,
        instrument_aliases=aliases,
        unassigned=QUARANTINE.conform(concatenate(QUARANTINE, unassigned)),
        out_of_reach=out_of_reach or OutOfReach({}),
        _landed=tuple(landed),
        _universe=universe,
        _instruments_listed=instruments_listed,
    )


def _nothing_to_read(
    input: Path | None, landed: Sequence[LandedFile], out_of_reach: OutOfReach | None
) -> str:
    reasons = [
        f"{file.listed_as}: {file.reason}" for file in landed if file.landing.kind in OF_NO_USE
    ]
    reasons += [
        f"{source}: {found.reason}"
        for source, found in (out_of_reach or OutOfReach({})).rejections.items()
    ]
    more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    found = "; ".join(reasons[:3]) + more if reasons else "found only files about instruments"
    return f"{input}: no file holds candles ({found}), expected at least one candle file."
