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


class _Day(click.ParamType):
    """A date, typed as one."""

    name = "YYYY-MM-DD"

    def convert(
        self,
        value: str | datetime.date,
        parameter: click.Parameter | None,
        context: click.Context | None,
    ) -> datetime.date:
        if isinstance(value, datetime.date):
            return value
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            self.fail(f"found {value!r}, expected a date YYYY-MM-DD", parameter, context)


DAY = _Day()
"""The type of options and arguments that are a day."""


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
as_json = click.option("--json", "as_json", is_flag=True, help="As one JSON object, for programs.")
