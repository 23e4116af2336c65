"""Intake: every input file read once, and the raw tables of any trading day from what was read.

Belongs here: finding files, telling what each is, and the rules that need several files: which instruments are
known, where every row went. Does not belong here: the rules for a single row (``candle_files.py``) and between rows of
one bar (``correcting.py``), the landing's files (``landing.py``), the warehouse, a clock.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, timedelta
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow

from setbull_pipelines.market import calendar, instruments, session_frames, session_table
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.instruments import isin_of, parse_instrument_key
from setbull_pipelines.market.session_frames import minutes_in_session
from setbull_pipelines.market.session_table import (
    CLOSING_AUCTION,
    FULL,
    SESSION_SHAPES,
    SHAPE_NOT_KNOWN,
)
from setbull_pipelines.settings import SampleSettings, fingerprint
from setbull_pipelines.sources import (
    action_layouts,
    action_purposes,
    bhavcopy_files,
    candle_files,
    corporate_files,
    decided_actions,
    derivative_files,
    raw_rows,
    response_files,
    sample,
    universe_files,
)
from setbull_pipelines.sources.arrivals import (
    Arrival,
    Content,
    DamagedJournal,
    Journal,
    counting,
    name_of_input,
)
from setbull_pipelines.sources.candle_files import (
    DAILY,
    EQUITY_SEGMENT,
    MINUTES,
    PRICE_COLUMNS,
    check_candles,
    closing_auction_hours,
    has_prices,
)
from setbull_pipelines.sources.corporate_files import (
    ACTIONS_KIND,
    ALIASES_KIND,
    check_facts,
    facts_kind,
    told_twice,
)
from setbull_pipelines.sources.correcting import Corrections, correct, differing, had_closed
from setbull_pipelines.sources.derivative_files import check_derivatives, is_derivatives
from setbull_pipelines.sources.known_contents import KnownContents
from setbull_pipelines.sources.landing import (
    DERIVATIVES_KIND,
    INSTRUMENTS_KIND,
    REJECTED_KIND,
    DamagedLanding,
    Landing,
    adopt_landing,
    land_candles,
    land_derivatives,
    land_facts,
    land_rejection,
    land_universe,
    open_landing,
    remove_landing,
)
from setbull_pipelines.sources.raw_rows import (
    SUFFIXES,
    RawRows,
    UnreadableFile,
    file_suffix,
    read_rows,
    records,
)
from setbull_pipelines.sources.universe_files import check_universe, is_universe
from setbull_pipelines.tables import (
    ACCOUNTING,
    CANDLES_1MIN,
    CANDLES_DAILY_HISTORY,
    CORPORATE_ACTIONS,
    COVERAGE,
    DERIVATIVE_UNDERLYINGS,
    INSTRUMENT_ALIASES,
    INSTRUMENTS,
    INTAKE,
    QUARANTINE,
    REVISIONS,
    Table,
)
from setbull_pipelines.tables.columns import EXCHANGE, FINAL, PROVISIONAL
from setbull_pipelines.tables.columns import MINUTES as MINUTES_SERIES
from setbull_pipelines.tables.contract import INDIA

CandleKind = Literal["minutes", "daily"]
Progress = Callable[[str, int, int], None]
"""Told the file about to be read, its number from 1, and how many files there are."""

HASH_BYTES = 16
SAMPLE_SOURCE = "generated sample"
CANDLES_SOURCE = "candles"
"""Source of an instrument that no instrument file names."""
_SERIES = {MINUTES: MINUTES_SERIES, DAILY: EXCHANGE}
_AUCTION_SHAPE = SESSION_SHAPES.index(CLOSING_AUCTION)
_VALUES = (*PRICE_COLUMNS, "volume", "open_interest")
_DAMAGED_INPUT = (
    "%s: its bytes are no longer those that were read, although nobody has written to it; restore the file. Until then "
    "what was read of it counts."
)
_log = logging.getLogger(__name__)


class NoInput(ValueError):
    """There is nothing to work on; the message names the place, what was found and what was expected."""


@dataclass(frozen=True)
class LandedRows:
    """The raw tables of one or several trading days, each satisfying its contract."""

    candles_1min: pd.DataFrame
    candles_daily_history: pd.DataFrame
    quarantine: pd.DataFrame
    accounting: pd.DataFrame
    revisions: pd.DataFrame


@dataclass(frozen=True)
class _LandedFile:
    """A file with one content; ``is_current`` is False when it has another by now.

    Of an earlier content the accepted rows count: it is what the file said. What was rejected then, the next one
    repaired.
    """

    source: str
    listed_as: str
    content_hash: str
    landing: Landing
    ingested_at: datetime
    is_current: bool = True

    @cached_property
    def days(self) -> pd.DataFrame:
        """The landing's days, by what counts of them."""
        days = self.landing.days
        return days if self.is_current else days[days["accepted"] > 0].assign(rejected=0)

    @property
    def name_in_quarantine(self) -> str:
        """Tells an earlier content from the present one, which can have rows with the same numbers."""
        if self.is_current:
            return self.source
        return f"{self.source} (its content of {self.ingested_at.isoformat()})"

    @property
    def identity(self) -> str:
        """What the rows and their provenance follow from."""
        return (
            f"{self.listed_as}|{self.content_hash}|{self.ingested_at.isoformat()}|{self.is_current}"
        )


