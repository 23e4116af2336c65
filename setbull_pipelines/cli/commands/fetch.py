"""``setbull fetch``: the candles that are missing, from the broker."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from setbull_pipelines.cli.ending import stop
from setbull_pipelines.cli.starting import settings_in_force
from setbull_pipelines.errors import FAILED
from setbull_pipelines.market.calendar import OutsideCoverage


@click.command()
@click.option(
    "--instruments",
    "listed",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV or the broker's JSON list; default: setting upstox.instruments.",
)
@click.option(
    "--days", type=click.IntRange(1), help="Sessions to keep complete; default: the settings."
)
@click.option(
    "--interval", type=click.Choice(("1minute", "day")), help="Only this one; default: both."
)
@click.option("--master", is_flag=True, help="First get the broker's list of instruments.")
@click.option(
    "--intraday", "also_open", is_flag=True, help="Also the session under way, provisionally."
)
def fetch(
    listed: Path | None, days: int | None, interval: str | None, master: bool, also_open: bool
) -> None:
    """Ask the broker for the candles that are missing.

    A fetch that was cut short goes on where it was. Exit code 1 when an instrument failed.

    \b
    setbull fetch
    setbull fetch --instruments universe.csv --interval day
    """
    settings = settings_in_force()

    from setbull_pipelines.cli.fetch import carry_out, refresh_master
    from setbull_pipelines.pipeline import fetching, what_to_fetch

    try:
        upstox = settings.upstox
        if days is not None:
            upstox = dataclasses.replace(upstox, days=days, daily_days=days)
        sessions = what_to_fetch.configured_sessions(upstox)
        if master or upstox.refresh_instruments:
            refresh_master(settings)
        instruments = (
            what_to_fetch.instruments_of(listed)
            if listed
            else what_to_fetch.configured_instruments(settings)
        )
        chosen = {interval: sessions[interval]} if interval else sessions
        fetched = carry_out(instruments, chosen, settings, also_open)
    except (OutsideCoverage, OSError) as error:
        stop(str(error))
    if fetched.stopped:
        stop(fetched.stopped, FAILED)
    if failed := fetched.count(fetching.FAILED):
        stop(f"{failed} of {len(fetched.results)} failed", FAILED)
