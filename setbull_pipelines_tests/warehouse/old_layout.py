"""A warehouse as the layout before this one kept it: a folder, a file and a pointer per partition.

Belongs here: writing one, for tests of what becomes of it. Does not belong here: reading it.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pyarrow
import pyarrow.ipc

from setbull_pipelines.disk import content_hash
from setbull_pipelines.warehouse import encoding
from setbull_pipelines.warehouse.pointers import WHOLE, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_NEW = ("first_row", "hashes_file", "hashes_first_row", "hashes_rows", "inputs_rows")


def write(warehouse: Warehouse, root: Path, stored_tables: list[StoredTable]) -> None:
    """Write all versions of all partitions of a warehouse below ``root`` in the old way."""
    for stored in stored_tables:
        for partition in warehouse.partitions(stored):
            name = "whole" if partition == WHOLE else f"trading_day={partition}"
            folder = root.joinpath(*stored.key, name)
            folder.mkdir(parents=True)
            now = warehouse.pointer(stored, partition).content_hash
            current, *earlier = [
                _version(warehouse, stored, partition, pointer, folder)
                for pointer in warehouse.history(stored, partition)
            ]
            if earlier:
                warehouse.restore(stored, partition, now)
            text = json.dumps({**current, "earlier": earlier}, indent=1)
            (folder / "current.json").write_text(text)


def _version(
    warehouse: Warehouse, stored: StoredTable, partition: str, pointer: Pointer, folder: Path
) -> dict:
    if pointer.content_hash != warehouse.pointer(stored, partition).content_hash:
        warehouse.restore(stored, partition, pointer.content_hash)
    rows = encoding.to_arrow(stored.table, warehouse.read(stored, [partition]))
    data = encoding.to_parquet(rows)
    hashes = warehouse.instrument_hashes(stored, partition)
    inputs = warehouse.instrument_inputs(stored, partition)
    (folder / f"{content_hash(data)}.parquet").write_bytes(data)
    (folder / f"{content_hash(data)}.rows").write_bytes(_hashes(hashes))
    record = {key: value for key, value in dataclasses.asdict(pointer).items() if key not in _NEW}
    record |= {"file": f"{content_hash(data)}.parquet", "content_hash": content_hash(data)}
    record |= {"instrument_inputs": None, "upload": None}
    if inputs is not None:
        record["instrument_inputs"] = f"{content_hash(_hashes(inputs))}.inputs"
        (folder / record["instrument_inputs"]).write_bytes(_hashes(inputs))
    return record


def _hashes(table: pyarrow.Table) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue().to_pybytes()
    return bytes.fromhex(content_hash(content)) + content
