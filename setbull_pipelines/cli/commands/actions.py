"""``setbull actions``: gaps without a corporate action, and decisions about them."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import click

from setbull_pipelines.cli import options
from setbull_pipelines.cli.ending import asking
from setbull_pipelines.cli.starting import settings_in_force


@click.group()
def actions() -> None:
    """Corporate actions: gaps that none explains, what is proposed for them, and your decisions."""


KINDS = ("split or bonus", "split", "bonus", "demerger", "special dividend", "rights")


def _tell(verb: str, *arguments: object) -> None:
    from setbull_pipelines.cli import actions as work

    with asking():
        for line in getattr(work, verb)(settings_in_force(), *arguments):
            click.echo(line)


def _about_a_gap(command: Callable[..., None]) -> Any:
    for decorate in (
        options.reason,
        options.by,
        click.argument("day", type=options.DAY),
        click.argument("instrument"),
    ):
        command = decorate(command)
    return command


@actions.command("list")
def list_actions() -> None:
    """The actions in force, and every decision."""
    _tell("listing")


@actions.command()
def propose() -> None:
    """Gaps that no action explains, each with the command that would; applies nothing."""
    _tell("proposals")


@actions.command()
@_about_a_gap
@click.option("--kind", type=click.Choice(KINDS), help="Default: split or bonus.")
@click.option("--ratio", help="New shares per old share, 2 or 3/2; default: the proposed one.")
def accept(
    instrument: str,
    day: datetime.date,
    actor: str,
    reason: str,
    kind: str | None,
    ratio: str | None,
) -> None:
    """Take the proposal for the DAY of an INSTRUMENT (key or symbol), or a ratio of your own."""
    _tell("accept", instrument, day, kind, ratio, actor, reason)


@actions.command()
@_about_a_gap
def reject(instrument: str, day: datetime.date, actor: str, reason: str) -> None:
    """Propose nothing for the DAY any more, and take back what was accepted for it."""
    _tell("reject", instrument, day, actor, reason)


@actions.command()
@_about_a_gap
def genuine(instrument: str, day: datetime.date, actor: str, reason: str) -> None:
    """The price really moved on the DAY: nothing is adjusted, and the filters decide."""
    _tell("genuine", instrument, day, actor, reason)
