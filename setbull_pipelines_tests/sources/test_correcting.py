"""Rules between rows of one bar, against a plain reading of them one bar at a time."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.sources.correcting import correct, had_closed

INDIA = ZoneInfo("Asia/Kolkata")


@pytest.mark.parametrize(
    ("day", "clock", "closed"),
    [
        (date(2025, 6, 2), "2025-06-02 15:29:59", False),
        (date(2025, 6, 2), "2025-06-02 15:30:00", True),
        (date(2026, 8, 3), "2026-08-03 15:34:59", False),  # the closing auction ends at 15:35
        (date(2026, 8, 3), "2026-08-03 15:35:00", True),
        (date(2025, 6, 2), "2025-06-03 00:00:00", True),
        (date(2025, 10, 21), "2025-10-21 13:45:00", False),  # Muhurat, until 14:45
        (date(2025, 10, 21), "2025-10-21 14:45:00", True),
    ],
)
def test_a_session_is_over_at_its_close_of_that_day(day: date, clock: str, closed: bool) -> None:
    assert had_closed(day, datetime.fromisoformat(clock).replace(tzinfo=INDIA)) is closed


def plainly(rows: list[dict]) -> dict[str, list]:
    """What becomes of the rows of one bar, in words that need no arrays."""
    statements: list[dict] = []
    contradicted, ignored, revisions = [], [], []
    for position, row in enumerate(rows):
        rest = [other for other in rows[position + 1 :] if other["file"] == row["file"]]
        if not rest:
            statements.append(row)
        elif rest[-1]["close"] == row["close"]:
            ignored.append(row["id"])
        else:
            contradicted.append((row["id"], rest[-1]["id"]))
    known = dict(statements[0])
    for row in statements[1:]:
        if row["close"] == known["close"]:
            ignored.append(row["id"])
            known["is_provisional"] &= row["is_provisional"]
        else:
            number = len(revisions) + 1
            revisions.append((known["id"], not known["is_provisional"], row["id"], number))
            known = dict(row)
    return {
        "accepted": [(known["id"], not known["is_provisional"])],
        "contradicted": contradicted,
        "ignored": ignored,
        "revisions": revisions,
    }


ROW = st.fixed_dictionaries(
    {
        "instrument": st.integers(0, 1),
        "minute": st.integers(0, 1),
        "file": st.integers(0, 3),
        "close": st.sampled_from([1.0, 2.0, float("inf")]),
        "is_provisional": st.booleans(),
    }
)


@given(st.lists(ROW, min_size=1, max_size=14))
def test_rows_are_decided_as_one_bar_at_a_time(rows: list[dict]) -> None:
    rows = sorted(rows, key=lambda row: (row["instrument"], row["minute"], row["file"]))
    rows = [row | {"id": number} for number, row in enumerate(rows)]
    start = pd.Timestamp("2025-06-02 09:15", tz=INDIA)
    frame = pd.DataFrame(rows)
    frame["timestamp"] = start + pd.to_timedelta(frame["minute"], unit="min")
    # No value equals no value.
    frame["close"] = frame["close"].replace(float("inf"), None).astype("float64")
    expected: dict[str, list] = {}
    for bar in sorted({(row["instrument"], row["minute"]) for row in rows}):
        of_bar = [row for row in rows if (row["instrument"], row["minute"]) == bar]
        for name, found in plainly(of_bar).items():
            expected.setdefault(name, []).extend(found)
    found = correct(frame, ["close"])

    def pairs(*columns) -> list[tuple]:
        return sorted(zip(*(column.tolist() for column in columns), strict=True))

    assert pairs(found.accepted, found.accepted_is_final) == sorted(expected["accepted"])
    assert pairs(found.contradicted, found.contradicted_by) == sorted(expected["contradicted"])
    assert sorted(found.ignored.tolist()) == sorted(expected["ignored"])
    corrections = pairs(found.old, found.old_is_final, found.new, found.number)
    assert corrections == sorted(expected["revisions"])
    counted = (found.accepted, found.contradicted, found.ignored, found.old)
    assert sorted(row for part in counted for row in part.tolist()) == list(range(len(rows)))
