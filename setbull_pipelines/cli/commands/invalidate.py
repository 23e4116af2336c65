"""``setbull invalidate``: one instrument again, in both variants."""

from __future__ import annotations

import datetime

import click

from setbull_pipelines.cli import options
from setbull_pipelines.cli.ending import asking
from setbull_pipelines.cli.starting import settings_in_force


@click.command()
@click.argument("instrument")
@click.option(
    "--from",
    "first",
    callback=options.day,
    help="First trading day; default: the first stored.",
)
@click.option(
    "--to", "last", callback=options.day, help="Last trading day; default: the last stored."
)
def invalidate(instrument: str, first: datetime.date | None, last: datetime.date | None) -> None:
    """Have one instrument (its key) computed again in both variants; deletes nothing."""
    from setbull_pipelines.cli.invalidating import mark

    with asking():
        for line in mark(settings_in_force(), instrument, first, last):
            click.echo(line)
