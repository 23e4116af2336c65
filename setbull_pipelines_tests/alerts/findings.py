"""Findings for tests that need some.

Belongs here: making them. Does not belong here: assertions.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from setbull_pipelines.alerts.finding import Finding, Says, Severity

START = datetime(2026, 6, 30, 16, 0, tzinfo=UTC)


def at(hours: float) -> datetime:
    """A moment after the start."""
    return START + timedelta(hours=hours)


def finding(hours: float, says: Says = Says.WRONG, key: str = "check a", **changes) -> Finding:
    """A finding of a check some hours after the start."""
    values = {
        "key": key,
        "kind": "check",
        "says": says,
        "severity": Severity.ERROR,
        "title": f"{key} fails",
        "message": f"seen at {hours}",
        "link": "http://127.0.0.1:3000/assets/v2/candles_5min",
        "observed_at": at(hours),
        "asset": "v2/candles_5min",
        "trading_day": date(2026, 6, 30),
        "run_id": f"run-{hours}",
    }
    return Finding(**values | changes)
