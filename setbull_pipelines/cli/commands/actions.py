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
    """Corporate actions: unexplained gaps, and your decisions.

    Proposals are made for gaps that no action explains; nothing is applied before somebody accepts it.

    \b
    setbull actions propose
    """


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
    """The actions in force, and every decision.

    \b
    setbull actions list
    """
    _tell("listing")


@actions.command()
def propose() -> None:
    """Gaps that no action explains, and what would.

    Each with the command that takes the proposal. Applies nothing.

    \b
    setbull actions propose
    """
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
    """Take a proposal, or a ratio of your own.

    For the DAY of an INSTRUMENT (key or symbol).

    \b
    setbull actions accept RELIANCE 2024-10-28 --by "A. Operator" --reason "bonus 1:1"
    setbull actions accept RELIANCE 2024-10-28 --kind bonus --ratio 2 --by "A. Operator" --reason "bonus 1:1"
    """
    _tell("accept", instrument, day, kind, ratio, actor, reason)


@actions.command()
@_about_a_gap
def reject(instrument: str, day: datetime.date, actor: str, reason: str) -> None:
    """Propose nothing for a day, take back what was accepted.

    For the DAY of an INSTRUMENT (key or symbol).

    \b
    setbull actions reject RELIANCE 2024-10-28 --by "A. Operator" --reason "no such bonus"
    """
    _tell("reject", instrument, day, actor, reason)


@actions.command()
@_about_a_gap
def genuine(instrument: str, day: datetime.date, actor: str, reason: str) -> None:
    """The price really moved: nothing is adjusted.

    On the DAY of an INSTRUMENT (key or symbol); the filters decide.

    \b
    setbull actions genuine RELIANCE 2024-10-28 --by "A. Operator" --reason "results of the quarter"
    """
    _tell("genuine", instrument, day, actor, reason)
