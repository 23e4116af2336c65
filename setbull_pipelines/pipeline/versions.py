"""Versions of code and inputs, as short hashes that decide whether a partition must be computed again.

Belongs here: hashing the source text that a result depends on. Does not belong here: hashing of data files
(``warehouse/``) and of settings (``settings.fingerprint``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date
from functools import cache
from pathlib import Path

from setbull_pipelines.market.calendar import NSE

_PACKAGE = Path(__file__).resolve().parents[1]


@cache
def code_version(*places: str) -> str:
    """Hash the Python sources below ``places`` (paths inside the package, folders or files).

    Taking the text itself, not a number that people must remember to raise, makes every change of a
    formula a new version.
    """
    digest = hashlib.blake2b(digest_size=8)
    for place in places:
        path = _PACKAGE / place
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(source.relative_to(_PACKAGE).as_posix().encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()


def variant_code_version(name: str) -> str:
    """Code version of everything that a variant's results depend on."""
    return code_version(
        f"variants/{name}",
        "variants/protocol.py",
        "market",
        "tables",
        "settings.py",
        "pipeline/steps.py",
        "pipeline/engine.py",
        "pipeline/choosing.py",
        "pipeline/computing.py",
        "pipeline/spans.py",
        "pipeline/windows.py",
        "pipeline/isolating.py",
        "pipeline/references.py",
        "pipeline/running.py",
        "pipeline/lanes.py",
        "pipeline/touched.py",
        "warehouse/instrument_hashes.py",
        "rollout/bucketing.py",
    )


def raw_code_version() -> str:
    """Code version of everything that the raw tables depend on."""
    return code_version("sources", "market", "tables", "pipeline/raw.py")


def combined(hashes: Iterable[str]) -> str:
    """One short hash for an ordered list of hashes."""
    digest = hashlib.blake2b(digest_size=8)
    for item in hashes:
        digest.update(item.encode())
        digest.update(b"\n")
    return digest.hexdigest()


CALENDAR = "calendar"
"""Name among the inputs of partitions of days on which the calendar file says something else than the table."""


def calendar_mark(day: date) -> dict[str, str]:
    """What to add to the inputs of a partition of a trading day: its hours, where the calendar file gives them.

    Other days have no mark, so that a new row of the file makes no partition out of date but those of its day and
    those that look back on it.
    """
    hours = NSE.amended_hours(day)
    return {CALENDAR: hours} if hours else {}
