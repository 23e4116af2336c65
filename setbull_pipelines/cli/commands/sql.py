"""``setbull sql``: a question to the catalog."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from setbull_pipelines.cli.ending import asking, stop
from setbull_pipelines.cli.starting import bring_catalog_home, settings_in_force

if TYPE_CHECKING:
    import duckdb

_TABLE = "table"
_FORMATS = (_TABLE, "csv", "json", "parquet")
_ROWS_IN_A_TERMINAL = 50
_ALL = 1_000_000_000


@click.command()
@click.argument("query")
@click.option(
    "--format",
    "chosen",
    type=click.Choice(_FORMATS),
    help="Default: that of the ending of --out, else table.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write instead of printing: .csv, .json or .parquet.",
)
@click.option(
    "--rows",
    type=click.IntRange(0),
    help=f"Rows at most; default: {_ROWS_IN_A_TERMINAL} of a table in a terminal, else all.",
)
def sql(query: str, chosen: str | None, out: Path | None, rows: int | None) -> None:
    """Query the catalog, read-only.

    In a terminal a table is cut to fit it; in a pipe or a file every column and every row is there. NULL is shown
    as NULL in tables, null in JSON, and nothing at all in CSV, where an empty text is "".

    \b
    setbull sql "FROM served.filter_results"
    setbull sql "SHOW ALL TABLES"
    setbull sql --format csv "FROM v1.candles_daily" > candles.csv
    setbull sql --format json "FROM operations.alerts" | jq .
    setbull sql --out results.parquet "FROM served.filter_results"
    """
    import duckdb

    from setbull_pipelines.cli.asking import (
        damaged_days,
        days_without_all_of_v1,
        opened_catalog,
        outdated_days,
        removed_rows,
    )
    from setbull_pipelines.warehouse.queries import ask

    format = _format_of(chosen, out)
    settings = settings_in_force()
    try:
        with asking():
            if settings.rollout.kill:
                click.echo("the kill switch is on: served tables show V1", err=True)
                for sentence in days_without_all_of_v1(settings):
                    click.echo(sentence, err=True)
            else:
                bring_catalog_home(settings)
            for told in (removed_rows, damaged_days, outdated_days):
                for sentence in told(settings, query):
                    click.echo(sentence, err=True)
            with opened_catalog(settings) as connection:
                answer = ask(connection, query)
                if format == _TABLE:
                    _show(answer, rows)
                else:
                    _write(answer if rows is None else answer.limit(rows), format, out)
    except duckdb.Error as error:
        # What follows is the statement that was made of the question.
        stop(str(error).partition("\n\nLINE ")[0])


def _format_of(chosen: str | None, out: Path | None) -> str:
    """The format of the answer. Stops where there is none that goes where it shall go."""
    format = chosen or (out.suffix.removeprefix(".") if out else _TABLE)
    if out and format not in _FORMATS[1:]:
        stop(f"--out {out}: found format {format!r}, expected one of {', '.join(_FORMATS[1:])}")
    if format == "parquet" and not out:
        stop("--format parquet: found no file for it, expected --out FILE")
    return format


def _show(answer: duckdb.DuckDBPyRelation, rows: int | None) -> None:
    """Print a table: cut to a terminal, whole elsewhere."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        answer.show(max_rows=_ROWS_IN_A_TERMINAL if rows is None else rows, max_width=width)
    else:
        answer.show(max_rows=_ALL if rows is None else rows, max_width=_ALL, max_col_width=_ALL)


def _write(answer: duckdb.DuckDBPyRelation, format: str, out: Path | None) -> None:
    """Write the answer to the file, or print it. A file is there only once all of it was computed."""
    from setbull_pipelines.warehouse.exporting import write_answer

    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "answer"
        write_answer(answer, format, written)
        with written.open("rb") as source:
            if out is None:
                shutil.copyfileobj(source, click.get_binary_stream("stdout"))
                return
            with out.open("wb") as target:
                shutil.copyfileobj(source, target)
    click.echo(out, err=True)
