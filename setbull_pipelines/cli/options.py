"""Options and arguments that several commands have.

Belongs here: what a text on the command line means. Does not belong here: how input files are read
(``reading_options.py``).
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import click

from setbull_pipelines.market.session_table import TIMEZONE


def day(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> datetime.date | None:
    """A date, as the callback of an option."""
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"found {text!r}, expected a date YYYY-MM-DD") from None


def moment(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> datetime.datetime | None:
    """A moment on the clock of the exchange, as the callback of an option."""
    if text is None:
        return None
    try:
        if len(text) <= len("2026-11-20"):
            raise ValueError  # midnight of a day is seldom what a date alone means
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"found {text!r}, expected a moment YYYY-MM-DDTHH:MM, exchange time"
        ) from None
    zone = ZoneInfo(TIMEZONE)
    return found.astimezone(zone) if found.tzinfo else found.replace(tzinfo=zone)


def rows(help: str) -> Callable[[Any], Any]:
    """How many rows a command shows."""
    return click.option("--rows", default=20, show_default=True, type=click.IntRange(1), help=help)


by = click.option("--by", "actor", required=True, help="Your name; it is kept in the log.")
reason = click.option("--reason", required=True, help="Why, in one sentence.")
