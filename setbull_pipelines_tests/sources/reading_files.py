"""Small input files for tests of what they are understood as."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import PurePath

from setbull_pipelines.settings import InputSettings
from setbull_pipelines.sources.candle_files import CheckedCandles
from setbull_pipelines.sources.landing_writing import Rejection
from setbull_pipelines.sources.reading import file_suffix
from setbull_pipelines.sources.understanding import Understood, understood

HEADER = "symbol,timestamp,open,high,low,close,volume"


def read(text: str | bytes, name: str = "prices.csv", **reading: object) -> Understood:
    """What a file of this name and content is understood as."""
    content = text.encode() if isinstance(text, str) else text
    return understood(content, file_suffix(PurePath(name)) or "", name, InputSettings(**reading))


def candles(text: str | bytes, name: str = "prices.csv", **reading: object) -> CheckedCandles:
    """The candles of a file that holds some."""
    found = read(text, name, **reading)
    assert isinstance(found, CheckedCandles), found
    assert len(found.accepted) + len(found.rejected) == found.received
    return found


def refused(text: str | bytes, name: str = "prices.csv", **reading: object) -> Rejection:
    """Why a file is refused."""
    found = read(text, name, **reading)
    assert isinstance(found, Rejection), found
    return found


def keys(found: CheckedCandles) -> list[str]:
    """The instruments of the accepted rows."""
    return sorted(set(found.accepted["instrument_key"].to_pylist()))


def moments(found: CheckedCandles) -> list[str]:
    """The starts of the accepted bars, on the clock of the exchange."""
    return [f"{moment:%Y-%m-%d %H:%M}" for moment in found.accepted["timestamp"].to_pylist()]


def values(found: CheckedCandles) -> list[list[float]]:
    """Open, high, low, close and volume of the accepted rows."""
    names = ["open", "high", "low", "close", "volume"]
    return [list(row.values()) for row in found.accepted.select(names).to_pylist()]


def session(
    day: str = "2025-06-02",
    first: str = "09:15",
    minutes: int = 375,
    symbol: str = "ALPHA",
    step: int = 1,
    written: str = "%Y-%m-%dT%H:%M:%S+05:30",
    volumes: list[int] | None = None,
) -> list[str]:
    """Rows under HEADER, one for each minute of a session; volumes go up and down."""
    start = datetime.fromisoformat(f"{day}T{first}")
    counts = volumes or [100 + 37 * number % 91 for number in range(minutes)]
    return [
        f"{symbol},{start + timedelta(minutes=step * number):{written}},100,101,99,100.5,{counts[number]}"
        for number in range(minutes)
    ]


def table(*rows: str, header: str = HEADER) -> str:
    """A CSV file."""
    return "\n".join([header, *rows]) + "\n"
