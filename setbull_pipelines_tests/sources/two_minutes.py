"""Two minutes of one share, as moments, lists and objects that files are written from.

Belongs here: the values themselves. Does not belong here: the files, and what is read of them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

OPEN = datetime(2025, 6, 2, 9, 15)
BARS = [[100.0, 101.5, 99.25, 100.5, 7533], [100.5, 101.0, 100.0, 100.25, 4790]]
TIMES = [OPEN + timedelta(minutes=number) for number in range(2)]
ISO = [f"{moment.isoformat()}+05:30" for moment in TIMES]
EPOCHS = [
    int((moment - timedelta(hours=5, minutes=30)).replace(tzinfo=UTC).timestamp())
    for moment in TIMES
]
LISTS = [[moment, *bar] for moment, bar in zip(ISO, BARS, strict=True)]
NAMES = ("open", "high", "low", "close", "volume")
OBJECTS = [{"date": row[0], **dict(zip(NAMES, row[1:], strict=True))} for row in LISTS]
