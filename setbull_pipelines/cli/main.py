"""The verbs of ``setbull``.

Belongs here: options and error sentences. Does not belong here: work (the modules beside this one).
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import sys
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import click

from setbull_pipelines.cli.reading_options import reading_options
from setbull_pipelines.market.session_table import TIMEZONE
from setbull_pipelines.settings import (
    INPUT_VARIABLE,
    InvalidSettings,
    Settings,
    data_directory,
    load_settings,
)
from setbull_pipelines.tables.look_back import refuse_short_look_back
from setbull_pipelines.warehouse.errors import DamagedPartition, StoreUnavailable

_FAILED = 1
_UNUSABLE = 2
_INTERRUPTED = 130
"""As shells say of what SIGINT ended."""
_SQL_WIDTH = 200


def _day(context: click.Context, parameter: click.Parameter, text: str | None):
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"found {text!r}, expected a date YYYY-MM-DD") from None


def _moment(context: click.Context, parameter: click.Parameter, text: str | None):
    if text is None:
        return None
    try:
        if len(text) <= len("2026-11-20"):
            raise ValueError  # midnight of a day is seldom what a date alone means
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"found {text!r}, expected a moment YYYY-MM-DDTHH:MM, exchange time"
        ) from None
    zone = ZoneInfo(TIMEZONE)
    return moment.astimezone(zone) if moment.tzinfo else moment.replace(tzinfo=zone)


def _stop(message: str, code: int = _UNUSABLE) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)


def _settings(with_recorded: bool = True) -> Settings:
    """The settings; how files were understood by the last run of the data folder only ``with_recorded``."""
    try:
        return refuse_short_look_back(load_settings(with_recorded=with_recorded))
    except InvalidSettings as error:
        _stop(str(error))


def _bring_catalog_home(settings: Settings) -> None:
    """Tell what was done to a catalog that reads the files of another data folder, or why it stays."""
    from setbull_pipelines.assets.catalog import UNREADABLE, bring_catalog_home
    from setbull_pipelines.assets.common import catalog_path

    try:
        told = bring_catalog_home(settings)
    except (OSError, *UNREADABLE) as error:
        told = f"{catalog_path(settings)}: not of this data folder, and cannot be rebuilt: {error}"
    if told:
        click.echo(told, err=True)


class _Verbs(click.Group):
    """Commands whose errors are one sentence, wherever they come up."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except (InvalidSettings, StoreUnavailable) as error:
            _stop(str(error))
        except DamagedPartition as error:
            _stop(str(error), _FAILED)
        except KeyboardInterrupt:
            _stop(
                "interrupted; what was published is whole, and the same command goes on",
                _INTERRUPTED,
            )
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from setbull_pipelines.cli.last_resort import EXIT_CODE, sentence_about

            _stop(sentence_about(error, data_directory(os.environ)), EXIT_CODE)


@click.group(cls=_Verbs)
@click.version_option(package_name="setbull-pipelines")
def main() -> None:
    """NSE one-minute candles to reconciled filter results."""


