"""``setbull run``: every asset for a range of trading days."""

from __future__ import annotations

import dataclasses
import datetime
import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from setbull_pipelines.cli import options
from setbull_pipelines.cli.ending import stop
from setbull_pipelines.cli.reading_options import reading_options
from setbull_pipelines.cli.starting import bring_catalog_home, reading_as, settings_in_force
from setbull_pipelines.errors import FAILED
from setbull_pipelines.settings import INPUT_VARIABLE, Replay, Settings, replaying

if TYPE_CHECKING:
    from setbull_pipelines.cli.run import Outcome


@click.command()
@click.option(
    "--input", "source", help="File or folder with candles; default: the generated sample."
)
@click.option("--from", "first", type=options.DAY, help="First trading day.")
@click.option("--to", "last", type=options.DAY, help="Last trading day.")
@click.option(
    "--as-of",
    callback=options.moment,
    help="Only what had been taken in by YYYY-MM-DDTHH:MM, exchange time; in a data folder of its own.",
)
@click.option("--quiet", is_flag=True, help="Print only what is wrong.")
@options.as_json
@reading_options
def run(
    source: str | None,
    first: datetime.date | None,
    last: datetime.date | None,
    as_of: datetime.datetime | None,
    quiet: bool,
    as_json: bool,
    reading: dict[str, Any],
) -> None:
    """Materialize every asset and print the results.

    For a range of trading days; without one, for those of the input. With --json the result is one object on the
    standard output, and progress goes to the error output.
    Exit codes: 0 all well, 1 a check or the work failed, 2 it cannot be done as asked, 130 interrupted.

    \b
    setbull run
    setbull run --input candles --from 2026-06-01 --to 2026-06-30
    setbull run --quiet --json > result.json
    """
    from setbull_pipelines.cli.terminal import aside

    with aside(quiet) if quiet or as_json else nullcontext():
        outcome = _carry_out(source, first, last, as_of, reading)
        if not as_json:
            from setbull_pipelines.cli.report import print_report

            print_report(outcome)
    if as_json:
        from setbull_pipelines.cli.json_answers import as_text, of_run

        click.echo(as_text(of_run(outcome)))
    if outcome.failed_checks:
        if quiet:
            for check in outcome.failed_checks:
                name = f"{check.asset_key.to_user_string()} {check.check_name}"
                click.echo(f"{name}: {check.description or ''}", err=True)
        stop(f"{len(outcome.failed_checks)} checks failed", FAILED)


def _carry_out(
    source: str | None,
    first: datetime.date | None,
    last: datetime.date | None,
    as_of: datetime.datetime | None,
    reading: dict[str, Any],
) -> Outcome:
    settings = _settings_of(source, as_of, reading)

    from setbull_pipelines.cli.days import choose_days, closed_days, refuse_impossible
    from setbull_pipelines.cli.home import claim, prepare_dagster_home
    from setbull_pipelines.cli.refused import tell_what_was_understood, with_nothing_accepted
    from setbull_pipelines.cli.run import read_input, sessions_to_correct
    from setbull_pipelines.cli.run import run as execute
    from setbull_pipelines.cli.terminal import console
    from setbull_pipelines.pipeline.opening import now
    from setbull_pipelines.sources.intake import NoCandles

    refuse_impossible(first, last, now().date())
    console.print(
        f"input: {settings.input or 'generated sample (not real prices)'}\n"
        f"data folder: {settings.data_directory}"
        + (f"\nas known at {as_of:%Y-%m-%d %H:%M:%S}, exchange time" if as_of else "")
    )
    try:
        # Nothing of earlier results is touched before the input and the days are known to be good.
        intake, seconds = read_input(settings)
        if not intake.has_accepted_rows:
            stop(with_nothing_accepted(intake, settings, reading))
        days = [closed_days(intake.days(kind), now()) for kind in ("minutes", "daily")]
        choose_days(*days, settings, first, last)
    except NoCandles as error:
        stop(with_nothing_accepted(error.intake, settings, reading))
    try:
        note = claim(settings.data_directory, settings.input, settings.replay, reading)
        prepare_dagster_home(settings.data_directory, settings.runs)
    except OSError as error:
        stop(str(error))
    bring_catalog_home(settings)
    asked = choose_days(*days, settings, first, last, sessions_to_correct(settings, intake))
    for line in (note, asked.note):
        if line:
            console.print(line)
    tell_what_was_understood(intake, settings, reading)
    outcome = execute(settings, intake, asked)
    outcome.seconds = {"reading the input": seconds} | outcome.seconds
    return outcome


def _settings_of(
    source: str | None, as_of: datetime.datetime | None, reading: dict[str, Any]
) -> Settings:
    """The settings with the input of the command line, or with a replay of what had arrived ``as_of`` a moment."""
    settings = settings_in_force(with_recorded=False)
    if settings.replay:
        stop(
            f"data folder {settings.data_directory}: found the replay as of {settings.replay.as_of}, expected the "
            "folder of a run; its tables stay as they are"
        )
    chosen = source or (settings.input if as_of else os.environ.get(INPUT_VARIABLE))
    settings = dataclasses.replace(
        reading_as(settings, reading), input=str(Path(chosen).resolve()) if chosen else None
    )
    return _replaying(settings, as_of) if as_of else settings


def _replaying(settings: Settings, as_of: datetime.datetime) -> Settings:
    from setbull_pipelines.cli.home import replay_directory
    from setbull_pipelines.pipeline.raw import landing_directory

    if settings.input is None:
        stop("--as-of: found the generated sample, which never changes; expected --input")
    return replaying(
        settings,
        Replay(as_of, landing_directory(settings)),
        replay_directory(settings.data_directory, as_of),
    )
