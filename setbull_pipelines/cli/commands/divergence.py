"""``setbull divergence``: the page of a table and day on which V2 differs."""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from setbull_pipelines.cli import options
from setbull_pipelines.cli.ending import asking
from setbull_pipelines.cli.starting import bring_catalog_home, settings_in_force


@click.command()
@click.option("--table", required=True, help="Computed table, for example indicators_5min.")
@click.option("--day", required=True, type=options.DAY, help="Trading day.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; default: reports/ in the data folder.",
)
def divergence(table: str, day: datetime.date, out: Path | None) -> None:
    """Write the page of a divergence of V2 from V1.

    One HTML file that shows where, how and since when they differ.

    \b
    setbull divergence --table indicators_5min --day 2026-06-30
    """
    from setbull_pipelines.cli.divergence import write_page

    settings = settings_in_force()
    bring_catalog_home(settings)
    with asking():
        click.echo(write_page(settings, table, day, out))
