"""What is known of each partition, as tables for readers of SQL: what it was computed from, when, at what cost.

Belongs here: the rows and the words of ``operations.partitions`` and ``operations.instrument_inputs``. Does not belong
here: where pointers are kept (``commits``), the catalog file (``catalog``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow

from setbull_pipelines.warehouse.pointers import Pointer, StoredTable, is_day
from setbull_pipelines.warehouse.queries import quoted_text
from setbull_pipelines.warehouse.reader import Reader

PARTITIONS, INSTRUMENT_INPUTS = "operations.partitions", "operations.instrument_inputs"
_TEXT, _NUMBER = pyarrow.string(), pyarrow.int64()
_MOMENT = pyarrow.timestamp("us", "UTC")
_COLUMNS = {
    "schema_name": (_TEXT, "Schema of the table"),
    "table_name": (_TEXT, "Table"),
    "partition": (_TEXT, "Trading day; 'all' of a table without days"),
    "trading_day": (pyarrow.date32(), "The same as a date; null where it is none"),
    "commit_number": (
        _NUMBER,
        "The commit that made it current: equal for what was published together",
    ),
    "run_id": (_TEXT, "The run that computed it"),
    "published_at": (_MOMENT, "When it was published"),
    "published_because": (_TEXT, "Why: new, changed, again, evicted or damaged"),
    "rows": (_NUMBER, "Number of rows"),
    "note": (_TEXT, "Why there are no rows, where that is so"),
    "content_hash": (_TEXT, "Hash of the rows in key order"),
    "values_hash": (_TEXT, "The same without columns of provenance; null where the table has none"),
    "schema_hash": (_TEXT, "Hash of the contract"),
    "code_version": (_TEXT, "Hash of the code that computed it"),
    "settings_hash": (_TEXT, "Hash of the settings it depends on"),
    "inputs": (pyarrow.map_(_TEXT, _TEXT), "Hash of each input, by its name"),
    "failures": (pyarrow.map_(_TEXT, _TEXT), "Why an instrument is missing, by its key"),
    "invalidated": (pyarrow.list_(_TEXT), "Instruments that somebody wants computed again"),
    "evicted_at": (_MOMENT, "Since when the rows are gone; null while they are there"),
    "seconds": (pyarrow.float64(), "Seconds that computing took; null where nothing was measured"),
    "cpu_seconds": (pyarrow.float64(), "Processor seconds of it"),
    "peak_memory_bytes": (_NUMBER, "Highest memory of the process meanwhile"),
    "instruments_computed": (_NUMBER, "Instruments that were computed"),
    "instruments_kept": (_NUMBER, "Instruments whose rows were taken over"),
    "file": (_TEXT, "The file that holds the rows, from the folder of the warehouse"),
    "first_row": (_NUMBER, "Where in the file they begin"),
    "hashes_file": (_TEXT, "The file with the hashes by instrument"),
    "first_input": (_NUMBER, "Where in it those of the inputs begin"),
    "input_count": (_NUMBER, "How many these are; null where nobody can tell"),
}
_INPUTS = {
    "schema_name": "Schema of the table",
    "table_name": "Table",
    "partition": "Trading day; 'all' of a table without days",
    "instrument_key": "Instrument",
    "hash": "Hash of all that its rows were computed from; comparable with itself only",
}


def explain(
    connection: duckdb.DuckDBPyConnection,
    reader: Reader,
    tables: Iterable[StoredTable],
    relative_to: Path | None,
) -> None:
    """Create the table of what is known of each current partition, and the view of inputs by instrument.

    Those that are there are replaced.
    """
    records = [
        _record(stored, partition, version.number, version.pointer)
        for stored in tables
        for partition, version in reader.commits.current(stored.key).items()
        if version is not None
    ]
    schema = pyarrow.schema([(name, kind) for name, (kind, _) in _COLUMNS.items()])
    connection.execute("CREATE SCHEMA IF NOT EXISTS operations")
    connection.register("known_partitions", pyarrow.Table.from_pylist(records, schema=schema))
    connection.execute(f"CREATE OR REPLACE TABLE {PARTITIONS} AS SELECT * FROM known_partitions")
    connection.unregister("known_partitions")
    names = {record["hashes_file"] for record in records if record["input_count"]}
    paths = [path for path in map(reader.data.path, sorted(names)) if path.exists()]
    connection.execute(
        f"CREATE OR REPLACE VIEW {INSTRUMENT_INPUTS} AS {_inputs(paths, relative_to)}"
    )
    described = {name: meaning for name, (_, meaning) in _COLUMNS.items()}
    for kind, name, meaning, columns in (
        ("TABLE", PARTITIONS, "Every current partition: what it was computed from", described),
        ("VIEW", INSTRUMENT_INPUTS, "What each instrument was computed from", _INPUTS),
    ):
        connection.execute(f"COMMENT ON {kind} {name} IS {quoted_text(meaning)}")
        for column, words in columns.items():
            connection.execute(f"COMMENT ON COLUMN {name}.{column} IS {quoted_text(words)}")


def _record(stored: StoredTable, partition: str, number: int, pointer: Pointer) -> dict:
    cost = vars(pointer.cost) if pointer.cost else {}
    record = {name: getattr(pointer, name, cost.get(name)) for name in _COLUMNS}
    return record | {
        "schema_name": stored.schema,
        "table_name": stored.table.name,
        "partition": partition,
        "trading_day": date.fromisoformat(partition) if is_day(partition) else None,
        "commit_number": number,
        "published_at": datetime.fromisoformat(pointer.published_at),
        "evicted_at": pointer.evicted_at and datetime.fromisoformat(pointer.evicted_at),
        "inputs": list(pointer.inputs.items()),
        "failures": [(key, each.error) for key, each in pointer.failures.items()],
        "first_input": pointer.hashes_first_row + pointer.hashes_rows,
        "input_count": pointer.inputs_rows,
    }


def _inputs(paths: list[Path], relative_to: Path | None) -> str:
    if not paths:
        return (
            "SELECT NULL::VARCHAR AS schema_name, NULL::VARCHAR AS table_name, NULL::VARCHAR AS partition, "
            "NULL::VARCHAR AS instrument_key, NULL::BIGINT AS hash WHERE false"
        )
    places = (path.relative_to(relative_to) if relative_to else path for path in paths)
    listed = ", ".join(quoted_text(str(place)) for place in places)
    return (
        "SELECT hashes.schema_name, hashes.table_name, hashes.partition, hashes.instrument_key, hashes.hash "
        f"FROM read_parquet([{listed}], filename = true, file_row_number = true, hive_partitioning = false) AS hashes "
        f"JOIN {PARTITIONS} AS known ON parse_filename(hashes.filename) = parse_filename(known.hashes_file) "
        "AND hashes.schema_name = known.schema_name AND hashes.table_name = known.table_name "
        "AND hashes.partition = known.partition AND hashes.file_row_number >= known.first_input "
        "AND hashes.file_row_number < known.first_input + known.input_count"
    )
