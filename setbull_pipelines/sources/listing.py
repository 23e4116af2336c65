"""The list of the files of an input, ``raw.intake``: what each was taken for, and what became of its rows.

Belongs here: a row for each file that was landed, or only seen. Does not belong here: rows of candles (``intake.py``),
what a file is (``understanding.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd

from setbull_pipelines.sources.landed_files import LandedFile
from setbull_pipelines.sources.landing import NOT_READ_KIND, REJECTED_KIND
from setbull_pipelines.sources.landing_writing import Rejection
from setbull_pipelines.tables import INTAKE

OF_NO_USE = (REJECTED_KIND, NOT_READ_KIND)
"""Kinds of files that nothing is read from."""


class OutOfReach(NamedTuple):
    """Files that memory or the file system does not allow to read: by source the reason, and when that was so."""

    rejections: Mapping[str, Rejection]
    moment: datetime | None = None


def listed(
    landed: Sequence[LandedFile],
    unread: Mapping[str, str],
    superseded: Mapping[str, int],
    out_of_reach: OutOfReach | None = None,
) -> pd.DataFrame:
    """``raw.intake``: the files that count, then those that were only seen, with the reason.

    ``superseded`` are, by source, the rows that were good by themselves, but that a later file knows better.
    """
    rows = [_landed_row(file, superseded.get(file.source, 0)) for file in landed if file.is_current]
    rejections, moment = out_of_reach or OutOfReach({})
    reasons_now = {source: found.reason for source, found in rejections.items()}
    moment = max((file.ingested_at for file in landed), default=moment)
    rows += [
        _unread_row(source, reason, moment, kind)
        for reasons, kind in ((reasons_now, REJECTED_KIND), (unread, NOT_READ_KIND))
        for source, reason in reasons.items()
    ]
    return INTAKE.conform(pd.DataFrame(rows))


def _landed_row(file: LandedFile, superseded: int) -> dict[str, Any]:
    manifest, days = file.landing.manifest, file.landing.days
    kind = file.landing.kind
    reason: str | None
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


def _unread_row(source: str, reason: str, moment: datetime | None, kind: str) -> dict[str, Any]:
    return {
        "source": source,
        "content_hash": NOT_READ_KIND,
        "ingested_at": moment,
        "kind": kind,
        "taken_for": None,
        "reason": f"{source}: {reason}.",
        "received": 0,
        "assigned": 0,
        "unassigned": 0,
        "first_day": pd.NaT,
        "last_day": pd.NaT,
    }
