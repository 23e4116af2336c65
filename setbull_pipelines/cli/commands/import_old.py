"""``setbull import``: the tables of the old system."""

from __future__ import annotations

import click

from setbull_pipelines.cli.ending import asking
from setbull_pipelines.cli.starting import settings_in_force


@click.command("import")
@click.argument("source", required=False)
@click.option(
    "--timezone",
    "zone",
    type=click.Choice(("Asia/Kolkata", "UTC")),
    help="Time zone of timestamps without one; default: the one whose sessions they fit.",
)
@click.option(
    "--validate", "validates", is_flag=True, help="Compare what was imported with V1 instead."
)
def import_old(source: str | None, zone: str | None, validates: bool) -> None:
    """Import the old system's tables into imported/.

    SOURCE is a SQL dump, a folder of CSV exports, or mysql://USER@HOST:PORT/DATABASE.

    \b
    setbull import dump.sql
    setbull import --validate
    """
    from setbull_pipelines.cli import importing as work

    settings = settings_in_force()
    with asking():
        lines = (
            work.validate(settings)
            if validates
            else work.bring(work.streams_of(source), settings, zone)
        )
        for line in lines:
            click.echo(line)