@main.command()
@click.option(
    "--input", "source", help="File or folder with candles; default: the generated sample."
)
@click.option("--from", "first", callback=_day, help="First trading day, YYYY-MM-DD.")
@click.option("--to", "last", callback=_day, help="Last trading day, YYYY-MM-DD.")
@click.option(
    "--as-of",
    callback=_moment,
    help="Only what had been taken in by YYYY-MM-DDTHH:MM, exchange time; in a data folder of its own.",
)
@reading_options
def run(
    source: str | None,
    first: datetime.date | None,
    last: datetime.date | None,
    as_of: datetime.datetime | None,
    reading: dict[str, Any],
) -> None:
    """Materialize every asset for a range of trading days and print the results."""
    settings = _settings(with_recorded=False)
    if settings.replay:
        _stop(
            f"data folder {settings.data_directory}: found the replay as of {settings.replay.as_of}, expected the "
            "folder of a run; its tables stay as they are"
        )
    chosen = source or (settings.input if as_of else os.environ.get(INPUT_VARIABLE))
    settings = dataclasses.replace(
        _reading_as(settings, reading), input=str(Path(chosen).resolve()) if chosen else None
    )
    if as_of:
        settings = _replaying(settings, as_of)

    from setbull_pipelines.assets.common import now
    from setbull_pipelines.cli.days import NothingToRun, choose_days, closed_days
    from setbull_pipelines.cli.home import claim, prepare_dagster_home
    from setbull_pipelines.cli.refused import tell_what_was_understood, with_nothing_accepted
    from setbull_pipelines.cli.report import print_report
    from setbull_pipelines.cli.run import RunFailed, read_input, sessions_to_correct
    from setbull_pipelines.cli.run import run as execute
    from setbull_pipelines.cli.terminal import console
    from setbull_pipelines.sources.found_files import NoInput
    from setbull_pipelines.sources.intake import NoCandles

    console.print(
        f"input: {settings.input or 'generated sample (not real prices)'}\n"
        f"data folder: {settings.data_directory}"
        + (f"\nas known at {as_of:%Y-%m-%d %H:%M:%S}, exchange time" if as_of else "")
    )
    try:
        # Nothing of earlier results is touched before the input and the days are known to be good.
        intake, seconds = read_input(settings)
        if not intake.has_accepted_rows:
            _stop(with_nothing_accepted(intake, settings, reading))
        days = [closed_days(intake.days(kind), now()) for kind in ("minutes", "daily")]
        choose_days(*days, settings, first, last)
    except NoCandles as error:
        _stop(with_nothing_accepted(error.intake, settings, reading))
    except (NoInput, NothingToRun) as error:
        _stop(str(error))
    try:
        note = claim(settings.data_directory, settings.input, settings.replay, reading)
        prepare_dagster_home(settings.data_directory, settings.runs)
    except (InvalidSettings, OSError) as error:
        _stop(str(error))
    _bring_catalog_home(settings)
    asked = choose_days(*days, settings, first, last, sessions_to_correct(settings, intake))
    for line in (note, asked.note):
        if line:
            console.print(line)
    tell_what_was_understood(intake, settings, reading)
    try:
        outcome = execute(settings, intake, asked)
    except RunFailed as error:
        _stop(str(error), _FAILED)
    outcome.seconds = {"reading the input": seconds} | outcome.seconds
    print_report(outcome)
    if outcome.failed_checks:
        _stop(f"{len(outcome.failed_checks)} checks failed", _FAILED)


def _reading_as(settings: Settings, given: dict[str, Any]) -> Settings:
    """The settings with how files are understood as the command says, beside the settings file."""
    from setbull_pipelines.cli.reading_options import with_options

    return dataclasses.replace(settings, reading=with_options(settings.reading, given))


