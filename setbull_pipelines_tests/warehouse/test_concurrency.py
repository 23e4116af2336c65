"""Readers in other processes while a writer replaces partitions: no errors, nothing torn.

Every version of a partition carries one number in all its rows, and its row count follows from that
number, so a mixture of two versions shows. The control writes the same versions in place and must
be caught by the same detector; without it, "no fault found" would prove nothing.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from setbull_pipelines.tables.contract import Column, Kind, Table
from setbull_pipelines.warehouse import encoding
from setbull_pipelines.warehouse.catalog import rebuild_catalog
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.queries import connect
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.warehouse.conftest import PROVENANCE

NUMBERED = StoredTable(
    "v1",
    Table(
        "numbered",
        "Rows that know their version",
        ("v1",),
        ("day", "row"),
        (
            Column("day", Kind.INTEGER, "Position of the partition"),
            Column("row", Kind.INTEGER, "Position of the row"),
            Column("version", Kind.INTEGER, "Version, the same in all rows of a partition"),
        ),
    ),
)
DAYS = ("2024-01-02", "2024-01-03", "2024-01-04")
SECONDS = 2.0
# More than the writer, at up to 20 a second, makes while a reader holds its list of files.
KEPT_VERSIONS = 30
SUMMARY = "SELECT day, count(*), min(version), max(version) FROM {source} GROUP BY day ORDER BY day"

Summary = list[tuple[int, int, int, int]]


def row_count(version: int) -> int:
    return 2000 + 100 * (version % 7)


def numbered(day: int, version: int) -> pd.DataFrame:
    rows = range(row_count(version))
    return pd.DataFrame({"day": day, "row": rows, "version": version}, dtype="int64")


def is_torn(summary: Summary) -> bool:
    """Tell whether a partition is missing, mixes versions, or lacks rows of its version."""
    return [day for day, *_ in summary] != list(range(len(DAYS))) or any(
        low != high or count != row_count(low) for _, count, low, high in summary
    )


def publish_version(warehouse: Warehouse, version: int) -> None:
    warehouse.publish_many(
        NUMBERED,
        {day: numbered(position, version) for position, day in enumerate(DAYS)},
        inputs={day: {} for day in DAYS},
        **PROVENANCE,
    )


def through_pointers(root: Path) -> Iterable[Summary]:
    with connect(Warehouse(root), [NUMBERED]) as connection:
        yield connection.execute(SUMMARY.format(source="v1.numbered")).fetchall()


def through_catalog(root: Path) -> Iterable[Summary]:
    with duckdb.connect(str(root / "catalog.duckdb"), read_only=True) as connection:
        for _ in range(2):  # the second answer comes when the catalog has been replaced meanwhile
            yield connection.execute(SUMMARY.format(source="v1.numbered")).fetchall()
            time.sleep(0.03)


def through_frames(root: Path) -> Iterable[Summary]:
    frame = Warehouse(root).read(NUMBERED)
    versions = frame.groupby("day")["version"].agg(["size", "min", "max"])
    yield list(versions.itertuples(name=None))


def through_files_in_place(root: Path) -> Iterable[Summary]:
    with duckdb.connect() as connection:
        source = f"read_parquet('{root}/*.parquet')"
        yield connection.execute(SUMMARY.format(source=source)).fetchall()


def write_immutable(root: Path, version: int) -> None:
    warehouse = Warehouse(root, keep_versions=KEPT_VERSIONS)
    publish_version(warehouse, version)
    rebuild_catalog(warehouse, root / "catalog.duckdb", [NUMBERED], {})
    warehouse.collect_garbage()


def write_in_place(root: Path, version: int) -> None:
    for position, day in enumerate(DAYS):
        data = encoding.to_parquet(encoding.to_arrow(NUMBERED.table, numbered(position, version)))
        (root / f"{day}.parquet").write_bytes(data)


def read_until_stopped(read, root: Path, ready, stop, results) -> None:
    counts, versions, errors = Counter(), set(), []
    list(read(root))
    ready.wait()
    while not stop.is_set():
        try:
            for summary in read(root):
                counts["queries"] += 1
                counts["torn"] += is_torn(summary)
                versions.update(low for _, _, low, _ in summary)
        except Exception as error:  # any error at all is what is being counted
            counts["errors"] += 1
            errors.append(repr(error)[:300])
    results.put((read.__name__, dict(counts), len(versions), errors[:3]))


def stress(root: Path, write: Callable[[Path, int], None], readers: list[Callable]) -> dict:
    """Rewrite for SECONDS under the readers; return per reader counts, versions seen, errors."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # the imports are paid once, not per reader
    ready, stop, results = context.Barrier(len(readers) + 1), context.Event(), context.Queue()
    write(root, 0)
    processes = [
        context.Process(
            target=read_until_stopped, args=(read, root, ready, stop, results), daemon=True
        )
        for read in readers
    ]
    for process in processes:
        process.start()
    try:
        ready.wait(timeout=PATIENCE)
        end, version = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            version += 1
            write(root, version)
    finally:
        stop.set()
    answers = [results.get(timeout=PATIENCE) for _ in processes]
    for process in processes:
        process.join(timeout=PATIENCE)
    return {"written": version, **{name: rest for name, *rest in answers}}


@pytest.mark.run
def test_readers_see_whole_versions_while_partitions_are_replaced(tmp_path):
    readers = [through_pointers, through_catalog, through_frames]
    report = stress(tmp_path, write_immutable, readers)
    print(report)
    for reader in readers:
        counts, versions_seen, errors = report[reader.__name__]
        assert counts.get("queries", 0) > 0, report
        assert versions_seen > 1, report  # it really read while the writer wrote
        assert counts.get("errors", 0) == 0, errors
        assert counts["torn"] == 0, report


@pytest.mark.run
def test_the_same_readers_do_fail_on_files_written_in_place(tmp_path):
    report = stress(tmp_path, write_in_place, [through_files_in_place])
    print(report)
    counts, _, _ = report["through_files_in_place"]
    assert counts.get("errors", 0) + counts.get("torn", 0) > 0, report


@pytest.mark.parametrize(
    "rows",
    [
        [numbered(0, 1), numbered(1, 1)],
        [numbered(0, 1), numbered(1, 1), numbered(2, 1).iloc[:-1]],
        [
            numbered(0, 1),
            numbered(1, 1),
            pd.concat([numbered(2, 1).iloc[:-1], numbered(2, 2)[-1:]]),
        ],
    ],
    ids=["partition missing", "row missing", "row of another version"],
)
def test_the_detector_sees_each_kind_of_tearing(rows):
    frame = pd.concat(rows)
    whole = pd.concat([numbered(day, 3 + day) for day in range(3)])
    with duckdb.connect() as connection:
        connection.register("torn", frame)
        connection.register("whole", whole)
        assert is_torn(connection.execute(SUMMARY.format(source="torn")).fetchall())
        assert not is_torn(connection.execute(SUMMARY.format(source="whole")).fetchall())
