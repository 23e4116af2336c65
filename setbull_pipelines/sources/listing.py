"""The list of the files of an input, ``raw.intake``: what each was taken for, and what became of its rows.

Belongs here: a row for each file that was landed, or only seen. Does not belong here: rows of candles (``intake.py``),
what a file is (``understanding.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from setbull_pipelines.sources.landed_files import LandedFile
from setbull_pipelines.sources.landing import NOT_READ_KIND, REJECTED_KIND
from setbull_pipelines.tables import INTAKE

OF_NO_USE = (REJECTED_KIND, NOT_READ_KIND)
"""Kinds of files that nothing is read from."""


def listed(
    landed: Sequence[LandedFile], unread: Mapping[str, str], superseded: Mapping[str, int]
) -> pd.DataFrame:
    """``raw.intake``: the files that count, then those that were only seen, with the reason.

    ``superseded`` are, by source, the rows that were good by themselves, but that a later file knows better.
    """
    rows = [_landed_row(file, superseded.get(file.source, 0)) for file in landed if file.is_current]
    rows += [_unread_row(source, reason, landed) for source, reason in unread.items()]
    return INTAKE.conform(pd.DataFrame(rows))


def _landed_row(file: LandedFile, superseded: int) -> dict[str, Any]:
    manifest, days = file.landing.manifest, file.landing.days
    kind = file.landing.kind
    if kind in OF_NO_USE:
        reason = f"{file.listed_as}: {file.reason}."
    elif manifest["ignored_columns"]:
        reason = f"ignored columns: {', '.join(manifest['ignored_columns'])}"
    else:
        reason = manifest.get("note")
    return {
        "source": file.listed_as,
        "content_hash": file.content_hash,
        "ingested_at": file.ingested_at,
        "kind": kind,
        "taken_for": manifest.get("taken_for"),
        "reason": reason,
        "received": manifest["received"],
        "assigned": manifest["assigned"] - superseded,
        "unassigned": manifest["unassigned"] + superseded,
        "first_day": days["trading_day"].min(),
        "last_day": days["trading_day"].max(),
    }


def _unread_row(source: str, reason: str, landed: Sequence[LandedFile]) -> dict[str, Any]:
    return {
        "source": source,
        "content_hash": NOT_READ_KIND,
        "ingested_at": max(file.ingested_at for file in landed),
        "kind": NOT_READ_KIND,
        "taken_for": None,
        "reason": f"{source}: {reason}.",
        "received": 0,
        "assigned": 0,
        "unassigned": 0,
        "first_day": pd.NaT,
        "last_day": pd.NaT,
    }
