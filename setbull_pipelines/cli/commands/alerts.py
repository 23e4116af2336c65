"""``setbull alerts``: what needs attention."""

from __future__ import annotations

import datetime
import sys

import click

from setbull_pipelines.cli import options
from setbull_pipelines.cli.ending import asking, stop
from setbull_pipelines.cli.starting import settings_in_force
from setbull_pipelines.errors import FAILED


@click.group()
def alerts() -> None:
    """What needs attention, and who gets a message.

    \b
    setbull alerts list
    """


@alerts.command("list")
@options.rows("Alerts shown at most.")
@options.as_json
def list_alerts(rows: int, as_json: bool) -> None:
    """Open alerts, the worst first, then the latest others.

    Also what could not be delivered, and why.

    \b
    setbull alerts list
    setbull alerts list --rows 100 --json
    """
    if as_json:
        from setbull_pipelines.cli.json_answers import as_text, of_alerts

        with asking():
            click.echo(as_text(of_alerts(settings_in_force(), rows)))
        return
    from setbull_pipelines.cli import alerts as work

    with asking():
        for line in work.alert_lines(settings_in_force(), rows):
            click.echo(line)


@alerts.command("test")
def test_alerts() -> None:
    """Send a test message to every channel of the settings.

    Exit code 1 when one did not accept it.

    \b
    setbull alerts test
    """
    from setbull_pipelines.cli.alerts import send_test

    settings = settings_in_force()
    if not settings.alerts.channels:
        stop("setting alerts.channels: found no channel, expected at least one to test")
    failed = 0
    for channel, error in send_test(settings):
        click.echo(f"{channel}: {error or 'delivered'}")
        failed += error is not None
    if failed:
        stop(f"{failed} of {len(settings.alerts.channels)} channels did not accept it", FAILED)


@alerts.command("deliver")
def deliver_alerts() -> None:
    """Deliver what is due, for cron without the daemon.

    Looks at the rollout and the calendar first. Exit code 1 when a receiver did not accept it.

    \b
    setbull alerts deliver
    """
    from setbull_pipelines.cli.alerts import deliver_due
    from setbull_pipelines.cli.home import prepare_dagster_home

    settings = settings_in_force()
    with asking():
        prepare_dagster_home(settings.data_directory, settings.runs)
        lines, delivered = deliver_due(settings)
    for line in lines:
        click.echo(line)
    if not delivered:
        sys.exit(FAILED)


@alerts.command()
@click.argument("about", metavar="NUMBER|CHECK|TABLE")
@click.option(
    "--until", required=True, type=options.DAY, help="The day on which messages are sent again."
)
@options.by
@options.reason
def mute(about: str, until: datetime.date, actor: str, reason: str) -> None:
    """Send nothing about an alert, a check or a table for a while.

    It is kept in the log with your name, listed, and ends by itself; what is still open then is sent. Nothing is hidden
    from the list, a critical alert is sent in any case, and the rollout rolls back all the same.

    \b
    setbull alerts mute 12 --until 2026-07-06 --by "A. Operator" --reason "known, mended on Friday"
    setbull alerts mute bars --until 2026-07-06 --by "A. Operator" --reason "short input files"
    setbull alerts mute v2.candles_5min --until 2026-07-06 --by "A. Operator" --reason "under work"
    """
    from setbull_pipelines.cli import alerts as work

    with asking():
        click.echo(work.mute(settings_in_force(), about, until, actor, reason))


@alerts.command()
@click.argument("number", type=click.IntRange(1))
@options.by
@click.option("--reason", help="Why, in one sentence.")
def acknowledge(number: int, actor: str, reason: str | None) -> None:
    """Stop the reminders of an alert.

    They start again if it gets worse. Its recovery is sent.

    \b
    setbull alerts acknowledge 12 --by "A. Operator"
    """
    from setbull_pipelines.cli import alerts as work

    with asking():
        click.echo(work.acknowledge(settings_in_force(), number, actor, reason))