@main.command()
@click.argument("path", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@reading_options
def check(path: Path, as_json: bool, reading: dict[str, Any]) -> None:
    """Say what files are understood as, without computing: exit code 0 all, 1 some, 2 nothing accepted."""
    from setbull_pipelines.cli.check import check as look_at
    from setbull_pipelines.cli.check import lines_of
    from setbull_pipelines.sources.found_files import NoInput

    settings = _reading_as(_settings(with_recorded=False), reading)
    try:
        report = look_at(path.resolve(), settings, reading)
    except NoInput as error:
        _stop(str(error))
    click.echo(report.as_json() if as_json else "\n".join(lines_of(report)))
    sys.exit(report.exit_code)


def _replaying(settings: Settings, as_of: datetime.datetime) -> Settings:
    from setbull_pipelines.cli.home import replay_directory
    from setbull_pipelines.pipeline.raw import landing_directory
    from setbull_pipelines.settings import Replay, replaying

    if settings.input is None:
        _stop("--as-of: found the generated sample, which never changes; expected --input")
    return replaying(
        settings,
        Replay(as_of, landing_directory(settings)),
        replay_directory(settings.data_directory, as_of),
    )


@main.command()
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
    """Ask the broker for the candles that are missing; a fetch that was cut short goes on where it was."""
    settings = _settings()

    from setbull_pipelines.cli.fetch import carry_out, refresh_master
    from setbull_pipelines.market.calendar import OutsideCoverage
    from setbull_pipelines.pipeline import fetching
    from setbull_pipelines.sources.upstox.calls import CallFailed
    from setbull_pipelines.sources.upstox.client import InvalidToken
    from setbull_pipelines.sources.upstox.master import InvalidMaster

    try:
        upstox = settings.upstox
        if days is not None:
            upstox = dataclasses.replace(upstox, days=days, daily_days=days)
        sessions = fetching.configured_sessions(upstox)
        if master or upstox.refresh_instruments:
            refresh_master(settings)
        instruments = (
            fetching.instruments_of(listed) if listed else fetching.configured_instruments(settings)
        )
        chosen = {interval: sessions[interval]} if interval else sessions
        fetched = carry_out(instruments, chosen, settings, also_open)
    except (
        CallFailed,
        InvalidMaster,
        InvalidSettings,
        InvalidToken,
        OutsideCoverage,
        fetching.NoInstruments,
        OSError,
    ) as error:
        _stop(str(error))
    if fetched.stopped:
        _stop(fetched.stopped, _FAILED)
    if failed := fetched.count(fetching.FAILED):
        _stop(f"{failed} of {len(fetched.results)} failed", _FAILED)


@main.command("import")
@click.argument("source", required=False)
@click.option(
    "--timezone",
    "zone",
    type=click.Choice(("Asia/Kolkata", "UTC")),
    help="Zone of moments without one; default: told by the session that they lie in.",
)
@click.option(
    "--validate", "validates", is_flag=True, help="Hold what was imported against V1 instead."
)
def import_old(source: str | None, zone: str | None, validates: bool) -> None:
    """Bring the old system's tables into imported/: SQL dumps, CSV exports, or mysql://USER@HOST:PORT/DATABASE."""
    from setbull_pipelines.cli import importing as work
    from setbull_pipelines.cli.rollout import UNREADABLE
    from setbull_pipelines.sources.legacy.old_tables import CannotImport

    settings = _settings()
    try:
        lines = (
            work.validate(settings)
            if validates
            else work.bring(work.streams_of(source), settings, zone)
        )
        for line in lines:
            click.echo(line)
    except work.Miscounted as error:
        _stop(str(error), _FAILED)
    except (CannotImport, OSError, *UNREADABLE) as error:
        _stop(str(error))


@main.command()
@click.argument("instrument")
@click.option(
    "--from", "first", callback=_day, help="First trading day; default: the first stored."
)
@click.option("--to", "last", callback=_day, help="Last trading day; default: the last stored.")
def invalidate(instrument: str, first: datetime.date | None, last: datetime.date | None) -> None:
    """Have one instrument (its key) computed again in both variants; deletes nothing."""
    from setbull_pipelines.cli.invalidating import NothingStored, mark
    from setbull_pipelines.cli.rollout import UNREADABLE

    try:
        for line in mark(_settings(), instrument, first, last):
            click.echo(line)
    except (NothingStored, OSError, *UNREADABLE) as error:
        _stop(str(error))


@main.command()
def upload() -> None:
    """Bring the tables of the data folder to the object store that storage.remote names."""
    from setbull_pipelines.cli.rollout import UNREADABLE
    from setbull_pipelines.cli.uploading import NothingToUpload, bring

    try:
        click.echo(bring(_settings()))
    except (NothingToUpload, *UNREADABLE) as error:
        _stop(str(error))


@main.command()
def convert() -> None:
    """Bring the tables of a data folder from an older version to the layout of this one; rows are not touched."""
    from setbull_pipelines.assets.common import open_warehouse, warehouse_root

    settings = _settings()
    try:
        converted = open_warehouse(settings).convert()
    except OSError as error:
        _stop(str(error))
    if not converted:
        _stop(f"{warehouse_root(settings)}: found nothing of an older version")
    click.echo(f"{warehouse_root(settings)}: {converted:,} partitions converted")
    _bring_catalog_home(settings)


@main.command()
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
def ui(port: int) -> None:
    """Open the Dagster UI with the daemon, on this machine only."""
    from setbull_pipelines.cli.home import PROJECT, prepare_dagster_home

    settings = _settings()
    prepare_dagster_home(settings.data_directory, settings.runs)
    click.echo(f"opening http://127.0.0.1:{port} on the tables of {settings.data_directory}")
    # Dagster points to its newer command `dg dev`, which is an extra here: no news for who opens the UI.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:Function `dev_command` is superseded")
    os.chdir(PROJECT)
    os.execv(
        sys.executable,
        [
            sys.executable,
            *("-m", "dagster", "dev", "--workspace", "workspace.yaml"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
    )


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
def api(host: str, port: int) -> None:
    """Serve the read API over the served tables; beyond this machine only with a token."""
    settings = _settings()
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        _stop(
            f"{error.name} is not installed; install the extra: pip install 'setbull_pipelines[api]'"
        )
    from setbull_pipelines.api.server import NotAllowed, serve

    _bring_catalog_home(settings)
    try:
        serve(settings, host, port)
    except (NotAllowed, OSError) as error:
        _stop(str(error))


@main.command()
@click.argument("query")
@click.option("--rows", default=50, show_default=True, help="Rows shown at most.")
def sql(query: str, rows: int) -> None:
    """Ask the catalog, read-only: setbull sql "SELECT * FROM served.filter_results"."""
    import duckdb

    from setbull_pipelines.cli.asking import (
        damaged_days,
        days_without_all_of_v1,
        opened_catalog,
        removed_rows,
    )
    from setbull_pipelines.warehouse.errors import ContractViolation, DamagedPartition
    from setbull_pipelines.warehouse.queries import NotOneQuestion, ask

    settings = _settings()
    try:
        if settings.rollout.kill:
            click.echo("the kill switch is on: served tables show V1", err=True)
            for sentence in days_without_all_of_v1(settings):
                click.echo(sentence, err=True)
        else:
            _bring_catalog_home(settings)
        for sentence in (*removed_rows(settings, query), *damaged_days(settings, query)):
            click.echo(sentence, err=True)
        with opened_catalog(settings) as connection:
            ask(connection, query).show(max_rows=rows, max_width=_SQL_WIDTH)
    except (FileNotFoundError, ContractViolation, DamagedPartition, NotOneQuestion) as error:
        _stop(str(error))
    except duckdb.Error as error:
        # What follows is the statement that was made of the question.
        _stop(str(error).partition("\n\nLINE ")[0])


@main.command()
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Data folder; default: the configured one.",
)
@click.option(
    "--relative",
    is_flag=True,
    help="Also make setbull-relative.duckdb, which names files from the data folder; runs keep it up to date.",
)
@click.option(
    "--rebuild",
    is_flag=True,
    help="First make catalog.sqlite again from the data files; nobody may write meanwhile.",
)
def catalog(root: Path | None, relative: bool, rebuild: bool) -> None:
    """Rebuild the DuckDB views of a data folder, after it was copied or moved."""
    from setbull_pipelines.assets.catalog import (
        UNREADABLE,
        is_stored,
        rebuild_relative_catalog,
        refresh_catalog,
    )
    from setbull_pipelines.assets.common import open_warehouse, warehouse_root

    settings = _settings()
    if root:
        settings = dataclasses.replace(settings, data_directory=root.resolve())
    if rebuild and warehouse_root(settings).is_dir():
        found = open_warehouse(settings).rebuild()
        click.echo(
            f"{open_warehouse(settings).commits.path}: {found:,} versions found in the files"
        )
    if not warehouse_root(settings).is_dir() or not is_stored(open_warehouse(settings)):
        _stop(f"{settings.data_directory}: found no tables, expected the data folder of a run")
    try:
        click.echo(refresh_catalog(open_warehouse(settings), settings))
        if relative:
            click.echo(rebuild_relative_catalog(open_warehouse(settings), settings))
    except (OSError, *UNREADABLE) as error:
        _stop(str(error))


@main.command()
def scrub() -> None:
    """Hold stored files against their hashes, longest unverified first, and make damaged ones again."""
    from setbull_pipelines.assets.catalog import UNREADABLE, is_stored
    from setbull_pipelines.assets.common import now, open_warehouse, warehouse_root
    from setbull_pipelines.assets.scrub import scrub_stored_files

    settings = _settings()
    if not warehouse_root(settings).is_dir() or not is_stored(open_warehouse(settings)):
        _stop(f"{settings.data_directory}: found no tables, expected the data folder of a run")
    try:
        found = scrub_stored_files(
            open_warehouse(settings), settings, now(), "setbull scrub", all_files=True
        )
    except (OSError, *UNREADABLE) as error:
        _stop(str(error), _FAILED)
    for damage in found.damages:
        click.echo(damage.sentence, err=damage.reason is not None)
    click.echo(
        f"{found.verified:,} files verified, {len(found.damages):,} damaged, {found.left:,} left for the next scrub"
    )
    if any(damage.reason for damage in found.damages):
        _stop("not all damaged files could be made again", _FAILED)


@main.group()
def rollout() -> None:
    """Which variant is served: look, or act with your name in the log."""


_COMPONENTS = ("aggregation", "indicators", "sequences")
_STAGES = ("off", "shadow", "10", "50", "100", "sampled", "retired")
_component = click.option(
    "--component", type=click.Choice(_COMPONENTS), help="Only this one; default: all three."
)
_by = click.option("--by", "actor", required=True, help="Your name; it is kept in the log.")
_reason = click.option("--reason", required=True, help="Why, in one sentence.")


@rollout.command()
def status() -> None:
    """Stage of every component, and the share that is really served from V2."""
    from setbull_pipelines.cli import rollout as work
    from setbull_pipelines.rollout.log import IllegalLog

    settings = _settings()
    if settings.rollout.kill:
        click.echo(work.KILL_SWITCH_ON)
    try:
        for line in work.status(settings):
            click.echo(line)
    except (IllegalLog, *work.UNREADABLE) as error:
        _stop(str(error))


@rollout.command()
@_component
@click.option(
    "--rows", default=20, show_default=True, type=click.IntRange(1), help="The last ones."
)
def history(component: str | None, rows: int) -> None:
    """Evaluations and actions, oldest first."""
    from setbull_pipelines.cli import rollout as work
    from setbull_pipelines.rollout.stages import Component

    try:
        chosen = Component.named(component) if component else None
        for line in work.history(_settings(), chosen, rows):
            click.echo(line)
    except work.UNREADABLE as error:
        _stop(str(error))


def _act(
    verb: str, component: str | None, actor: str, reason: str, stage: str | None = None
) -> None:
    from setbull_pipelines.cli import rollout as work
    from setbull_pipelines.rollout.controller import Verdict
    from setbull_pipelines.rollout.log import IllegalLog
    from setbull_pipelines.rollout.stages import Component, Stage

    components = [Component.named(component)] if component else list(Component)
    target = Stage.named(stage) if stage else None
    try:
        for line in work.act(_settings(), components, Verdict(verb), actor, reason, target):
            click.echo(line)
    except (IllegalLog, OSError, *work.UNREADABLE) as error:
        _stop(str(error))


@rollout.command()
@click.argument("component", type=click.Choice(_COMPONENTS))
@click.argument("stage", type=click.Choice(_STAGES))
@_by
@_reason
def force(component: str, stage: str, actor: str, reason: str) -> None:
    """Move a component to a stage."""
    _act("forced", component, actor, reason, stage)


@rollout.command()
@_component
@click.option("--release", is_flag=True, help="End the freeze.")
@_by
@_reason
def freeze(component: str | None, release: bool, actor: str, reason: str) -> None:
    """Stop advancing; rolling back still works."""
    _act("released" if release else "frozen", component, actor, reason)


@rollout.command()
@_component
@_by
@_reason
def kill(component: str | None, actor: str, reason: str) -> None:
    """Back to off and latched, from the next serving on."""
    _act("killed", component, actor, reason)


@rollout.command()
@_by
@_reason
def restore(actor: str, reason: str) -> None:
    """Get a lost or damaged log back from the files that are left of it."""
    from setbull_pipelines.cli import rollout as work
    from setbull_pipelines.rollout.log import IllegalLog

    try:
        for line in work.restore(_settings(), actor, reason):
            click.echo(line)
    except (IllegalLog, OSError, *work.UNREADABLE) as error:
        _stop(str(error))


@rollout.command()
@_component
@_by
@_reason
def rearm(component: str | None, actor: str, reason: str) -> None:
    """Release the latch; the component starts at shadow."""
    _act("re-armed", component, actor, reason)


@main.group()
def actions() -> None:
    """Corporate actions: gaps that none explains, what is proposed for them, and your decisions."""


_ACTION_KINDS = ("split or bonus", "split", "bonus", "demerger", "special dividend", "rights")


def _tell_actions(verb: str, *arguments: object) -> None:
    from setbull_pipelines.cli import actions as work
    from setbull_pipelines.cli.rollout import UNREADABLE
    from setbull_pipelines.sources.decided_actions import DamagedDecisions

    try:
        for line in getattr(work, verb)(_settings(), *arguments):
            click.echo(line)
    except (work.NothingToDecide, DamagedDecisions, OSError, *UNREADABLE) as error:
        _stop(str(error))


def _about_a_gap(command):
    for decorate in (
        _reason,
        _by,
        click.argument("day", callback=_day),
        click.argument("instrument"),
    ):
        command = decorate(command)
    return command


@actions.command("list")
def list_actions() -> None:
    """The actions in force, and every decision."""
    _tell_actions("listing")


@actions.command()
def propose() -> None:
    """Gaps that no action explains, each with the command that would; applies nothing."""
    _tell_actions("proposals")


@actions.command()
@_about_a_gap
@click.option("--kind", type=click.Choice(_ACTION_KINDS), help="Default: split or bonus.")
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
    _tell_actions("accept", instrument, day, kind, ratio, actor, reason)


@actions.command()
@_about_a_gap
def reject(instrument: str, day: datetime.date, actor: str, reason: str) -> None:
    """Propose nothing for the DAY any more, and take back what was accepted for it."""
    _tell_actions("reject", instrument, day, actor, reason)


@actions.command()
@_about_a_gap
def genuine(instrument: str, day: datetime.date, actor: str, reason: str) -> None:
    """The price really moved on the DAY: nothing is adjusted, and the filters decide."""
    _tell_actions("genuine", instrument, day, actor, reason)


@main.command()
@click.option("--table", required=True, help="Computed table, for example indicators_5min.")
@click.option("--day", required=True, callback=_day, help="Trading day, YYYY-MM-DD.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; default: reports/ in the data folder.",
)
def divergence(table: str, day: datetime.date, out: Path | None) -> None:
    """Write one HTML page that shows where, how and since when V2 differs from V1."""
    from setbull_pipelines.cli.divergence import UNREADABLE, UnknownTable, write_page

    settings = _settings()
    _bring_catalog_home(settings)
    try:
        click.echo(write_page(settings, table, day, out))
    except (UnknownTable, OSError, *UNREADABLE) as error:
        _stop(str(error))


@main.command()
@click.option("--day", callback=_day, help="Trading day, YYYY-MM-DD; default: all.")
@click.option("--instrument", help="Instrument key; default: all.")
@click.option(
    "--rows", default=20, show_default=True, type=click.IntRange(1), help="Changes shown at most."
)
def revisions(day: datetime.date | None, instrument: str | None, rows: int) -> None:
    """What later files corrected: how many bars, by how much, before or after they were final."""
    from setbull_pipelines.cli.revisions import UNREADABLE, print_revisions

    try:
        print_revisions(_settings(), day, instrument, rows)
    except UNREADABLE as error:
        _stop(str(error))


@main.command()
@click.option("--day", callback=_day, help="Trading day, YYYY-MM-DD; default: the last served one.")
@click.option("--open", "opens", is_flag=True, help="Open it in the browser.")
def report(day: datetime.date | None, opens: bool) -> None:
    """Write the daily report, one HTML file that needs no network, and print its path."""
    from setbull_pipelines.cli.daily_report import UNREADABLE, write_report

    settings = _settings()
    _bring_catalog_home(settings)
    try:
        path = write_report(settings, day)
    except (OSError, *UNREADABLE) as error:
        _stop(str(error))
    click.echo(path)
    if opens:
        click.launch(path.as_uri())


@main.group()
def alerts() -> None:
    """What needs attention, and who is told."""


@alerts.command("list")
@click.option(
    "--rows", default=20, show_default=True, type=click.IntRange(1), help="Alerts shown at most."
)
def list_alerts(rows: int) -> None:
    """Open alerts, the worst first, then the last others, and what could not be delivered."""
    from setbull_pipelines.cli import alerts as work
    from setbull_pipelines.cli.rollout import UNREADABLE

    try:
        for line in work.alert_lines(_settings(), rows):
            click.echo(line)
    except UNREADABLE as error:
        _stop(str(error))


@alerts.command("test")
def test_alerts() -> None:
    """Send a test message to every channel of the settings."""
    from setbull_pipelines.cli.alerts import send_test

    settings = _settings()
    if not settings.alerts.channels:
        _stop("setting alerts.channels: found no channel, expected at least one to test")
    failed = 0
    for channel, error in send_test(settings):
        click.echo(f"{channel}: {error or 'delivered'}")
        failed += error is not None
    if failed:
        _stop(f"{failed} of {len(settings.alerts.channels)} channels did not accept it", _FAILED)


@alerts.command("deliver")
def deliver_alerts() -> None:
    """Look at the rollout and the calendar and deliver what is due, for cron without the daemon."""
    from setbull_pipelines.cli.alerts import deliver_due
    from setbull_pipelines.cli.home import prepare_dagster_home
    from setbull_pipelines.cli.rollout import UNREADABLE

    settings = _settings()
    try:
        prepare_dagster_home(settings.data_directory, settings.runs)
        lines, delivered = deliver_due(settings)
    except (OSError, *UNREADABLE) as error:
        _stop(str(error))
    for line in lines:
        click.echo(line)
    if not delivered:
        sys.exit(_FAILED)


@main.command("settings")
@click.option(
    "--defaults", is_flag=True, help="The defaults with what each means, to start a file from."
)
def print_settings(defaults: bool) -> None:
    """Every setting with its value and where that is from; secrets are never shown."""
    from setbull_pipelines.cli.settings import default_lines, lines_of
    from setbull_pipelines.settings.loading import load_with_origins

    lines = default_lines() if defaults else lines_of(load_with_origins(), os.environ)
    for line in lines:
        click.echo(line)


@main.command("self-test")
def self_test() -> None:
    """Break V2 in every known way and require that each fault is caught and its cause named."""
    from setbull_pipelines.cli.self_test import keep_score, print_score
    from setbull_pipelines.reconciliation.self_test.score import run_self_test

    settings = _settings()
    result = run_self_test()
    print_score(result)
    click.echo(keep_score(result, settings))
    if not result.is_perfect:
        _stop("the reconciliation missed or misnamed a fault, or raised a false alarm", _FAILED)


if __name__ == "__main__":
    main()