@dataclass(frozen=True)
class _Universe:
    """The known instruments; ``keys`` is None when no file says, and then every instrument is known.

    ``underlyings`` is ``raw.derivative_underlyings``, empty when no file says who has derivatives.
    """

    keys: frozenset[str] | None
    keys_by_symbol: dict[str, str]
    underlyings: pd.DataFrame = field(default_factory=DERIVATIVE_UNDERLYINGS.empty)

    def keys_of(self, file: _LandedFile, landed: Iterable[str]) -> list[str]:
        """The keys of a file's instruments, found by symbol where the file has only symbols."""
        if not file.landing.manifest["keyed_by_symbol"]:
            return list(landed)
        return [
            self.keys_by_symbol.get(parse_instrument_key(key).identifier, key) for key in landed
        ]

    def knows(self, keys: Sequence[str]) -> np.ndarray:
        """Whether each key is an instrument of the universe."""
        return np.array([self.keys is None or key in self.keys for key in keys], bool)

    def session_shapes(self, keys: Sequence[str], day: pd.Timestamp) -> np.ndarray:
        """The session shape of each instrument on a day with a closing auction, as its position in SESSION_SHAPES."""
        stocks = np.array([key.startswith(f"{EQUITY_SEGMENT}|") for key in keys], bool)
        shapes = np.full(len(keys), SESSION_SHAPES.index(FULL))
        if self.underlyings.empty:
            shapes[stocks] = SESSION_SHAPES.index(SHAPE_NOT_KNOWN)
            return shapes
        begun = self.underlyings["first_day"] <= day
        last = self.underlyings["last_day"]
        on_day = set(self.underlyings.loc[begun & (last.isna() | (last >= day)), "instrument_key"])
        shapes[[key in on_day for key in keys]] = _AUCTION_SHAPE
        return shapes


