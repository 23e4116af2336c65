"""The band widths of a session taken together: how many contract, how many are squeezed, least and greatest.

Belongs here: counts and means over ``bb_width_alerts`` rows. Does not belong here: the widths themselves and the rules
of alerts (``variants/``), names of an API's answer (``api/``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from setbull_pipelines.tables.bb_width import TRENDS


@dataclass(frozen=True)
class Widths:
    """The session's last widths of the instruments that have one. Widths in rupees, None without any."""

    instruments: int
    alerting: int
    """With an alert in the session."""
    squeezed: int
    """With a last width not above the lowest of the look-back."""
    least: float | None
    greatest: float | None
    mean: float | None
    by_trend: Mapping[str, int]
    by_rule: Mapping[str, int]
    """Instruments by the rule of their first alert."""


def widths_of(alerts: pd.DataFrame) -> Widths:
    """What the rows of one session say together; those without a band do not count."""
    rows = alerts[alerts["bb_width"].notna()]
    widths = rows["bb_width"]
    trends = rows["bb_width_trend"].value_counts()
    rules = rows["alert_rule"].dropna().value_counts().sort_index()
    return Widths(
        instruments=len(rows),
        alerting=int(rows["alert_rule"].notna().sum()),
        squeezed=int(rows["is_squeeze"].fillna(False).astype(bool).sum()),
        least=float(widths.min()) if len(rows) else None,
        greatest=float(widths.max()) if len(rows) else None,
        mean=float(widths.mean()) if len(rows) else None,
        by_trend={name: int(trends.get(name, 0)) for name in TRENDS},
        by_rule={str(name): int(count) for name, count in rules.items()},
    )
