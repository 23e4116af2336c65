"""What a file is taken for: the one place where bytes become judged rows, or a reason why not.

Belongs here: which reading, which layout, which rules, in this order, and saying so. Does not belong here: any of them;
keeping what was read (``landing.py``).
"""

from __future__ import annotations

import json
import logging
import shlex
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pyarrow

from setbull_pipelines.settings import InputSettings
from setbull_pipelines.sources import (
    action_layouts,
    candle_files,
    corporate_files,
    derivative_files,
    universe_files,
)
from setbull_pipelines.sources.candle_files import CheckedCandles, check_candles
from setbull_pipelines.sources.corporate_files import CheckedFacts, check_facts, facts_kind
from setbull_pipelines.sources.delimited import proposed_names
from setbull_pipelines.sources.derivative_files import (
    CheckedDerivatives,
    check_derivatives,
    is_derivatives,
)
from setbull_pipelines.sources.exchange_lists import why_not_input
from setbull_pipelines.sources.file_names import NO_INSTRUMENT, question, said_by_settings
from setbull_pipelines.sources.landing import Landing
from setbull_pipelines.sources.landing_writing import (
    Rejection,
    land_candles,
    land_derivatives,
    land_facts,
    land_rejection,
    land_universe,
)
from setbull_pipelines.sources.layouts import Layout, layout_of, plain
from setbull_pipelines.sources.raw_rows import NotATable, RawRows, UnreadableFile, column_names
from setbull_pipelines.sources.reading import read_rows
from setbull_pipelines.sources.universe_files import CheckedUniverse, check_universe, is_universe

_log = logging.getLogger(__name__)


Understood = CheckedCandles | CheckedUniverse | CheckedDerivatives | CheckedFacts | Rejection


def understood(content: bytes, suffix: str, source: str, reading: InputSettings) -> Understood:
    """The judged rows of a file; whatever is wrong with it is part of the answer and never raised."""
    try:
        rows = read_rows(content, suffix, reading)
        # What is judged is the rows; a large file would be held twice.
        del content
        return judged(rows, source, reading)
    except UnreadableFile as error:
        # Notes and licences have this suffix as well.
        is_other = isinstance(error, NotATable) and suffix.startswith(".txt")
        return Rejection(
            str(error), is_other, error.rule, error.line, error.value, error.count, error.paste
        )
    except (OSError, MemoryError):
        raise  # of this machine, not of the file: another time it may be read
    except Exception as error:
        # One file never stops the others, also where it finds a fault of this program.
        _log.exception("%s: cannot be read", source)
        return Rejection(
            f"found content that this version cannot read ({type(error).__name__}: {str(error)[:200]}); this is a "
            "fault of the program: please report it",
            rule="fault of the program",
        )


def judged(rows: RawRows, source: str, reading: InputSettings) -> Understood:
    """The rows of a file, judged as what they are; raises :class:`UnreadableFile`."""
    rows = action_layouts.with_symbol(_with_named_columns(rows, reading), source)
    if is_derivatives(rows.names):
        return check_derivatives(rows)
    layout = layout_of(rows)
    if layout:
        return check_candles(_as_candles(rows, layout, source, reading), reading)
    if facts := facts_kind(rows.names):
        return check_facts(rows, facts)
    if is_universe(rows.names):
        return check_universe(rows)
    if proposed := _proposed_columns(rows):
        written = ", ".join(
            f'{json.dumps(name, ensure_ascii=False)} = "{meaning}"'
            for name, meaning in proposed.items()
        )
        option = ",".join(f"{name}={meaning}" for name, meaning in proposed.items())
        raise UnreadableFile(
            f"found the columns {', '.join(rows.names[:30])}, whose values look like candles, expected names that "
            f"say what each is; if these are right, add to the settings file: [input] columns = {{{written}}}, or "
            f"--columns {shlex.quote(option)}",
            "unknown columns",
            line=int(rows.lines[0]),
            value=", ".join(rows.names[:30]),
            paste={"columns": proposed},
        )
    if reason := why_not_input(rows.names):
        raise NotATable(reason, "list of the exchange")
    raise NotATable(
        f"found the columns {', '.join(rows.names[:30])}, expected candles "
        f"({', '.join(candle_files.REQUIRED_COLUMNS)} and instrument_key or symbol), instruments "
        f"(instrument_key or symbol and one of {', '.join(universe_files.FACT_COLUMNS)}), stocks with "
        f"derivatives (instrument_key or symbol and {derivative_files.FROM}), corporate actions "
        f"(instrument_key or symbol, {', '.join(corporate_files.ACTION_COLUMNS)}) or aliases "
        f"({', '.join(corporate_files.ALIAS_COLUMNS)}); the settings say what other names mean: [input] columns"
    )


