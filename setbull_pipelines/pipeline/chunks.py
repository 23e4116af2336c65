"""How much is worked on at once: instruments per computation, sessions per publication, within the memory allowance.

Belongs here: the estimate of what rows need, and splitting by it. Does not belong here: computing (``computing``),
measuring (``measuring``). No result depends on how work was split, which a property test holds.

The estimate is made before anything is read, from the row counts of pointers. It can be wrong, so it never stops a run:
a day that needs more than there is, is computed in the smallest chunks, and the log says so. What it took in fact is
measured, and judged by the check ``within_limits``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from setbull_pipelines.settings import ProcessingSettings

FEWEST_INSTRUMENTS = 20
"""A smaller chunk would save little: most of what is left is then one file, decoded."""
MOST_PARTITIONS, MOST_ROWS = 40, 200_000
"""The most of one publication. More at once gained no time. Days that were computed at once are published at once:
what a step makes of a day has no more rows than it reads of it, and those were counted before."""
_SHARE_OF_A_BATCH = 1 / 4
"""The part of the allowance for computed days, which wait to be published while the next one is computed."""
# Highest memory meanwhile, over cells (rows x columns) read, rounded up: of the step that takes most for a cell, daily
# indicators of 2,400 instruments over 300 sessions (V1 105, V2 62 with its compiled code); of publishing minutes 27.
_BYTES_PER_CELL = 110
_BYTES_PER_CELL_PUBLISHED = 40


def allowance(settings: ProcessingSettings) -> int:
    """Memory that the process may take, in bytes."""
    return settings.memory_allowance_mib * 2**20


def bytes_to_compute(cells: int) -> int:
    """Memory that computing takes, for ``cells`` (rows x columns) of input."""
    return cells * _BYTES_PER_CELL


def bytes_to_publish(rows: int, columns: int) -> int:
    """Memory that checking, ordering and encoding rows takes."""
    return rows * columns * _BYTES_PER_CELL_PUBLISHED


def chunks_of(
    instruments: Sequence[str], needed: int, available: int, settings: ProcessingSettings
) -> list[Sequence[str]]:
    """``instruments`` in parts of about equal size that are computed one after the other; one part when all fit.

    ``needed`` is what all of them need together, ``available`` what there is, in bytes.
    """
    per_chunk = settings.instruments_per_chunk
    if not per_chunk:
        fitting = len(instruments) * max(available, 0) // max(needed, 1)
        per_chunk = max(fitting, FEWEST_INSTRUMENTS)
    count = max(-(-len(instruments) // per_chunk), 1)
    size = max(-(-len(instruments) // count), 1)
    return [instruments[start : start + size] for start in range(0, len(instruments) or 1, size)]


def is_full(partitions: int, rows: int, columns: int, settings: ProcessingSettings) -> bool:
    """Whether computed partitions, with so many rows together, are published before others."""
    if settings.sessions_per_chunk:
        return partitions >= settings.sessions_per_chunk
    return (
        partitions >= MOST_PARTITIONS or rows >= MOST_ROWS or not _has_room(rows, columns, settings)
    )


def is_full_to_compute(days: int, rows: int, columns: int, settings: ProcessingSettings) -> bool:
    """Whether days, with so many rows of their own, are computed before more are looked at."""
    if settings.sessions_per_chunk:
        return days >= settings.sessions_per_chunk
    return rows >= MOST_ROWS or not _has_room(rows, columns, settings)


def batches(
    days: Sequence[date], rows: Mapping[date, int], columns: int, settings: ProcessingSettings
) -> Iterator[list[date]]:
    """``days`` in batches to read and publish together; ``rows`` tells how many rows a day has."""
    most = settings.sessions_per_chunk or MOST_PARTITIONS
    batch: list[date] = []
    for day in days:
        together = sum(rows.get(each, 0) for each in (*batch, day))
        has_room = settings.sessions_per_chunk or _has_room(together, columns, settings)
        if batch and (len(batch) == most or not has_room):
            yield batch
            batch = []
        batch.append(day)
    if batch:
        yield batch


def _has_room(rows: int, columns: int, settings: ProcessingSettings) -> bool:
    return bytes_to_publish(rows, columns) <= allowance(settings) * _SHARE_OF_A_BATCH
