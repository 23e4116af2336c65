"""The answer to a question as a file that other programs read: every column and every row of it.

Belongs here: which formats there are and writing one. Does not belong here: putting the question (``queries``), the
terminal, the files of partitions.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from setbull_pipelines.warehouse.queries import WITHOUT_EXTENSIONS, quoted_text, set_time_zone

_OPTIONS = {
    "csv": "FORMAT csv, HEADER true",
    "json": "FORMAT json, ARRAY true",
    "parquet": "FORMAT parquet",
}
_ONE_THREAD = WITHOUT_EXTENSIONS | {"threads": 1}
"""With several threads DuckDB 2.0 sometimes waits for ever where the stream that it reads from ends with an error."""
_WRAPPED = "failed: IOError: "
FILE_FORMATS = tuple(_OPTIONS)
"""In CSV nothing stands for NULL and ``""`` for an empty text; moments are on the clock of the exchange."""


def write_answer(answer: duckdb.DuckDBPyRelation, format: str, path: Path) -> None:
    """Write all rows of ``answer`` to ``path``, one of :data:`FILE_FORMATS`, replacing what is there.

    The connection of the answer is locked and writes nothing, so the rows pass through one of their own, in batches.
    Raises duckdb.Error, also for what only the rows show, such as a division by zero.
    """
    with duckdb.connect(":memory:", config=_ONE_THREAD) as connection:
        set_time_zone(connection)
        connection.register("answer", answer.fetch_arrow_reader())
        rows = _as_json_has_it(connection) if format == "json" else "FROM answer"
        try:
            connection.execute(f"COPY ({rows}) TO {quoted_text(str(path))} ({_OPTIONS[format]})")
        except duckdb.InvalidInputException as error:
            # What one row cannot be comes wrapped in what the stream between the connections says of it.
            raise duckdb.Error(str(error).rpartition(_WRAPPED)[2]) from error


def _as_json_has_it(connection: duckdb.DuckDBPyConnection) -> str:
    """The rows of the view ``answer`` with null for numbers that are none, for which JSON has no text."""
    described = connection.execute("DESCRIBE answer").fetchall()
    names = [_quoted(name) for name, kind, *_ in described if kind in ("DOUBLE", "FLOAT")]
    finite = ", ".join(f"CASE WHEN isfinite({name}) THEN {name} END AS {name}" for name in names)
    return f"SELECT * REPLACE ({finite}) FROM answer" if finite else "FROM answer"


def _quoted(name: str) -> str:
    """Any name of a column in double quotes: those of an answer need be no identifiers."""
    return '"' + name.replace('"', '""') + '"'
