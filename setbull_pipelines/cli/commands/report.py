"""``setbull report``: the daily report as a file."""

from __future__ import annotations

import datetime

import click

from setbull_pipelines.cli import options
from setbull_pipelines.cli.ending import asking
from setbull_pipelines.cli.starting import bring_catalog_home, settings_in_force


@click.command()
@click.option("--day", type=options.DAY, help="Trading day; default: the last served one.")
@click.option("--open", "opens", is_flag=True, help="Open it in the browser.")
@click.option("--text", "as_text", is_flag=True, help="Print its first lines instead.")
def report(day: datetime.date | None, opens: bool, as_text: bool) -> None:
    """Write the daily report and print its path.

    One HTML file that needs no network.

    \b
    setbull report --open
    setbull report --day 2026-06-30
    setbull report --text | mail -s "NSE" desk@example.com
    """
    from setbull_pipelines.cli.daily_report import answer, write_report

    settings = settings_in_force()
    bring_catalog_home(settings)
    if as_text:
        with asking():
            click.echo("\n".join(answer(settings, day)))
        return
    with asking():
        path = write_report(settings, day)
    click.echo(path)
    if opens:
        click.launch(path.as_uri())