def land(folder: Path, found: Understood) -> Landing:
    """Keep what was understood."""
    if isinstance(found, CheckedCandles):
        return land_candles(folder, found)
    if isinstance(found, CheckedUniverse):
        return land_universe(folder, found)
    if isinstance(found, CheckedDerivatives):
        return land_derivatives(folder, found)
    if isinstance(found, CheckedFacts):
        return land_facts(folder, found)
    return land_rejection(folder, found)


def _with_named_columns(rows: RawRows, reading: InputSettings) -> RawRows:
    """The rows with the names that the settings give columns; what a column was called otherwise goes."""
    said = {found.strip().lower(): name.strip().lower() for found, name in reading.columns.items()}
    renamed = [name for name in rows.names if said.get(name, name) != name]
    if not renamed:
        return rows
    given = {said[name] for name in renamed}
    table = rows.columns.select(
        [name for name in rows.names if name in renamed or name not in given]
    )
    names = [said.get(name, name) for name in table.column_names]
    told = f"columns {', '.join(f'{name} = {said[name]}' for name in renamed)}, by [input] columns"
    table = table.rename_columns(column_names(names))
    return replace(rows, columns=table, notes=(*rows.notes, told))


def _proposed_columns(rows: RawRows) -> dict[str, str]:
    """What columns of unknown names would be if their order is the usual one, where the first rows allow it."""
    sample = rows.sample()
    if not sample or not all(rows.names):
        return {}
    # A letter can be the name of anything.
    meant = plain.meanings_of(rows.names)
    known = {name: meaning for name, meaning in meant.items() if len(name) > 1}
    others = [name for name in rows.names if name not in known]
    first = [(sample[0][name] or "").strip() for name in others]
    proposed = proposed_names(first, known.values())
    meanings = known | dict(zip(others, (name for _, name in proposed), strict=True))
    names = {meaning: name for name, meaning in meanings.items()}
    if not {"open", "high", "low", "close", "volume"} <= set(names) or not {
        "timestamp",
        "date",
    } & set(names):
        return {}
    for row in sample:
        try:
            opened, high, low, close = (
                float((row[names[price]] or "").replace(",", "."))
                for price in candle_files.PRICE_COLUMNS
            )
        except ValueError:
            return {}
        if not low <= min(opened, close) <= max(opened, close) <= high:
            return {}
    kept = {"date", "time", *candle_files.KNOWN_COLUMNS}
    return {
        name: meaning for name, meaning in meanings.items() if meaning in kept and name != meaning
    }


def _refuse_moments_of_another_name(rows: RawRows) -> None:
    """Ask whether the one column that holds moments has those of the bars, where none is called so."""
    if "timestamp" in rows.names:
        return
    others = [name for name in rows.names if name not in candle_files.KNOWN_COLUMNS]
    found = [name for name in others if plain.holds_moments(rows.columns[name])]
    if len(found) == 1:
        said = f"{found[0]}=timestamp"
        raise UnreadableFile(
            f"found the columns {', '.join(rows.names[:30])}, expected also timestamp; the settings say what other "
            f'names mean: [input] columns = {{{json.dumps(found[0], ensure_ascii=False)} = "timestamp"}} (or --columns '
            f"{shlex.quote(said)}), if {found[0]} is the start of each bar",
            "missing column",
            value=", ".join(rows.names[:30]),
            paste={"columns": {found[0]: "timestamp"}},
        )


def _as_candles(rows: RawRows, layout: Layout, source: str, reading: InputSettings) -> RawRows:
    rows = layout.as_rows(rows)
    if layout.NAME != "candles":
        rows = replace(rows, notes=(layout.NAME, *rows.notes))
    if "instrument_key" in rows.names or "symbol" in rows.names:
        _refuse_moments_of_another_name(rows)
        return rows
    said = said_by_settings(source, reading)
    symbol = said or layout.identity(source)
    if symbol is None:
        what = "candles" if layout.NAME == "candles" else f"candles ({layout.NAME})"
        name = PurePosixPath(source).name
        raise UnreadableFile(
            question(source, what),
            NO_INSTRUMENT,
            value=source,
            paste={"symbols": {name: "SYMBOL"}},
        )
    _refuse_moments_of_another_name(rows)
    name = "instrument_key" if "|" in symbol else "symbol"
    column = pyarrow.chunked_array([pyarrow.array([symbol] * len(rows.lines), pyarrow.string())])
    told = f"instrument {symbol} {'by [input]' if said else 'from the file name'}"
    return replace(
        rows, columns=rows.columns.add_column(0, name, column), notes=(*rows.notes, told)
    )
