"""``python -m benchmarks.scale``: what years of whole exchanges need, worked out from the tables of a finished run.

Belongs here: rows, bytes and processor time per instrument and session, as published, times a universe. Does not belong
here: measuring, which every run does itself (``pipeline/measuring.py``), and prices, which are the reader's.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from setbull_pipelines import tables
from setbull_pipelines.pipeline.opening import open_warehouse
from setbull_pipelines.settings import load_settings
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

INSTRUMENTS = 2_400 + 5_000
"""Listed shares of NSE and BSE, to the hundred; shares listed on both count twice, since they are two series."""
SESSIONS = 10 * 250
_MINUTES = StoredTable("raw", tables.CANDLES_1MIN)


@dataclass(frozen=True)
class Share:
    """What one table needs per instrument and session."""

    name: str
    rows: float
    bytes_per_row: float
    processor_seconds: float | None
    """None where publishing does not measure: raw tables, and second outputs of one computation."""


def shares(warehouse: Warehouse, day: str) -> list[Share]:
    """The share of every table that has a partition of ``day``."""
    instruments = warehouse.read(_MINUTES, [day], ["instrument_key"])["instrument_key"].nunique()
    found = []
    for table in tables.ALL_TABLES:
        for stored in (StoredTable(schema, table) for schema in table.schemas):
            if not table.partitioned or (pointer := warehouse.pointer(stored, day)) is None:
                continue
            size, _ = warehouse.usage(stored, day) or (0, 0.0)
            found.append(_share(stored, pointer, size, instruments))
    return found


def _share(stored: StoredTable, pointer: Pointer, size: int, instruments: int) -> Share:
    return Share(
        stored.name,
        pointer.rows / instruments,
        size / pointer.rows if pointer.rows else 0.0,
        pointer.cost.cpu_seconds / instruments if pointer.cost else None,
    )


def main() -> None:
    """Print a table of the tables, the largest first, and the sums by schema."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--day", help="session to take the shares from; default: the last reconciled"
    )
    parser.add_argument("--instruments", type=int, default=INSTRUMENTS)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    arguments = parser.parse_args()
    warehouse = open_warehouse(load_settings())
    day = arguments.day or warehouse.partitions(StoredTable("v2", tables.FILTER_RESULTS))[-1]
    times = arguments.instruments * arguments.sessions
    print(
        f"shares of {day}, times {arguments.instruments} instruments and {arguments.sessions} sessions\n"
    )
    print("| table | rows | bytes per row | GiB | processor hours |\n|---|---|---|---|---|")
    sums: dict[str, list[float]] = {}
    for share in sorted(shares(warehouse, day), key=lambda item: -item.rows * item.bytes_per_row):
        rows, size = share.rows * times, share.rows * share.bytes_per_row * times / 2**30
        hours = None if share.processor_seconds is None else share.processor_seconds * times / 3600
        sums.setdefault(share.name.partition(".")[0], []).append(size)
        sums.setdefault(f"{share.name.partition('.')[0]} hours", []).append(hours or 0.0)
        if rows:
            print(
                f"| {share.name} | {rows:,.0f} | {share.bytes_per_row:.1f} | {size:,.1f} | "
                f"{'' if hours is None else format(hours, ',.1f')} |"
            )
    print("\n| schema | GiB | processor hours |\n|---|---|---|")
    for name in (name for name in sums if not name.endswith(" hours")):
        print(f"| {name} | {sum(sums[name]):,.1f} | {sum(sums[f'{name} hours']):,.1f} |")


if __name__ == "__main__":
    main()
