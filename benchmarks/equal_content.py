"""Whether two data folders hold the same content: every table and partition, by pointer and by byte.

``python -m benchmarks.equal_content OLD NEW`` after the same input was run by two states of the source. Tables that
tell moments and durations differ by nature, and are counted apart. Belongs here: comparing folders. Does not belong
here: comparing V1 with V2 (``reconciliation/``).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

COMPARED = (
    "content_hash",
    "values_hash",
    "rows",
    "schema_hash",
    "settings_hash",
    "inputs",
    "note",
    "failures",
    "instrument_inputs",
    "published_because",
)
TELL_THE_TIME = {
    f"operations/{name}"
    for name in ("alert_notices", "alerts", "processing_metrics", "rollout_log", "scrub")
}


def pointers_of(folder: Path) -> dict[str, tuple[dict, Path]]:
    """By place of the partition below the warehouse: what its pointer says, and where it lies."""
    root = folder / "warehouse"
    return {
        path.parent.relative_to(root).as_posix(): (json.loads(path.read_bytes()), path.parent)
        for path in root.glob("*/*/*/current.json")
    }


def differences(old: tuple[dict, Path], new: tuple[dict, Path]) -> list[str]:
    """What differs between two versions of one partition."""
    (said, place), (says, other) = old, new
    found = [name for name in COMPARED if said.get(name) != says.get(name)]
    beside = (said["file"], f"{said['content_hash']}.rows", said.get("instrument_inputs"))
    for name in filter(None, beside):
        pair = [folder / name for folder in (place, other)]
        if pair[0].is_file() and not (
            pair[1].is_file() and pair[0].read_bytes() == pair[1].read_bytes()
        ):
            found.append(f"bytes of .{name.rpartition('.')[2]}")
    return found


def main() -> None:
    """Compare, print, and fail when content differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    given = parser.parse_args()
    old, new = pointers_of(given.old), pointers_of(given.new)
    equal, different = Counter(), Counter()
    for place in sorted(old.keys() | new.keys()):
        table = place.rpartition("/")[0]
        if place not in old or place not in new:
            found = [f"only in the {'old' if place in old else 'new'} folder"]
        else:
            found = differences(old[place], new[place])
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
