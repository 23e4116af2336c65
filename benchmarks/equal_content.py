"""Whether two data folders hold the same content: every table and partition, by its rows and by what is said of it.

``python -m benchmarks.equal_content OLD NEW`` after the same input was run by two states of the source. Where these
store tables in different ways, the older one tells first what it holds: ``OLD --export OLD.json`` with its code, and
that file then stands for the folder. Tables that tell moments and durations differ by nature, and are counted apart.
Belongs here: comparing folders. Does not belong here: comparing V1 with V2 (``reconciliation/``).
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path

import pyarrow

from setbull_pipelines import tables
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse

COMPARED = ("rows", "schema_hash", "settings_hash", "note", "values_hash", "published_because")
TELL_THE_TIME = {
    f"operations.{name}"
    for name in ("alert_notices", "alerts", "processing_metrics", "rollout_log", "scrub")
}
Content = dict[str, dict[str, object]]
"""By table and partition: what is said of it, and a hash of its rows."""


def content_of(folder: Path) -> Content:
    """What a folder holds, or what was told of one."""
    if folder.is_file():
        return json.loads(folder.read_text(encoding="utf-8"))
    warehouse = Warehouse(folder / "warehouse", cache_bytes=0)
    found = {}
    for table in tables.ALL_TABLES:
        for stored in (StoredTable(schema, table) for schema in table.schemas):
            for partition, pointer in warehouse.pointers(stored).items():
                said = {name: getattr(pointer, name) for name in COMPARED}
                said["failures"] = {k: dataclasses.asdict(v) for k, v in pointer.failures.items()}
                said["names of inputs"] = sorted(pointer.inputs)
                if not pointer.evicted_at:
                    said["content"] = _hash(warehouse.read_arrow(stored, [partition]))
                found[f"{stored.name} {partition}"] = said
    return found


def _hash(rows: pyarrow.Table) -> str:
    # Of values, not of buffers: what lies under a null, and before the first row, is anything.
    digest = hashlib.blake2b(digest_size=16)
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        digest.update(f"{name} {column.type} {column.to_pylist()}".encode())
    return digest.hexdigest()


def main() -> None:
    """Compare, print, and fail when content differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path, nargs="?")
    parser.add_argument("--export", type=Path, help="write what OLD holds into this file")
    given = parser.parse_args()
    old = content_of(given.old)
    if given.export:
        given.export.write_text(json.dumps(old), encoding="utf-8")
        return
    new = content_of(given.new)
    equal, different = Counter(), Counter()
    for place in sorted(old.keys() | new.keys()):
        table = place.partition(" ")[0]
        if place not in old or place not in new:
            found = [f"only in the {'old' if place in old else 'new'} folder"]
        else:
            found = [name for name, said in old[place].items() if new[place].get(name) != said]
        (different if found else equal)[table] += 1
        if found and table not in TELL_THE_TIME:
            print(place, ", ".join(found))
    timed = sum(count for table, count in different.items() if table in TELL_THE_TIME)
    faults = different.total() - timed
    print(
        f"{equal.total():,} partitions of {len(equal)} tables are equal, {faults} differ; "
        f"of tables that tell moments and durations {timed} differ"
    )
    sys.exit(1 if faults or not equal else 0)


if __name__ == "__main__":
    main()
