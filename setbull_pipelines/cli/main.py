"""``setbull``: its verbs together, and how errors end them.

Belongs here: the group. Does not belong here: a verb (``commands/``), its work (the modules beside this one).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import click

from setbull_pipelines.cli.commands.actions import actions
from setbull_pipelines.cli.commands.alerts import alerts
from setbull_pipelines.cli.commands.api import api
from setbull_pipelines.cli.commands.catalog import catalog
from setbull_pipelines.cli.commands.chart import chart
from setbull_pipelines.cli.commands.check import check
from setbull_pipelines.cli.commands.convert import convert
from setbull_pipelines.cli.commands.divergence import divergence
from setbull_pipelines.cli.commands.doctor import doctor
from setbull_pipelines.cli.commands.fetch import fetch
from setbull_pipelines.cli.commands.import_old import import_old
from setbull_pipelines.cli.commands.invalidate import invalidate
from setbull_pipelines.cli.commands.report import report
from setbull_pipelines.cli.commands.revisions import revisions
from setbull_pipelines.cli.commands.rollout import rollout
from setbull_pipelines.cli.commands.run import run
from setbull_pipelines.cli.commands.scrub import scrub
from setbull_pipelines.cli.commands.self_test import self_test
from setbull_pipelines.cli.commands.settings import settings
from setbull_pipelines.cli.commands.sql import sql
from setbull_pipelines.cli.commands.ui import ui
from setbull_pipelines.cli.commands.upload import upload
from setbull_pipelines.cli.ending import leave, stop, stop_for
from setbull_pipelines.errors import INTERRUPTED, PROGRAM_FAULT, SetbullError
from setbull_pipelines.settings import data_directory

_VERBS = (
    *(run, check, fetch, import_old, settings),
    *(ui, api, sql, report, chart, divergence, revisions),
    *(rollout, actions, alerts),
    *(doctor, invalidate, catalog, scrub, self_test, upload, convert),
)


_WATCHED = {verb.name for verb in (run, fetch, import_old, scrub, self_test, convert, check)}
"""Those that read and compute for long, and whose process the system may end."""


def _watched() -> Callable[[], object] | None:
    """Let a child go on with a command that is watched, and end the parent as the child ends.

    What the child calls before it ends; None where nobody watches.
    """
    if sys.platform != "linux" or not (sys.argv[1:2] and sys.argv[1] in _WATCHED):
        return None
    from setbull_pipelines.cli.watching import Ended, in_a_child

    found = in_a_child()
    if not isinstance(found, Ended):
        return found
    if found.sentence:
        stop(found.sentence, found.code)
    sys.exit(found.code)


class _Verbs(click.Group):
    """Commands whose errors are one sentence, wherever they come up."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Without arguments, as the program of a process, which ends with it; else for a caller who goes on."""
        is_program = not arguments and not named
        ends = _watched() if is_program else None
        if is_program:
            # As Ctrl-C: with a sentence, and with a record of the run's end in Dagster.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return super().__call__(*arguments, **named)
        except SystemExit as ended:
            if ends:
                ends()
            if is_program and (ended.code is None or isinstance(ended.code, int)):
                leave(ended.code)
            raise
        except BaseException:
            if ends:
                os._exit(PROGRAM_FAULT)  # there is no memory left to tell it with: the parent has
            raise

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except SetbullError as error:
            stop_for(error)
        except KeyboardInterrupt:
            stop(
                "interrupted; what was published is whole, and the same command goes on",
                INTERRUPTED,
            )
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click has its own ends for these; a closed pipe is the end of `setbull ... | head`
        except Exception as error:
            from setbull_pipelines.cli.last_resort import damaged_storage, sentence_about

            directory = data_directory(os.environ)
            if told := damaged_storage(error, directory):
                stop(told)
            stop(sentence_about(error, directory), PROGRAM_FAULT)


@click.group(cls=_Verbs)
@click.version_option(package_name="setbull-pipelines")
def main() -> None:
    """NSE one-minute candles to reconciled filter results.

    \b
    Exit codes:
      0  all is well
      1  the work was done and its result is bad, or the work failed
      2  it cannot be done as asked
     70  a fault of the program
    130  interrupted

    \b
    setbull run
    setbull run --input candles --from 2026-06-01 --to 2026-06-30
    setbull COMMAND --help
    """


for _verb in _VERBS:
    main.add_command(_verb)


if __name__ == "__main__":
    main()
