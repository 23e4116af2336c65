"""The verbs of ``setbull``.

Belongs here: options and error sentences. Does not belong here: work (the modules beside this one).
"""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path

import click

from setbull_pipelines.settings import InvalidSettings, load_settings

_FAILED = 1
_UNUSABLE = 2


def _day(context: click.Context, parameter: click.Parameter, text: str | None):
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"found {text!r}, expected a date YYYY-MM-DD") from None


def _stop(message: str, code: int = _UNUSABLE) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)


@click.group()
@click.version_option(package_name="setbull-pipelines")
def main() -> None:
    """NSE one-minute candles to reconciled filter results."""


@main.command()
@click.option(
    "--input", "source", help="File or folder with candles; default: the generated sample."
)
@click.option("--from", "first", callback=_day, help="First trading day, YYYY-MM-DD.")
@click.option("--to", "last", callback=_day, help="Last trading day, YYYY-MM-DD.")
def run(source: str | None, first: datetime.date | None, last: datetime.date | None) -> None:
    """Materialize every asset for a range of trading days and print the results."""
    from setbull_pipelines.cli.home import claim, prepare_dagster_home
    from setbull_pipelines.settings import INPUT_VARIABLE

    source = str(Path(source).resolve()) if source else os.environ.get(INPUT_VARIABLE)
    try:
        settings = load_settings({**os.environ, INPUT_VARIABLE: source or ""})
        note = claim(settings.data_directory, source)
        prepare_dagster_home(settings.data_directory)
        settings = load_settings()
    except (InvalidSettings, OSError) as error:
        _stop(str(error))

    from setbull_pipelines.cli.plan import NothingToRun
    from setbull_pipelines.cli.report import print_report
    from setbull_pipelines.cli.run import RunFailed
    from setbull_pipelines.cli.run import run as execute
    from setbull_pipelines.cli.terminal import console
    from setbull_pipelines.sources.intake import NoInput

    console.print(
        f"input: {source or 'generated sample (not real prices)'}\ndata folder: {settings.data_directory}"
    )
    if note:
        console.print(note)
    try:
        outcome = execute(settings, first, last)
    except (NoInput, NothingToRun) as error:
        _stop(str(error))
    except RunFailed as error:
        _stop(str(error), _FAILED)
    print_report(outcome)
    if outcome.failed_checks:
        _stop(f"{len(outcome.failed_checks)} checks failed", _FAILED)


@main.command()
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
def ui(port: int) -> None:
    """Open the Dagster UI with the daemon, on this machine only."""
    from setbull_pipelines.cli.home import PROJECT, prepare_dagster_home

    settings = load_settings()
    prepare_dagster_home(settings.data_directory)
    click.echo(f"opening http://127.0.0.1:{port} on the tables of {settings.data_directory}")
    os.chdir(PROJECT)
    os.execv(
        sys.executable,
        [
            sys.executable,
            *("-m", "dagster", "dev", "--workspace", "workspace.yaml"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
    )


@main.command()
@click.argument("query")
@click.option("--rows", default=50, show_default=True, help="Rows shown at most.")
def sql(query: str, rows: int) -> None:
    """Ask the catalog, read-only: setbull sql "SELECT * FROM v1.filter_results"."""
    import duckdb

    from setbull_pipelines.assets.common import catalog_path
    from setbull_pipelines.warehouse.resources import CatalogResource

    path = catalog_path(load_settings())
    try:
        with CatalogResource(database=str(path)).get_connection() as connection:
            connection.sql(query).show(max_rows=rows, max_width=200)
    except (FileNotFoundError, duckdb.Error) as error:
        _stop(str(error))


@main.command("self-test")
def self_test() -> None:
    """Break V2 in every known way and require that each fault is caught and its cause named."""
    from setbull_pipelines.cli.self_test import print_score
    from setbull_pipelines.reconciliation.self_test.score import run_self_test

    result = run_self_test()
    print_score(result)
    if not result.is_perfect:
        _stop("the reconciliation missed or misnamed a fault, or raised a false alarm", _FAILED)


if __name__ == "__main__":
    main()
