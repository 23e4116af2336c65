"""Which instruments and sessions are fetched, and where the files of a fetch are.

Belongs here: lists of instruments, the broker's own among them, and the folders in the data folder. Does not belong
here: asking for candles (``fetching.py``), what the broker's list looks like (``sources/upstox/master.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from setbull_pipelines.disk import replace_durably, writer_lock
from setbull_pipelines.errors import SetbullError
from setbull_pipelines.settings import Settings, UpstoxSettings
from setbull_pipelines.sources.raw_rows import UnreadableFile
from setbull_pipelines.sources.reading import SUFFIXES, file_suffix, read_rows
from setbull_pipelines.sources.universe_files import check_universe
from setbull_pipelines.sources.upstox.calls import INTERVALS, Interval
from setbull_pipelines.sources.upstox.master import (
    InvalidMaster,
    derivatives_file,
    instruments_file,
    read_master,
)

Clock = Callable[[], datetime]
"""Gives the moment in exchange time, with its zone."""
_MASTER, _MASTER_STOCKS, _MASTER_DERIVATIVES = "master", "instruments.json", "derivatives.csv"
_FEWEST_STOCKS_LEFT = 0.5
"""Share of the known stocks that a list must hold; one that was cut at its source would lose the others."""


class NoInstruments(SetbullError, ValueError):
    """It is not known what to fetch; the message says how to name it."""


def fetched_directory(settings: Settings) -> Path:
    """Where the candle files of fetched answers are: an input like any other."""
    return settings.data_directory / "fetched"


def is_source(settings: Settings) -> bool:
    """Whether the configured input is what was fetched, so that a day is there once it was asked for."""
    return settings.input is not None and Path(settings.input) == fetched_directory(settings)


def kept_directory(settings: Settings) -> Path:
    """Where answers are kept as they were received."""
    return settings.data_directory / "responses" / "upstox"


def instruments_of(path: Path) -> pd.DataFrame:
    """The instruments that a file lists (CSV, Parquet or the broker's JSON list), sorted by key."""
    suffix = file_suffix(path)
    try:
        if suffix is None:
            raise UnreadableFile(f"expected a file that ends in {', '.join(SUFFIXES)}")
        checked = check_universe(read_rows(path.read_bytes(), suffix))
    except OSError as error:
        raise NoInstruments(f"{path}: cannot be read ({error.strerror})") from None
    except UnreadableFile as error:
        raise NoInstruments(f"{path}: {error}") from None
    if len(checked.rejected):
        first = checked.rejected.iloc[0]
        raise NoInstruments(
            f"{path}: {len(checked.rejected)} of {checked.received} rows name no instrument; first line "
            f"{first['line']}: {first['reason']}"
        )
    return checked.instruments


@dataclass(frozen=True)
class RefreshedInstruments:
    """What the broker's list held, and the names of the files that changed."""

    stocks: int
    with_derivatives: int
    written: tuple[str, ...]


def refresh_instruments(settings: Settings, now: Clock) -> RefreshedInstruments:
    """Bring the files made of the broker's list of instruments up to date; unchanged ones are not touched.

    Raises ``CallFailed`` and ``InvalidMaster``, also for a list that has lost half of the stocks; the files stay
    as they were.
    """
    # Imported here for the same reason as in a fetch.
    from setbull_pipelines.sources.upstox.client import download

    folder = fetched_directory(settings) / _MASTER
    folder.mkdir(parents=True, exist_ok=True)
    url = settings.upstox.instruments_url
    with writer_lock(folder):
        master = read_master(download(settings.upstox, url))
        instruments, derivatives = folder / _MASTER_STOCKS, folder / _MASTER_DERIVATIVES
        known = len(instruments_of(instruments)) if instruments.exists() else 0
        if len(master.stocks) < known * _FEWEST_STOCKS_LEFT:
            raise InvalidMaster(
                f"{url}: found {len(master.stocks):,} stocks, expected at least half of the {known:,} known; delete "
                f"{instruments} to take them"
            )
        before = derivatives.read_bytes() if derivatives.exists() else None
        contents = {
            instruments: instruments_file(master),
            derivatives: derivatives_file(master, before, now().date()),
        }
        written = []
        for path, content in contents.items():
            if not path.exists() or path.read_bytes() != content:
                replace_durably(path, content)
                written.append(path.name)
    return RefreshedInstruments(len(master.stocks), len(master.underlyings), tuple(written))


def configured_instruments(settings: Settings) -> pd.DataFrame:
    """The instruments of the file that the settings name, else of the broker's list.

    :class:`NoInstruments` when there is neither.
    """
    if not settings.upstox.instruments:
        listed = fetched_directory(settings) / _MASTER / _MASTER_STOCKS
        if listed.exists():
            return instruments_of(listed)
        raise NoInstruments(
            "setting upstox.instruments: found no file, expected the path of a list of instruments "
            "(or --instruments on the command line, or the broker's list by --master)"
        )
    return instruments_of(Path(settings.upstox.instruments))


def configured_sessions(settings: UpstoxSettings) -> dict[Interval, int]:
    """How many sessions of each interval are kept complete."""
    return dict(zip(INTERVALS, (settings.days, settings.daily_days), strict=True))
