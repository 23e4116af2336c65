"""The zone of moments that say none: told by the session that they must lie in.

Belongs here: the evidence and the decision, texts to moments. Does not belong here: the calendar (``market/``), judging
single rows (``candle_files.py``).
"""

from __future__ import annotations

import pandas as pd

from setbull_pipelines.sources.legacy.old_tables import (
    CANDLES,
    CANDLES_5MIN,
    DAY,
    CannotImport,
    Chunk,
)
from setbull_pipelines.tables.contract import INDIA

ZONES = (INDIA, "UTC")
_CLEAR = 0.99
_WITH_OFFSET = r".*\d:\d\d(?::\d\d(?:\.\d+)?)?\s*(?:Z|[+-]\d\d:?\d\d)\s*"
_HOURS = {INDIA: (9 * 60 + 15, 15 * 60 + 30), "UTC": (3 * 60 + 45, 10 * 60)}
_MIDNIGHT = {INDIA: 0, "UTC": 18 * 60 + 30}


def moments_of(found: pd.Series, zone: str) -> pd.Series:
    """Texts as moments on the exchange's clock, those without an offset as of ``zone``; NaT for what cannot be read."""
    has_offset = _has_offset(found)
    stated = pd.to_datetime(found.where(has_offset), errors="coerce", format="mixed", utc=True)
    moments = stated.where(has_offset, _without_offset(found).dt.tz_localize(zone))
    return moments.dt.tz_convert(INDIA)


def _has_offset(found: pd.Series) -> pd.Series:
    return found.astype("str").str.fullmatch(_WITH_OFFSET)


def _without_offset(found: pd.Series) -> pd.Series:
    return pd.to_datetime(found.mask(_has_offset(found)), errors="coerce", format="mixed")


def shares_inside(chunk: Chunk) -> dict[str, float] | None:
    """By zone, the share of moments that lie where the exchange's bars begin; None where the chunk has no bars."""
    if chunk.table not in (CANDLES, CANDLES_5MIN):
        return None
    moments = _without_offset(chunk.rows["timestamp"])
    if moments.isna().all():
        return None
    clock = moments.dt.hour * 60 + moments.dt.minute
    interval = chunk.rows.get("time_interval")
    is_daily = pd.Series(False, chunk.rows.index) if interval is None else interval == DAY
    found = {}
    for zone in ZONES:
        first, end = _HOURS[zone]
        inside = ((clock >= first) & (clock < end)).where(~is_daily, clock == _MIDNIGHT[zone])
        found[zone] = float(inside[moments.notna()].mean())
    return found


def zone_of(chunk: Chunk, states_utc: bool) -> str | None:
    """The zone of a stream with this first chunk of bars; None where it has none. Raises CannotImport in doubt."""
    shares = shares_inside(chunk)
    if shares is None:
        return None
    clear = [zone for zone, share in shares.items() if share >= _CLEAR]
    told = ", ".join(f"{share:.1%} in {zone}" for zone, share in shares.items())
    if states_utc and clear != [INDIA]:
        return "UTC"
    if states_utc:
        raise CannotImport(
            f"{chunk.stream}: its moments are stated in UTC, but lie in session hours only when read as {INDIA} "
            f"({told}); say which it is: --timezone {INDIA} or --timezone UTC"
        )
    if len(clear) != 1:
        raise CannotImport(
            f"{chunk.stream}: the zone of its moments cannot be told, in session hours are {told}; say which it is: "
            f"--timezone {INDIA} or --timezone UTC"
        )
    return clear[0]