@dataclass(frozen=True)
class Intake:
    """Everything that was taken in: tables of the whole input, and the raw tables of any day on request.

    ``files`` is ``raw.intake``, ``instruments`` ``raw.instruments``, ``coverage`` ``raw.coverage``;
    ``derivative_underlyings``, ``corporate_actions`` and ``instrument_aliases`` are the raw tables of these names;
    ``unassigned`` the rows of ``raw.quarantine`` that have no trading day.
    """

    files: pd.DataFrame
    derivative_underlyings: pd.DataFrame
    corporate_actions: pd.DataFrame
    instrument_aliases: pd.DataFrame
    unassigned: pd.DataFrame
    _landed: tuple[_LandedFile, ...]
    _universe: _Universe
    _instruments_listed: pd.DataFrame | None

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """Worked out when asked for: it reads what every file covers, and most readers want single days."""
        return _coverage(self._files_of_candles, self._universe)

    @cached_property
    def instruments(self) -> pd.DataFrame:
        """As the instrument files list them; without such a file, as the candles name them."""
        if self._instruments_listed is not None:
            return self._instruments_listed
        return _instruments_of_candles(self._files_of_candles, self.coverage)

    @property
    def _files_of_candles(self) -> list[_LandedFile]:
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

    def load_day(self, day: date) -> LandedRows:
        """The raw tables of one trading day; without rows when the input has none."""
        return self.load_days([day])[day]

    def landed_rows(self) -> dict[date, int]:
        """Accepted rows of every trading day, of all files together; known without reading rows."""
        days = [file.days for kind in (MINUTES, DAILY) for file in self._candle_files(kind)]
        rows = pd.concat(days).groupby("trading_day")["accepted"].sum()
        return {day.date(): int(count) for day, count in rows.items()}

    def load_days(self, days: Sequence[date]) -> dict[date, LandedRows]:
        """The raw tables of each of several trading days, read together."""
        wanted = sorted(set(days))
        together = self.load_range(wanted)
        by_day = {
            table.name: _split(getattr(together, table.name), wanted) for table in fields(together)
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
        resolved = {kind: self._resolve(kind, wanted) for kind in (MINUTES, DAILY)}
        rejected = self._rejected(wanted)
        quarantine = _in_contract(
            QUARANTINE,
            _concatenate(
                QUARANTINE,
                [rejected.drop(columns="kind"), *(part.quarantined for part in resolved.values())],
            ),
        ).sort_values(["trading_day", "source", "line"], ignore_index=True)
        accounting = self._account(wanted, resolved, rejected)
        return LandedRows(
            candles_1min=_in_contract(CANDLES_1MIN, resolved[MINUTES].accepted),
            candles_daily_history=_in_contract(CANDLES_DAILY_HISTORY, resolved[DAILY].accepted),
            quarantine=quarantine,
            accounting=accounting,
            revisions=_in_contract(
                REVISIONS, pd.concat([part.revisions for part in resolved.values()])
            ).sort_values(["trading_day", *REVISIONS.key], ignore_index=True),
        )

    def _candle_files(self, kind: str) -> list[_LandedFile]:
        """The files of a kind, as they arrived; those of one moment by path."""
        of_kind = [file for file in self._landed if file.landing.kind == kind]
        return sorted(of_kind, key=lambda file: file.ingested_at)

    def _resolve(self, kind: str, days: Sequence[date]) -> _Resolved:
        files = self._candle_files(kind)
        rows, keys = _gather(files, self._universe, days)
        known = self._universe.knows(keys)[rows["instrument"].to_numpy()]
        quarantined = [_unknown_rows(rows[~known], keys, files)]
        rows = rows[known]
        if kind == MINUTES:
            rows = rows.assign(session_shape=_session_shapes(rows, keys, self._universe, days))
            inside = minutes_in_session(rows["timestamp"], shapes=rows["session_shape"])
            quarantined.append(_auction_rows(rows[~inside], keys, files))
            rows = rows[inside]
        # Stable: rows of one bar stay in the order of files and lines.
        rows = rows.sort_values(
            ["trading_day", "instrument", "timestamp"], kind="stable", ignore_index=True
        )
        found = correct(rows, _VALUES)
        quarantined.append(
            _contradicted_rows(
                rows.iloc[found.contradicted],
                rows["line"].to_numpy()[found.contradicted_by],
                keys,
                files,
            )
        )
        return _Resolved(
            _accepted(rows.iloc[found.accepted], found.accepted_is_final, keys, files),
            _concatenate(QUARANTINE, quarantined),
            rows["trading_day"].iloc[found.ignored],
            _revisions(kind, rows, found, keys, files),
        )

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
        self, days: Sequence[date], resolved: dict[str, _Resolved], rejected: pd.DataFrame
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
        return _in_contract(ACCOUNTING, accounting).sort_values(
            ["trading_day", "kind"], ignore_index=True
        )


@dataclass(frozen=True)
class _Resolved:
    """Rows of one kind after the rules that need several rows; ``duplicates_ignored`` are trading days."""

    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    duplicates_ignored: pd.Series
    revisions: pd.DataFrame


def take_in(
    input: Path | None,
    landing: Path,
    sample: SampleSettings,
    moment: datetime,
    progress: Progress | None = None,
    decided: Path | None = None,
) -> Intake:
    """Read every file of ``input`` (a file or a folder, searched to the bottom) that is not landed yet.

    And the file of ``decided`` corporate actions, where it is there.

    What is new is taken in at ``moment``, which has a time zone. Without an input the generated sample takes its place,
    taken in when its last day was over. Landings of files that are no longer in the input stay on disk and out of the
    result. Raises :class:`NoInput` when there is no candle file.
    """
    landing.mkdir(parents=True, exist_ok=True)
    landed = (
        [*_land_sample(sample, landing, progress), *_land_decided(decided, landing)]
        if input is None
        else _land_files(input, landing, moment, progress, decided)
    )
    return _intake_of(input, landed)


def replay(input: Path, landing: Path, as_of: datetime) -> Intake:
    """What :func:`take_in` had taken in of ``input`` by ``as_of`` (with time zone); files are not looked at.

    Raises :class:`NoInput` when that was no candle file.
    """
    journal = Journal(landing, input)
    landed = _counting_files(landing, _arrivals(journal.arrivals), as_of)
    if not landed:
        first = min((arrival.moment for arrival in _arrivals(journal.arrivals)), default=None)
        raise NoInput(
            f"{input}: found nothing that had been taken in by {as_of:%Y-%m-%d %H:%M}, expected a moment after the "
            f"first intake ({f'{first.astimezone(as_of.tzinfo):%Y-%m-%d %H:%M:%S}' if first else 'there was none'})."
        )
    return _intake_of(input, landed)


def _intake_of(input: Path | None, landed: Sequence[_LandedFile]) -> Intake:
    try:
        return _read_intake(input, landed)
    except DamagedLanding as error:
        raise NoInput(str(error)) from error


def _read_intake(input: Path | None, landed: Sequence[_LandedFile]) -> Intake:
    universe, instruments_listed = _universe_of(landed)
    if not any(file.landing.kind in (MINUTES, DAILY) for file in landed):
        raise NoInput(_nothing_to_read(input, landed))
    unassigned = [
        file.landing.rejected(None).assign(source=file.source)
        for file in landed
        if file.landing.kind != REJECTED_KIND and file.is_current
    ]
    actions, superseded_actions = _facts(CORPORATE_ACTIONS, ACTIONS_KIND, landed, universe)
    aliases, superseded_aliases = _facts(INSTRUMENT_ALIASES, ALIASES_KIND, landed, universe)
    unassigned += [superseded_actions, superseded_aliases]
    superseded = pd.concat([superseded_actions, superseded_aliases])["source"].value_counts()
    files = pd.DataFrame(
        [_intake_row(file, superseded.get(file.source, 0)) for file in landed if file.is_current]
    )
    return Intake(
        files=INTAKE.conform(files),
        derivative_underlyings=universe.underlyings,
        corporate_actions=actions,
        instrument_aliases=aliases,
        unassigned=QUARANTINE.conform(_concatenate(QUARANTINE, unassigned)),
        _landed=tuple(landed),
        _universe=universe,
        _instruments_listed=instruments_listed,
    )


def find_files(input: Path) -> list[Path]:
    """The files that are read, sorted by path below ``input``; :class:`NoInput` when there is none."""
    if not input.exists():
        raise NoInput(f"{input}: found nothing there, expected a file or folder with candles.")
    if input.is_file():
        if file_suffix(input) is None:
            raise NoInput(f"{input}: expected a file that ends in {', '.join(SUFFIXES)}.")
        return [input]
    files = [
        path
        for path in input.rglob("*")
        if path.is_file()
        and file_suffix(path) is not None
        and not any(part.startswith(".") for part in path.relative_to(input).parts)
    ]
    if not files:
        raise NoInput(
            f"{input}: found a folder without candle files, expected files that end in "
            f"{', '.join(SUFFIXES)}."
        )
    return sorted(files, key=lambda path: path.relative_to(input).as_posix())


def source_name(input: Path, path: Path) -> str:
    """How an input file is named in ``raw.intake``: its path below the input."""
    return path.name if input.is_file() else path.relative_to(input).as_posix()


def _land_files(
    input: Path,
    landing: Path,
    moment: datetime,
    progress: Progress | None,
    decided: Path | None,
) -> list[_LandedFile]:
    files = {source_name(input, path): path for path in find_files(input)}
    if decided is not None and decided.is_file():
        files[decided_actions.SOURCE] = decided
    known = KnownContents(landing / f"known-{name_of_input(input)}.json")
    found, paths = {}, {}
    for number, (source, path) in enumerate(files.items(), start=1):
        content_hash = _readable(path, lambda path: known.hash_of(path, _content_hash))
        folder = landing / _folder_name(source, content_hash)
        if open_landing(folder) is None:
            if progress:
                progress(source, number, len(files))
            content = _readable(path, Path.read_bytes)
            # The file may have changed since: a landing is named by the content that it is of.
            read = _hash_of(content)
            if known.is_damaged(path, read):
                # What was read of it counts, by the rules of then, where that is there and whole.
                _log.warning(_DAMAGED_INPUT, path)
            else:
                content_hash, folder = read, landing / _folder_name(source, read)
                _land_content(folder, content, file_suffix(path) or "", source)
        found[source], paths[source] = Content(content_hash, folder.name), path
    known.remember()
    journal = Journal(landing, input)
    return _counting_files(
        landing,
        _arrivals(lambda: journal.note(found, moment)),
        land_again=lambda source, content_hash, folder: _land_again(
            paths[source], source, content_hash, folder
        ),
    )


def _land_again(path: Path, source: str, content_hash: str, folder: Path) -> None:
    """Write a landing anew that is damaged, if the file still has the content that it is of."""
    try:
        content = path.read_bytes()
    except OSError:
        return
    if _hash_of(content) == content_hash:
        remove_landing(folder)
        _land_content(folder, content, file_suffix(path) or "", source)


def _readable(path: Path, look: Callable[[Path], Any]) -> Any:
    try:
        return look(path)
    except OSError as error:
        raise NoInput(
            f"{path}: cannot be read ({error.strerror}), expected a readable file."
        ) from error


def _hash_of(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=HASH_BYTES).hexdigest()


def _content_hash(path: Path) -> str:
    return _hash_of(path.read_bytes())


def _arrivals(read: Callable[[], list[Arrival]]) -> list[Arrival]:
    try:
        return read()
    except DamagedJournal as error:
        raise NoInput(str(error)) from error


def _folder_name(source: str, content_hash: str) -> str:
    """The landing of a content that is read by the rules of now."""
    suffix = file_suffix(Path(source)) or ""
    # The body of a response names no instrument: equal bodies can be of two.
    named = response_files.instrument_in_path(source) if suffix.startswith(".json") else None
    named = named or action_layouts.symbol_in_name(source)
    return f"{content_hash}-{_reading_fingerprint(suffix + (named or ''))}"


def _counting_files(
    landing: Path,
    arrivals: Sequence[Arrival],
    as_of: datetime | None = None,
    land_again: Callable[[str, str, Path], None] | None = None,
) -> list[_LandedFile]:
    """The files that count at a moment, by path, and of candle files also their earlier contents.

    An earlier content cannot be read again: where the rules have changed since, its rows are as judged then.
    ``land_again`` writes the folder of a file with a content hash anew, for as long as the file is in the input.
    """
    landed = []
    for source, of_source in sorted(counting(arrivals, as_of).items()):
        for arrival in of_source:
            content, is_current = arrival.content, arrival is of_source[-1]
            by_now = landing / _folder_name(source, content.content_hash)
            again = None
            if is_current and land_again:
                again = partial(land_again, source, content.content_hash, by_now)
            then = landing / content.landing
            read = open_landing(by_now, again) or open_landing(then) or adopt_landing(then)
            if read is None:
                raise NoInput(
                    f"{landing / content.landing}: found nothing whole, expected what was read of {source} on "
                    f"{arrival.moment:%Y-%m-%d}; restore it, or take the file out of the input for one run, so that "
                    "its earlier contents no longer count."
                )
            if is_current or read.kind in (MINUTES, DAILY):
                landed.append(
                    _LandedFile(
                        source, source, content.content_hash, read, arrival.moment, is_current
                    )
                )
    return landed


def _reading_fingerprint(suffix: str) -> str:
    """Changes with the code and calendar that judge rows, so that nothing is remembered by outdated rules."""
    return _fingerprint_of_rules(suffix, NSE.revision)


@cache
def _fingerprint_of_rules(suffix: str, calendar_revision: str) -> str:
    digest = hashlib.blake2b(f"{suffix}{calendar_revision}".encode(), digest_size=4)
    for module in (
        raw_rows,
        candle_files,
        corporate_files,
        action_layouts,
        action_purposes,
        universe_files,
        derivative_files,
        bhavcopy_files,
        response_files,
        instruments,
        calendar,
        session_frames,
        session_table,
    ):
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()


def _land_content(folder: Path, content: bytes, suffix: str, source: str) -> Landing:
    try:
        rows = read_rows(content, suffix)
        if suffix.startswith(".json") and response_files.is_response(rows.names):
            rows = response_files.as_candles(rows, source)
        rows = action_layouts.with_symbol(rows, source)
        return _land_rows(folder, rows)
    except UnreadableFile as error:
        return land_rejection(folder, str(error))


def _land_rows(folder: Path, rows: RawRows) -> Landing:
    if bhavcopy_files.is_bhavcopy(rows.names):
        rows = bhavcopy_files.as_candles(rows)
        return land_candles(folder, check_candles(rows, bhavcopy_files.SERIES))
    if has_prices(rows.names):
        return land_candles(folder, check_candles(rows))
    if is_derivatives(rows.names):
        return land_derivatives(folder, check_derivatives(rows))
    if facts_kind(rows.names):
        return land_facts(folder, check_facts(rows))
    if is_universe(rows.names):
        return land_universe(folder, check_universe(rows))
    raise UnreadableFile(
        f"found the columns {', '.join(rows.names)}, expected candles "
        f"({', '.join(candle_files.REQUIRED_COLUMNS)} and instrument_key or symbol), instruments "
        f"(instrument_key or symbol and one of {', '.join(universe_files.FACT_COLUMNS)}), stocks with "
        f"derivatives (instrument_key or symbol and {derivative_files.FROM}), corporate actions "
        f"(instrument_key or symbol, {', '.join(corporate_files.ACTION_COLUMNS)}) or aliases "
        f"({', '.join(corporate_files.ALIAS_COLUMNS)})"
    )


def _land_sample(
    settings: SampleSettings, landing: Path, progress: Progress | None
) -> list[_LandedFile]:
    digest = hashlib.blake2b(inspect.getsource(sample).encode(), digest_size=16)
    digest.update(fingerprint(settings).encode())
    content_hash = digest.hexdigest()
    minutes_of = {day: f"{MINUTES} {day}" for day in sample.minute_days(settings)}
    folders = {
        name: landing / f"{content_hash}-{name.replace(' ', '-')}-{_reading_fingerprint('sample')}"
        for name in (ACTIONS_KIND, DAILY, INSTRUMENTS_KIND, *minutes_of.values())
    }

    def land_again(folder: Path) -> None:
        remove_landing(folder)
        _land_sample(settings, landing, progress)

    landings = {
        name: open_landing(folder, partial(land_again, folder)) for name, folder in folders.items()
    }

    def land(name: str, rows: RawRows) -> None:
        if progress:
            progress(f"{SAMPLE_SOURCE}: {name}", list(folders).index(name) + 1, len(folders))
        landings[name] = _land_rows(folders[name], rows)

    if None in landings.values():
        generated = sample.generate(settings, lambda day, rows: land(minutes_of[day], rows))
        land(ACTIONS_KIND, generated.corporate_actions)
        land(DAILY, generated.daily)
        land(INSTRUMENTS_KIND, generated.instruments)
    last_day = datetime.fromisoformat(settings.last_day).replace(tzinfo=ZoneInfo(INDIA))
    return [
        _LandedFile(
            SAMPLE_SOURCE,
            f"{SAMPLE_SOURCE}: {name}",
            content_hash,
            landed,
            last_day + timedelta(days=1),
        )
        for name, landed in landings.items()
        if landed is not None
    ]


def _land_decided(decided: Path | None, landing: Path) -> list[_LandedFile]:
    """The decided corporate actions beside the sample, which has no journal: taken in when they were written."""
    if decided is None or not decided.is_file():
        return []
    content = _readable(decided, Path.read_bytes)
    content_hash = _hash_of(content)
    folder = landing / _folder_name(decided.name, content_hash)
    landed = open_landing(folder) or _land_content(folder, content, ".csv", decided.name)
    source = decided_actions.SOURCE
    moment = datetime.fromtimestamp(decided.stat().st_mtime, ZoneInfo(INDIA))
    return [_LandedFile(source, source, content_hash, landed, moment)]


def _intake_row(file: _LandedFile, superseded: int) -> dict[str, Any]:
    """A row of ``raw.intake``; ``superseded`` rows were good by themselves, but a later file knows better."""
    manifest, days = file.landing.manifest, file.landing.days
    kind = file.landing.kind
    if kind == REJECTED_KIND:
        reason = f"{file.listed_as}: {manifest['reason']}."
    elif manifest["ignored_columns"]:
        reason = f"ignored columns: {', '.join(manifest['ignored_columns'])}"
    else:
        reason = manifest.get("note")
    return {
        "source": file.listed_as,
        "content_hash": file.content_hash,
        "ingested_at": file.ingested_at,
        "kind": kind,
        "reason": reason,
        "received": manifest["received"],
        "assigned": manifest["assigned"] - superseded,
        "unassigned": manifest["unassigned"] + superseded,
        "first_day": days["trading_day"].min(),
        "last_day": days["trading_day"].max(),
    }


def _nothing_to_read(input: Path | None, landed: Sequence[_LandedFile]) -> str:
    reasons = [
        f"{file.listed_as}: {file.landing.manifest['reason']}"
        for file in landed
        if file.landing.kind == REJECTED_KIND
    ]
    more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    found = "; ".join(reasons[:3]) + more if reasons else "found only files about instruments"
    return f"{input}: no file holds candles ({found}), expected at least one candle file."


def _universe_of(landed: Sequence[_LandedFile]) -> tuple[_Universe, pd.DataFrame | None]:
    """All instrument files as one: the last file counts, facts it does not state come from earlier ones."""
    files = [file for file in landed if file.landing.kind == INSTRUMENTS_KIND]
    if not files:
        return _with_underlyings(_Universe(None, {}), landed), None
    rows = pd.concat(
        [file.landing.instruments().assign(source=file.source) for file in files],
        ignore_index=True,
    )
    merged = rows.groupby("instrument_key", sort=True).last().reset_index()
    keys_by_symbol: dict[str, str] = {}
    for file in files:
        keys_by_symbol.update(file.landing.manifest["keys_by_symbol"])
    universe = _Universe(frozenset(merged["instrument_key"]), keys_by_symbol)
    return _with_underlyings(universe, landed), INSTRUMENTS.conform(merged)


def _with_underlyings(universe: _Universe, landed: Sequence[_LandedFile]) -> _Universe:
    """The universe with all lists of stocks with derivatives as one: the last file counts."""
    frames = [
        file.landing.derivatives().assign(
            instrument_key=lambda rows, file=file: universe.keys_of(file, rows["instrument_key"]),
            source=file.source,
        )
        for file in landed
        if file.landing.kind == DERIVATIVES_KIND
    ]
    rows = _concatenate(DERIVATIVE_UNDERLYINGS, frames)
    rows = rows.drop_duplicates(["instrument_key", "first_day"], keep="last")
    return replace(universe, underlyings=DERIVATIVE_UNDERLYINGS.conform(rows))


def _facts(
    table: Table, kind: str, landed: Sequence[_LandedFile], universe: _Universe
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A table of facts from all files of its kind, and the quarantine rows of those that another superseded.

    Of rows with one key the last by file and line counts; earlier ones that say the same are ignored.
    """
    parts = [table.empty().assign(line=pd.Series(dtype="int64"))]
    # What a person decided counts, whatever other files say.
    for file in sorted(landed, key=lambda file: file.source == decided_actions.SOURCE):
        if file.landing.kind == kind:
            rows = file.landing.facts().assign(source=file.source)
            keys = universe.keys_of(file, rows["instrument_key"])
            parts.append(rows.assign(instrument_key=pd.Series(keys, dtype="str")))
    rows = pd.concat(parts, ignore_index=True)
    key, facts = list(table.key), [name for name in table.column_names if name != "source"]
    quarantined = []
    if table is CORPORATE_ACTIONS:
        again = told_twice(rows)
        quarantined = [
            _told_otherwise(row, facts) for row in again[~again["is_equal"]].to_dict("records")
        ]
        rows = rows.drop(index=again.index)
    superseded, ignored = rows.duplicated(key, keep="last"), rows.duplicated(facts, keep="last")
    last = rows.loc[~superseded, [*key, "line", "source"]]
    contradicted = rows[superseded & ~ignored].merge(last, on=key, suffixes=("", "_of_last"))
    for row in contradicted.to_dict("records"):
        values = [[str(row[name])] for name in facts]
        quarantined.append(
            {
                "source": row["source"],
                "line": row["line"],
                "instrument_key": row["instrument_key"],
                "rule": "superseded",
                "reason": f"Found other values for the same {', '.join(key)} in line {row['line_of_last']} of "
                f"{row['source_of_last']}, expected one; the last by file and line counts.",
                "record": records(facts, values)[0],
            }
        )
    found = pd.DataFrame(quarantined, columns=QUARANTINE.column_names)
    return (
        table.conform(rows[~superseded].drop(columns="line")),
        # A row can state two actions; it was received once.
        _in_contract(QUARANTINE, found.drop_duplicates(["source", "line"], ignore_index=True)),
    )


def _told_otherwise(row: dict[str, Any], facts: Sequence[str]) -> dict[str, Any]:
    """The quarantine row of a "split or bonus" whose splits and bonuses another row states otherwise."""
    return {
        "source": row["source"],
        "line": row["line"],
        "instrument_key": row["instrument_key"],
        "rule": "superseded",
        "reason": f"Found {row['ratio']:g} new shares per old share, expected {row['ratio_stated']:g} by the rows that "
        "tell splits and bonuses apart, which count.",
        "record": records(facts, [[str(row[name])] for name in facts])[0],
    }


def _instruments_of_candles(files: Sequence[_LandedFile], coverage: pd.DataFrame) -> pd.DataFrame:
    last_symbols: dict[str, tuple[str, str]] = {}
    for file in files:
        for key, (moment, symbol) in file.landing.manifest["last_symbols"].items():
            last_symbols[key] = max((moment, symbol), last_symbols.get(key, ("", "")))
    keys = sorted(set(coverage["instrument_key"]))
    frame = pd.DataFrame(
        {
            "instrument_key": keys,
            "symbol": [
                last_symbols[key][1]
                if key in last_symbols
                else parse_instrument_key(key).identifier
                for key in keys
            ],
            "name": None,
            "isin": [isin_of(key) for key in keys],
            "exchange_token": None,
            "tick_size": np.nan,
            "lot_size": pd.NA,
            "series": None,
            "source": CANDLES_SOURCE,
        }
    )
    return INSTRUMENTS.conform(frame)


def _coverage(files: Sequence[_LandedFile], universe: _Universe) -> pd.DataFrame:
    """First and last day and number of distinct accepted bars per instrument and series."""
    parts = []
    for kind, series in _SERIES.items():
        of_kind = [file for file in files if file.landing.kind == kind]
        pairs, number_of = _pairs(of_kind, universe)
        if kind == DAILY:
            pairs = pairs.drop_duplicates(["trading_day", "instrument"])
        shared = pairs.duplicated(["trading_day", "instrument"], keep=False)
        if shared.any():
            # Only the bars themselves tell how many of them two files have in common.
            days = list(pairs.loc[shared, "trading_day"].dt.date.unique())
            rows, keys_of_rows = _gather(of_kind, universe, days)
            distinct = rows.drop_duplicates(["instrument", "timestamp"])
            shapes = _session_shapes(distinct, keys_of_rows, universe, days)
            distinct = distinct[minutes_in_session(distinct["timestamp"], shapes=shapes)]
            counted = distinct.groupby(["trading_day", "instrument"]).size().rename("rows")
            counted = counted.reset_index()
            counted = counted[universe.knows(keys_of_rows)[counted["instrument"]]]
            counted["instrument"] = _numbers(keys_of_rows, number_of)[counted["instrument"]]
            pairs = pd.concat([pairs[~pairs["trading_day"].isin(counted["trading_day"])], counted])
        grouped = pairs.groupby("instrument").agg(
            first_trading_day=("trading_day", "min"),
            last_trading_day=("trading_day", "max"),
            rows=("rows", "sum"),
        )
        keys = _texts(list(number_of), grouped.index.to_series())
        grouped.insert(0, "instrument_key", keys)
        parts.append(grouped.reset_index(drop=True).assign(series=series))
    return COVERAGE.conform(pd.concat(parts, ignore_index=True))


def _pairs(
    files: Sequence[_LandedFile], universe: _Universe
) -> tuple[pd.DataFrame, dict[str, int]]:
    """``rows`` per file, ``trading_day`` and known ``instrument``, which is a number; and the number of each key."""
    number_of: dict[str, int] = {}
    parts: dict[str, list[np.ndarray]] = {"trading_day": [], "instrument": [], "rows": []}
    for file in files:
        pairs = file.landing.coverage()
        if not len(pairs):
            continue
        landed = pairs["instrument_key"].combine_chunks()
        codes = landed.indices.to_numpy()
        keys = universe.keys_of(file, landed.dictionary.to_pylist())
        days = pairs["trading_day"].to_numpy().astype("datetime64[us]")
        rows = pairs["rows"].to_numpy() - _rows_in_auction(pairs, days, codes, keys, universe)
        kept = universe.knows(keys)[codes] & (rows > 0)
        instruments = _numbers(keys, number_of)[codes]
        for name, values in (("trading_day", days), ("instrument", instruments), ("rows", rows)):
            parts[name].append(values[kept])
    empty = {"trading_day": "datetime64[us]", "instrument": "int64", "rows": "int64"}
    frame = {name: np.concatenate([np.array([], empty[name]), *parts[name]]) for name in parts}
    return pd.DataFrame(frame), number_of


def _numbers(keys: Sequence[str], number_of: dict[str, int]) -> np.ndarray:
    """The number of each key; one that has none gets the next."""
    return np.array([number_of.setdefault(key, len(number_of)) for key in keys], "int64")


def _rows_in_auction(
    pairs: pyarrow.Table,
    days: np.ndarray,
    codes: np.ndarray,
    keys: Sequence[str],
    universe: _Universe,
) -> np.ndarray:
    """The rows of each pair that start after the continuous trading of their stock."""
    late = pairs["rows_in_closing_auction"].to_numpy()
    outside = np.zeros_like(late)
    for day in np.unique(days[late > 0]):
        shorter = universe.session_shapes(keys, pd.Timestamp(day)) == _AUCTION_SHAPE
        of_day = (days == day) & shorter[codes]
        outside[of_day] = late[of_day]
    return outside


def _gather(
    files: Sequence[_LandedFile], universe: _Universe, days: Sequence[date]
) -> tuple[pd.DataFrame, list[str]]:
    """Accepted rows of several files, and the sorted keys that the numbers in ``instrument`` stand for.

    ``file`` is the position among ``files``.
    """
    tables = [(file, file.landing.candles(days).unify_dictionaries()) for file in files]
    keys_of_file = [
        universe.keys_of(file, table["instrument_key"].chunk(0).dictionary.to_pylist())
        if len(table)
        else []
        for file, table in tables
    ]
    keys = sorted({key for keys in keys_of_file for key in keys})
    number_of = {key: number for number, key in enumerate(keys)}
    frames = []
    for number, ((file, table), file_keys) in enumerate(zip(tables, keys_of_file, strict=True)):
        if not len(table):
            continue
        codes = table["instrument_key"].combine_chunks().indices.to_numpy()
        numbers = np.array([number_of[key] for key in file_keys], "int64")
        frame = table.drop_columns(["instrument_key", "open_interest"]).to_pandas(
            date_as_object=False
        )
        frame["trading_day"] = frame["trading_day"].astype("datetime64[us]")
        frame["open_interest"] = table["open_interest"].to_pandas(
            types_mapper={table.schema.field("open_interest").type: pd.Int64Dtype()}.get
        )
        frame["instrument"] = numbers[codes]
        frame["file"] = number
        frame["is_provisional"] = _provisional(file, frame["trading_day"], table["instrument_key"])
        frames.append(frame)
    if not frames:
        empty = CANDLES_1MIN.without_provenance.empty().drop(columns="instrument_key")
        more = {"instrument": "int64", "line": "int64", "file": "int64", "is_provisional": "bool"}
        return empty.assign(**{name: pd.Series(dtype=dtype) for name, dtype in more.items()}), keys
    # Concatenating a single frame would copy it.
    return (pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]), keys


def _provisional(file: _LandedFile, days: pd.Series, landed_keys: Any) -> np.ndarray:
    """Which rows of a file are provisional: the rule of ``correcting``."""
    marked = file.landing.manifest["provisional"]
    provisional = np.zeros(len(days), bool)
    for day in days.unique():
        if not had_closed(day.date(), file.ingested_at):
            provisional |= (days == day).to_numpy()
        elif keys := marked.get(day.date().isoformat()):
            provisional |= ((days == day) & landed_keys.to_pandas().isin(keys)).to_numpy()
    return provisional


def _accepted(
    rows: pd.DataFrame, is_final: np.ndarray, keys: Sequence[str], files: Sequence[_LandedFile]
) -> pd.DataFrame:
    """Accepted rows under their keys and with where they are from."""
    accepted = rows.drop(columns=["line", "file", "instrument", "is_provisional"])
    accepted.insert(0, "instrument_key", _texts(keys, rows["instrument"]))
    return accepted.assign(
        source=_texts([file.source for file in files], rows["file"]),
        ingested_at=_moments(files, rows["file"]),
        state=_texts([PROVISIONAL, FINAL], pd.Series(is_final, rows.index).astype("int8")),
    )


def _revisions(
    kind: str,
    rows: pd.DataFrame,
    found: Corrections,
    keys: Sequence[str],
    files: Sequence[_LandedFile],
) -> pd.DataFrame:
    """``raw.revisions`` of one kind, from what was decided about its rows."""
    if not len(found.old):
        return REVISIONS.empty()
    old = rows.iloc[found.old].reset_index(drop=True)
    new = rows.iloc[found.new].reset_index(drop=True)
    changed = differing(rows, found.old, found.new, _VALUES)
    sources = [file.source for file in files]
    return pd.DataFrame(
        {
            "kind": kind,
            "instrument_key": _texts(keys, old["instrument"]),
            "timestamp": old["timestamp"],
            "revision": found.number,
            "trading_day": old["trading_day"],
            "changed": [
                ", ".join(name for name, differs in zip(_VALUES, row, strict=True) if differs)
                for row in changed.to_numpy(bool)
            ],
            **{
                f"{which}_{name}": side[name]
                for name in _VALUES
                for which, side in (("old", old), ("new", new))
            },
            "known_since": _moments(files, old["file"]),
            "revised_at": _moments(files, new["file"]),
            "old_source": _texts(sources, old["file"]),
            "new_source": _texts(sources, new["file"]),
            "old_state": np.where(found.old_is_final, FINAL, PROVISIONAL),
            "new_state": np.where(new["is_provisional"], PROVISIONAL, FINAL),
        }
    )


def _moments(files: Sequence[_LandedFile], numbers: pd.Series) -> pd.Series:
    moments = pd.DatetimeIndex([file.ingested_at for file in files], tz=INDIA).as_unit("us")
    return pd.Series(moments.take(numbers.to_numpy()), index=numbers.index)


def _unknown_rows(
    rows: pd.DataFrame, keys: Sequence[str], files: Sequence[_LandedFile]
) -> pd.DataFrame:
    found = _texts(keys, rows["instrument"])
    reason = [
        f"Found the instrument {key!r}, expected one that the instrument files list."
        for key in found
    ]
    rule, column = "unknown instrument", "instrument_key"
    return _quarantine_rows(rows, found, files, rule, column, found, reason)


def _session_shapes(
    rows: pd.DataFrame, keys: Sequence[str], universe: _Universe, days: Sequence[date]
) -> pd.Series:
    """The session shape of each row that :func:`_gather` found for ``days``."""
    shapes = np.full(len(rows), SESSION_SHAPES.index(FULL))
    numbers = rows["instrument"].to_numpy()
    for day in map(pd.Timestamp, filter(NSE.has_closing_auction, days)):
        of_day = (rows["trading_day"] == day).to_numpy()
        shapes[of_day] = universe.session_shapes(keys, day)[numbers[of_day]]
    return pd.Series(SESSION_SHAPES, dtype="str").take(shapes).set_axis(rows.index)


def _auction_rows(
    rows: pd.DataFrame, keys: Sequence[str], files: Sequence[_LandedFile]
) -> pd.DataFrame:
    found = rows["timestamp"].dt.strftime("%H:%M")
    reason = [
        f"Found a bar at {clock} of a stock with derivatives, expected continuous trading; "
        f"the {closing_auction_hours()} is in the official close only."
        for clock in found
    ]
    keys_found = _texts(keys, rows["instrument"])
    return _quarantine_rows(rows, keys_found, files, CLOSING_AUCTION, "timestamp", found, reason)


def _contradicted_rows(
    rows: pd.DataFrame, lines: np.ndarray, keys: Sequence[str], files: Sequence[_LandedFile]
) -> pd.DataFrame:
    reason = [
        f"Found other values for the same bar in line {line} of the same file, expected one; the last line counts."
        for line in lines
    ]
    found = _texts(keys, rows["instrument"])
    return _quarantine_rows(rows, found, files, "superseded", None, None, reason)


def _quarantine_rows(
    rows: pd.DataFrame,
    keys: pd.Series,
    files: Sequence[_LandedFile],
    rule: str,
    column: str | None,
    value: pd.Series | None,
    reason: list[str],
) -> pd.DataFrame:
    names = ["instrument_key", "timestamp", *_VALUES]
    texts = [
        list(keys),
        [moment.isoformat() for moment in rows["timestamp"]],
        *(
            [None if number is pd.NA else str(number) for number in rows[name].tolist()]
            for name in _VALUES
        ),
    ]
    return pd.DataFrame(
        {
            "source": _texts([file.name_in_quarantine for file in files], rows["file"]).to_numpy(),
            "line": rows["line"].to_numpy(),
            "trading_day": rows["trading_day"].to_numpy(),
            "instrument_key": keys.to_numpy(),
            "rule": rule,
            "column": column,
            "value": None if value is None else value.to_numpy(),
            "reason": reason,
            "record": records(names, texts),
        }
    )


def _texts(values: Sequence[str], numbers: pd.Series) -> pd.Series:
    """The texts that numbers stand for, with the index of the numbers."""
    taken = pd.Series(values, dtype="str").take(numbers.to_numpy())
    return taken.set_axis(numbers.index)


def _concatenate(table: Table, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else table.empty()


def _in_contract(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """Column order and types of the contract; the order of the rows is kept."""
    return frame[table.column_names].astype(
        {column.name: column.kind.pandas_dtype for column in table.columns}
    )


def _split(frame: pd.DataFrame, days: Sequence[date]) -> list[pd.DataFrame]:
    """The rows of each day of a frame that is sorted by trading day."""
    found = frame["trading_day"].to_numpy("datetime64[us]")
    wanted = np.array(days, "datetime64[D]").astype("datetime64[us]")
    starts, ends = np.searchsorted(found, wanted), np.searchsorted(found, wanted, side="right")
    return [
        frame.iloc[start:end].reset_index(drop=True)
        for start, end in zip(starts, ends, strict=True)
    ]
