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
    type=options.DAY,
    help="First trading day; default: the first stored.",
)
@click.option("--to", "last", type=options.DAY, help="Last trading day; default: the last stored.")
def invalidate(instrument: str, first: datetime.date | None, last: datetime.date | None) -> None:
    """Have one instrument computed again in both variants.

    INSTRUMENT is a key or a symbol. Deletes nothing: the next run computes.

    \b
    setbull invalidate RELIANCE --from 2026-06-01
    """
    from setbull_pipelines.cli.invalidating import mark

    with asking():
        for line in mark(settings_in_force(), instrument, first, last):
            click.echo(line)
