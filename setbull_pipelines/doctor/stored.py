"""The tables: the catalog of commits, every stored file against its hash, files that nobody needs, and the views.

Belongs here: finding damage. Does not belong here: making partitions again (``pipeline/repairing.py``).
"""

from __future__ import annotations

from setbull_pipelines.assets.scrub import scrub_stored_files
from setbull_pipelines.doctor.finding import FAULT, NOTE, WELL, DataFolder, Finding, size
from setbull_pipelines.pipeline.catalog import (
    UNREADABLE,
    is_at_home,
    is_stored,
    refresh_catalog,
    stored_tables,
)
from setbull_pipelines.pipeline.opening import catalog_path, open_warehouse, warehouse_root
from setbull_pipelines.pipeline.scrubbing import stored_files
from setbull_pipelines.settings import InvalidSettings
from setbull_pipelines.warehouse.catalog_file import CATALOG_FILE, OLD_POINTERS
from setbull_pipelines.warehouse.files import DAMAGED_PREFIX
from setbull_pipelines.warehouse.looking import shortened
from setbull_pipelines.warehouse.rebuilding import is_whole, rebuild


def commits(folder: DataFolder) -> list[Finding]:
    """Whether the file that names what is current can be read; looked at before anything opens it."""
    root = warehouse_root(folder.settings)
    if next(root.glob(OLD_POINTERS), None) is not None:
        return [
            Finding(
                "catalog",
                FAULT,
                f"{root} was written by an older version of setbull",
                "setbull convert",
                lambda: f"{open_warehouse(folder.settings).convert():,} partitions converted",
            )
        ]
    path = root / CATALOG_FILE
    if not root.is_dir() or not any(root.glob("*/*/*.parquet")):
        return [Finding("catalog", WELL, f"{root} holds no tables yet")]
    if not is_whole(path):
        return [
            Finding(
                "catalog",
                FAULT,
                f"{path} is damaged or gone",
                "setbull catalog --rebuild makes it again from what the data files say of themselves",
                lambda: f"made again: {rebuild(root):,} versions found in the files",
            )
        ]
    try:
        told = open_warehouse(folder.settings).commits
        known = f"{told.number():,} commits, {len(told.files()):,} files"
    except InvalidSettings as error:
        return [Finding("catalog", FAULT, str(error))]
    return [Finding("catalog", WELL, known)]


def files(folder: DataFolder) -> list[Finding]:
    """Every file with current rows, whole, against the hash that is its name."""
    warehouse = open_warehouse(folder.settings)
    found = list(stored_files(warehouse, stored_tables()))
    damaged = [each for each in found if not warehouse.verify(each.stored, each.partition)]
    held = f"{len({each.path for each in found}):,} files with {len(found):,} partitions held against their hashes"
    if not damaged:
        return [Finding("files", WELL, held)]

    def scrub() -> str:
        done = scrub_stored_files(
            open_warehouse(folder.settings), folder.settings, folder.moment, "setbull doctor", True
        )
        left = [damage.sentence for damage in done.damages if damage.reason]
        made = len(done.damages) - len(left)
        return "; ".join([f"{made:,} partitions made again from their inputs", *left])

    names = [f"{each.stored.name} {each.partition} ({each.path})" for each in damaged]
    return [
        Finding(
            "files",
            FAULT,
            f"{held}, {len(damaged):,} partitions damaged: {shortened(names)}",
            "setbull scrub takes them out of the views and makes them again from their inputs",
            scrub,
        )
    ]


def unneeded(folder: DataFolder) -> list[Finding]:
    """Files below the warehouse that no kept version needs."""
    root = warehouse_root(folder.settings)
    warehouse = open_warehouse(folder.settings)
    needed, unknown = warehouse.commits.needed()
    names = {path: path.relative_to(root) for path in root.glob("*/*/*.parquet")}
    left = [
        path
        for path, name in names.items()
        if name.as_posix() not in needed
        and name.parts[:2] not in unknown
        and not path.name.startswith(DAMAGED_PREFIX)
    ]
    aside = [path for path in names if path.name.startswith(DAMAGED_PREFIX)]
    found = []
    if aside:
        found.append(
            Finding(
                "files",
                NOTE,
                f"{len(aside):,} damaged files set aside: {shortened([str(names[path]) for path in aside])}",
                "each is deleted once its partition was made again; of what nothing makes again it is the last trace",
            )
        )
    if left:
        found.append(
            Finding(
                "files",
                NOTE,
                f"{len(left):,} files, {size(sum(path.stat().st_size for path in left))}, that no version needs",
                "they are deleted an hour after nobody needed them any more, which is longer than a query takes",
                lambda: f"{warehouse.collect_garbage():,} deleted, younger ones later",
            )
        )
    return found


def views(folder: DataFolder) -> list[Finding]:
    """Whether the DuckDB file of views is there and reads the files of this folder."""
    warehouse, path = open_warehouse(folder.settings), catalog_path(folder.settings)
    if not is_stored(warehouse):
        return []
    if is_at_home(warehouse, folder.settings):
        if outdated := [stored.name for stored in stored_tables() if warehouse.outdated(stored)]:
            told = f"{path} leaves out what another version of setbull wrote: {shortened(outdated)}"
            return [Finding("views", NOTE, told, "setbull run computes it again")]
        return [Finding("views", WELL, f"{path} reads the files of this folder")]

    def refresh() -> str:
        try:
            return f"made again: {refresh_catalog(warehouse, folder.settings)}"
        except UNREADABLE as error:
            return f"not made again: {error}"

    told = f"{path} is missing, not readable, or reads the files of another folder"
    return [Finding("views", FAULT, told, "setbull catalog", refresh)]
