"""``setbull revisions``: what later files corrected."""

from __future__ import annotations

import datetime

import click

from setbull_pipelines.cli import options
from setbull_pipelines.cli.ending import asking
from setbull_pipelines.cli.starting import settings_in_force


@click.command()
@click.option("--day", type=options.DAY, help="Trading day; default: all.")
@click.option("--instrument", help="Key or symbol; default: all.")
@options.rows("Changes shown at most.")
def revisions(day: datetime.date | None, instrument: str | None, rows: int) -> None:
    """What later files corrected, and by how much.

    Counts the bars of each day, corrected before or after they were final.

    \b
    setbull revisions
    setbull revisions --day 2026-06-30 --instrument RELIANCE
    """
    from setbull_pipelines.cli.revisions import print_revisions

    with asking():
        print_revisions(settings_in_force(), day, instrument, rows)
