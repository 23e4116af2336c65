"""Intake: every input file read once, and the raw tables of any trading day from what was read.

Belongs here: finding files, telling what each is, and the rules that need several rows or files: which
revision of a bar counts, which instruments are known, where every row went. Does not belong here: the rules
for a single row (``candle_files.py``), the landing's files (``landing.py``), the warehouse.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

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
    bhavcopy_files,
    candle_files,
    corporate_files,
    derivative_files,
    raw_rows,
    response_files,
    sample,
    universe_files,
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
)
from setbull_pipelines.sources.derivative_files import check_derivatives, is_derivatives
from setbull_pipelines.sources.landing import (
    DERIVATIVES_KIND,
    INSTRUMENTS_KIND,
    REJECTED_KIND,
    Landing,
    land_candles,
    land_derivatives,
    land_facts,
    land_rejection,
    land_universe,
    open_landing,
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
    Table,
)
from setbull_pipelines.tables.columns import EXCHANGE
from setbull_pipelines.tables.columns import MINUTES as MINUTES_SERIES

CandleKind = Literal["minutes", "daily"]
Progress = Callable[[str, int, int], None]
"""Told the file about to be read, its number from 1, and how many files there are."""

HASH_BYTES = 16
SAMPLE_SOURCE = "generated sample"
CANDLES_SOURCE = "candles"
"""Source of an instrument that no instrument file names."""
_SERIES = {MINUTES: MINUTES_SERIES, DAILY: EXCHANGE}
_VALUES = (*PRICE_COLUMNS, "volume", "open_interest")


class NoInput(ValueError):
    """There is nothing to work on; the message names the place, what was found and what was expected."""


@dataclass(frozen=True)
class LandedDay:
    """The raw tables of one trading day, each satisfying its contract."""

    candles_1min: pd.DataFrame
    candles_daily_history: pd.DataFrame
    quarantine: pd.DataFrame
    accounting: pd.DataFrame


@dataclass(frozen=True)
class _LandedFile:
    source: str
    listed_as: str
    content_hash: str
    landing: Landing


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
        shapes[[key in on_day for key in keys]] = SESSION_SHAPES.index(CLOSING_AUCTION)
        return shapes


@dataclass(frozen=True)
class Intake:
    """Everything that was taken in: tables of the whole input, and the raw tables of any day on request.

    ``files`` is ``raw.intake``, ``instruments`` ``raw.instruments``, ``coverage`` ``raw.coverage``;
    ``derivative_underlyings``, ``corporate_actions`` and ``instrument_aliases`` are the raw tables of these names;
    ``unassigned`` the rows of ``raw.quarantine`` that have no trading day.
    """

    files: pd.DataFrame
    instruments: pd.DataFrame
    derivative_underlyings: pd.DataFrame
    coverage: pd.DataFrame
    corporate_actions: pd.DataFrame
    instrument_aliases: pd.DataFrame
    unassigned: pd.DataFrame
    _landed: tuple[_LandedFile, ...]
    _universe: _Universe

    def days(self, kind: CandleKind) -> list[date]:
        """Trading days with rows of the kind, accepted or quarantined, in order."""
        return sorted(
            {
                day
                for file in self._candle_files(kind)
                for day in file.landing.days["trading_day"].dt.date
            }
        )

    @property
    def first_day(self) -> date | None:
        """First trading day with rows of either kind; None when no row has a trading day."""
        return min((*self.days(MINUTES)[:1], *self.days(DAILY)[:1]), default=None)

    @property
    def last_day(self) -> date | None:
        """Last trading day with rows of either kind; None when no row has a trading day."""
        return max((*self.days(MINUTES)[-1:], *self.days(DAILY)[-1:]), default=None)

    def load_day(self, day: date) -> LandedDay:
        """The raw tables of one trading day; without rows when the input has none."""
        return self.load_days([day])[day]

    def load_days(self, days: Sequence[date]) -> dict[date, LandedDay]:
        """The raw tables of several trading days, read together.

        Of bars with equal instrument and timestamp the last one counts, files ordered by path, rows by line.
        Earlier ones are ignored when they say the same, else quarantined as ``superseded``.
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
        parts = {
            "candles_1min": _in_contract(CANDLES_1MIN, resolved[MINUTES].accepted),
            "candles_daily_history": _in_contract(CANDLES_DAILY_HISTORY, resolved[DAILY].accepted),
            "quarantine": quarantine,
            "accounting": accounting,
        }
        by_day = {name: _split(frame, wanted) for name, frame in parts.items()}
        return {
            day: LandedDay(**{name: frames[number] for name, frames in by_day.items()})
            for number, day in enumerate(wanted)
        }

    def _candle_files(self, kind: str) -> list[_LandedFile]:
        return [file for file in self._landed if file.landing.kind == kind]

    def _resolve(self, kind: str, days: Sequence[date]) -> _Resolved:
        rows, keys = _gather(self._candle_files(kind), self._universe, days)
        known = self._universe.knows(keys)[rows["instrument"].to_numpy()]
        unknown = _unknown_rows(rows[~known], keys)
        rows = rows[known]
        quarantined = [unknown]
        if kind == MINUTES:
            rows = rows.assign(session_shape=_session_shapes(rows, keys, self._universe, days))
            inside = minutes_in_session(rows["timestamp"], shapes=rows["session_shape"])
            quarantined.append(_auction_rows(rows[~inside], keys))
            rows = rows[inside]
        # Stable: rows of one bar stay in the order of files and lines.
        rows = rows.sort_values(["trading_day", "instrument", "timestamp"], kind="stable")
        earlier = rows.duplicated(["instrument", "timestamp"], keep="last").to_numpy()
        rank = np.arange(len(rows))
        last_of_bar = np.minimum.accumulate(np.where(earlier, len(rows), rank)[::-1])[::-1]
        says_the_same = _equal_rows(rows, rows.iloc[last_of_bar])
        superseded = earlier & ~says_the_same
        revised = _superseded_rows(rows[superseded], rows.iloc[last_of_bar[superseded]], keys)
        accepted = rows[~earlier].drop(columns=["line", "file"])
        accepted.insert(0, "instrument_key", _texts(keys, accepted.pop("instrument")))
        ignored = rows.loc[earlier & says_the_same, "trading_day"]
        quarantined.append(revised)
        return _Resolved(accepted, _concatenate(QUARANTINE, quarantined), ignored)

    def _rejected(self, days: Sequence[date]) -> pd.DataFrame:
        parts = [
            file.landing.rejected(days).assign(source=file.source, kind=file.landing.kind)
            for file in self._landed
            if file.landing.kind in (MINUTES, DAILY)
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
                landed = file.landing.days.set_index("trading_day")
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


def take_in(
    input: Path | None,
    landing: Path,
    sample: SampleSettings,
    progress: Progress | None = None,
) -> Intake:
    """Read every file of ``input`` (a file or a folder, searched to the bottom) that is not landed yet.

    Without an input the generated sample takes its place. Landings of files that are no longer in the
    input stay on disk and out of the result. Raises :class:`NoInput` when there is no candle file.
    """
    landing.mkdir(parents=True, exist_ok=True)
    landed = (
        _land_sample(sample, landing, progress)
        if input is None
        else _land_files(input, landing, progress)
    )
    universe, instruments_listed = _universe_of(landed)
    candle_files_landed = [file for file in landed if file.landing.kind in (MINUTES, DAILY)]
    if not candle_files_landed:
        raise NoInput(_nothing_to_read(input, landed))
    unassigned = [
        file.landing.rejected(None).assign(source=file.source)
        for file in landed
        if file.landing.kind != REJECTED_KIND
    ]
    coverage = _coverage(candle_files_landed, universe)
    actions, superseded_actions = _facts(CORPORATE_ACTIONS, ACTIONS_KIND, landed, universe)
    aliases, superseded_aliases = _facts(INSTRUMENT_ALIASES, ALIASES_KIND, landed, universe)
    unassigned += [superseded_actions, superseded_aliases]
    superseded = pd.concat([superseded_actions, superseded_aliases])["source"].value_counts()
    files = pd.DataFrame([_intake_row(file, superseded.get(file.source, 0)) for file in landed])
    return Intake(
        files=INTAKE.conform(files),
        instruments=(
            _instruments_of_candles(candle_files_landed, coverage)
            if instruments_listed is None
            else instruments_listed
        ),
        derivative_underlyings=universe.underlyings,
        coverage=coverage,
        corporate_actions=actions,
        instrument_aliases=aliases,
        unassigned=QUARANTINE.conform(_concatenate(QUARANTINE, unassigned)),
        _landed=tuple(landed),
        _universe=universe,
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


def _land_files(input: Path, landing: Path, progress: Progress | None) -> list[_LandedFile]:
    files = find_files(input)
    landed = []
    for number, path in enumerate(files, start=1):
        source = source_name(input, path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise NoInput(
                f"{path}: cannot be read ({error.strerror}), expected a readable file."
            ) from error
        content_hash = hashlib.blake2b(content, digest_size=HASH_BYTES).hexdigest()
        suffix = file_suffix(path) or ""
        # The body of a response names no instrument: equal bodies can be of two.
        named = response_files.instrument_in_path(source) if suffix.startswith(".json") else None
        folder = landing / f"{content_hash}-{_reading_fingerprint(suffix + (named or ''))}"
        file_landing = open_landing(folder)
        if file_landing is None:
            if progress:
                progress(source, number, len(files))
            file_landing = _land_content(folder, content, suffix, source)
        landed.append(_LandedFile(source, source, content_hash, file_landing))
    return landed


@cache
def _reading_fingerprint(suffix: str) -> str:
    """Changes with the code and calendar that judge rows, so that nothing is remembered by outdated rules."""
    digest = hashlib.blake2b(suffix.encode(), digest_size=4)
    for module in (
        raw_rows,
        candle_files,
        corporate_files,
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
    kinds = (ACTIONS_KIND, DAILY, INSTRUMENTS_KIND, MINUTES)
    folders = {
        kind: landing / f"{content_hash}-{kind}-{_reading_fingerprint('sample')}" for kind in kinds
    }
    landings = {kind: open_landing(folder) for kind, folder in folders.items()}
    if progress:
        progress(SAMPLE_SOURCE, 1, 1)
    if None in landings.values():
        generated = sample.generate(settings)
        landings = {
            kind: _land_rows(folders[kind], rows)
            for kind, rows in (
                (ACTIONS_KIND, generated.corporate_actions),
                (DAILY, generated.daily),
                (INSTRUMENTS_KIND, generated.instruments),
                (MINUTES, generated.minutes),
            )
        }
    return [
        _LandedFile(SAMPLE_SOURCE, f"{SAMPLE_SOURCE}: {kind}", content_hash, landed)
        for kind, landed in landings.items()
        if landed is not None
    ]


def _intake_row(file: _LandedFile, superseded: int) -> dict[str, Any]:
    """A row of ``raw.intake``; ``superseded`` rows were good by themselves, but a later file knows better."""
    manifest, days = file.landing.manifest, file.landing.days
    kind = file.landing.kind
    if kind == REJECTED_KIND:
        reason = f"{file.listed_as}: {manifest['reason']}."
    elif manifest["ignored_columns"]:
        reason = f"ignored columns: {', '.join(manifest['ignored_columns'])}"
    else:
        reason = None
    return {
        "source": file.listed_as,
        "content_hash": file.content_hash,
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
    for file in landed:
        if file.landing.kind == kind:
            rows = file.landing.facts().assign(source=file.source)
            keys = universe.keys_of(file, rows["instrument_key"])
            parts.append(rows.assign(instrument_key=pd.Series(keys, dtype="str")))
    rows = pd.concat(parts, ignore_index=True)
    key, facts = list(table.key), [name for name in table.column_names if name != "source"]
    superseded, ignored = rows.duplicated(key, keep="last"), rows.duplicated(facts, keep="last")
    last = rows.loc[~superseded, [*key, "line", "source"]]
    contradicted = rows[superseded & ~ignored].merge(last, on=key, suffixes=("", "_of_last"))
    quarantined = []
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
    return (
        table.conform(rows[~superseded].drop(columns="line")),
        _in_contract(QUARANTINE, pd.DataFrame(quarantined, columns=QUARANTINE.column_names)),
    )


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
        pairs = pd.concat([_pairs(file, universe) for file in of_kind] or [_NO_PAIRS])
        shared = pairs.duplicated(["trading_day", "instrument_key"], keep=False)
        if shared.any():
            # Only the bars themselves tell how many of them two files have in common.
            days = list(pairs.loc[shared, "trading_day"].dt.date.unique())
            rows, keys = _gather(of_kind, universe, days)
            distinct = rows.drop_duplicates(["instrument", "timestamp"])
            if kind == MINUTES:
                shapes = _session_shapes(distinct, keys, universe, days)
                distinct = distinct[minutes_in_session(distinct["timestamp"], shapes=shapes)]
            counted = distinct.groupby(["trading_day", "instrument"]).size().rename("rows")
            counted = counted.reset_index()
            counted["instrument_key"] = _texts(keys, counted.pop("instrument"))
            counted = counted[universe.knows(list(counted["instrument_key"]))]
            pairs = pd.concat([pairs[~pairs["trading_day"].isin(counted["trading_day"])], counted])
        grouped = pairs.groupby("instrument_key").agg(
            first_trading_day=("trading_day", "min"),
            last_trading_day=("trading_day", "max"),
            rows=("rows", "sum"),
        )
        parts.append(grouped.reset_index().assign(series=series))
    return COVERAGE.conform(pd.concat(parts, ignore_index=True))


_NO_PAIRS = pd.DataFrame(
    {
        "trading_day": pd.Series(dtype="datetime64[us]"),
        "instrument_key": pd.Series(dtype="str"),
        "rows": pd.Series(dtype="int64"),
    }
)


def _pairs(file: _LandedFile, universe: _Universe) -> pd.DataFrame:
    pairs = file.landing.coverage()
    landed = pairs["instrument_key"].unique()
    keys = universe.keys_of(file, landed)
    known = universe.knows(keys)
    key_of = dict(zip(landed, keys, strict=True))
    pairs = pairs[pairs["instrument_key"].isin(landed[known])]
    pairs = pairs.assign(instrument_key=pairs["instrument_key"].map(key_of))
    late = pairs[pairs["rows_in_closing_auction"] > 0]
    for day, of_day in late.groupby("trading_day"):
        shapes = universe.session_shapes(list(of_day["instrument_key"]), day)
        shorter = of_day.index[shapes == SESSION_SHAPES.index(CLOSING_AUCTION)]
        pairs.loc[shorter, "rows"] -= pairs.loc[shorter, "rows_in_closing_auction"]
    return pairs[pairs["rows"] > 0]


def _gather(
    files: Sequence[_LandedFile], universe: _Universe, days: Sequence[date]
) -> tuple[pd.DataFrame, list[str]]:
    """Accepted rows of several files, and the sorted keys that the numbers in ``instrument`` stand for."""
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
    for (file, table), file_keys in zip(tables, keys_of_file, strict=True):
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
        frame["source"] = file.source
        frame["file"] = file.listed_as
        frames.append(frame)
    if not frames:
        empty = CANDLES_1MIN.empty().drop(columns="instrument_key")
        numbers_only = {"instrument": "int64", "line": "int64", "file": "str"}
        return empty.assign(
            **{name: pd.Series(dtype=dtype) for name, dtype in numbers_only.items()}
        ), keys
    return pd.concat(frames, ignore_index=True), keys


def _equal_rows(left: pd.DataFrame, right: pd.DataFrame) -> np.ndarray:
    """Row by row, whether the values of two candles are the same; no value equals no value."""
    equal = np.ones(len(left), bool)
    for name in _VALUES:
        one, other = (
            left[name].to_numpy("float64", na_value=np.nan),
            right[name].to_numpy("float64", na_value=np.nan),
        )
        equal &= (one == other) | (np.isnan(one) & np.isnan(other))
    return equal


def _unknown_rows(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    found = _texts(keys, rows["instrument"])
    reason = [
        f"Found the instrument {key!r}, expected one that the instrument files list."
        for key in found
    ]
    return _quarantine_rows(rows, found, "unknown instrument", "instrument_key", found, reason)


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


def _auction_rows(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    found = rows["timestamp"].dt.strftime("%H:%M")
    reason = [
        f"Found a bar at {clock} of a stock with derivatives, expected continuous trading; "
        f"the {closing_auction_hours()} is in the official close only."
        for clock in found
    ]
    keys_found = _texts(keys, rows["instrument"])
    return _quarantine_rows(rows, keys_found, CLOSING_AUCTION, "timestamp", found, reason)


def _superseded_rows(
    rows: pd.DataFrame, revisions: pd.DataFrame, keys: Sequence[str]
) -> pd.DataFrame:
    reason = [
        f"Found another revision of the same bar in line {line} of {source}, expected one; "
        f"the last by file and line counts."
        for line, source in zip(revisions["line"], revisions["source"], strict=True)
    ]
    found = _texts(keys, rows["instrument"])
    return _quarantine_rows(rows, found, "superseded", None, None, reason)


def _quarantine_rows(
    rows: pd.DataFrame,
    keys: pd.Series,
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
            "source": rows["source"].to_numpy(),
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
