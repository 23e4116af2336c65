"""``setbull chart``: the chart of one stock as a page."""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from setbull_pipelines.cli import options
from setbull_pipelines.cli.ending import asking
from setbull_pipelines.cli.starting import bring_catalog_home, settings_in_force


@click.command()
@click.argument("instrument", metavar="SYMBOL")
@click.option(
    "--from",
    "first",
    type=options.DAY,
    help="First day; default: 250 sessions of days, 10 of 5 minutes.",
)
@click.option("--to", "last", type=options.DAY, help="Last day; default: the last stored one.")
@click.option(
    "--timeframe",
    type=click.Choice(("day", "5minute")),
    help="Only these bars; default: both, to be switched on the page.",
)
@click.option(
    "--out",
    "--output",
    "out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; default: reports/chart-SYMBOL.html in the data folder.",
)
@click.option("--open", "opens", is_flag=True, help="Open it in the browser.")
def chart(
    instrument: str,
    first: datetime.date | None,
    last: datetime.date | None,
    timeframe: str | None,
    out: Path | None,
    opens: bool,
) -> None:
    """Write the chart of a stock, and print its path.

    One HTML file that needs no network. SYMBOL is a symbol or an instrument key. The page has candles and indicators,
    V1 beside V2 and their difference, and for each session the verdict, the stage of the rollout, corporate actions,
    and what was missing or refused.

    \b
    setbull chart RELIANCE
    setbull chart RELIANCE --from 2026-06-01 --to 2026-06-30 --open
    setbull chart 'NSE_EQ|INE002A01018' --timeframe 5minute --output reliance.html
    """
    from setbull_pipelines.cli.chart import write_chart

    settings = settings_in_force()
    bring_catalog_home(settings)
    with asking():
        path = write_chart(settings, instrument, first, last, timeframe, out)
    click.echo(path)
    if opens:
        click.launch(path.resolve().as_uri())
