"""Candles of Shoonya and Flattrade (Noren): a list of objects with ``into``, ``inth``, ``intl``, ``intc`` and ``intv``.

``ssboe`` are epoch seconds, ``time`` the same on the clock of the exchange; ``v`` is the volume of the day so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from setbull_pipelines.sources.file_names import instrument_in
from setbull_pipelines.sources.layouts import Sample
from setbull_pipelines.sources.raw_rows import RawRows, renamed

NAME = "Shoonya"
_MEANINGS = {
    "ssboe": "timestamp",
    "into": "open",
    "inth": "high",
    "intl": "low",
    "intc": "close",
    "intv": "volume",
    "oi": "open_interest",
    "symbol": "symbol",
}


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the names, which nobody else has."""
    return {"into", "inth", "intl", "intc", "intv", "ssboe"} <= set(names)


def as_rows(rows: RawRows) -> RawRows:
    """The bar of each interval; totals of the day are left out."""
    kept = [name for name in rows.names if name in _MEANINGS]
    return replace(
        rows, columns=renamed(rows.columns.select(kept), [_MEANINGS[name] for name in kept])
    )


identity = instrument_in
