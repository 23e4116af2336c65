"""How a command ends: with one sentence after ``error:`` and an exit code where it cannot go on, and at once.

Belongs here: the one place that prints errors and exits. Does not belong here: the sentences and their codes, which
errors bring along (``errors.py``), errors that nobody foresaw (``last_resort.py``).
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from setbull_pipelines.errors import FAILED, UNUSABLE, SetbullError
from setbull_pipelines.warehouse.errors import DamagedPartition


def stop(message: str, code: int = UNUSABLE) -> NoReturn:
    """End the command with the sentence."""
    click.echo(f"error: {message}", err=True)
    sys.exit(code)


def leave(code: int | None) -> None:
    """End the process without taking apart, object by object, what it has loaded, which takes half a second.

    Everybody who asked to be called at the end is called, and what was printed is written. Returns, for the usual end,
    where a thread is still at work, output cannot be written, or somebody watches: a profiler, a debugger, coverage.
    """
    others = set(threading.enumerate()) - {threading.current_thread()}
    is_watched = sys.getprofile() is not None or sys.gettrace() is not None
    if is_watched or not all(thread.daemon for thread in others):
        return
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return
    os._exit((code or 0) & 0xFF)


def stop_for(error: SetbullError) -> NoReturn:
    """End the command with the sentence and the exit code of the error."""
    stop(str(error), error.exit_code)


@contextmanager
def asking() -> Iterator[None]:
    """Around what a command reads and tells: files that cannot be read, or are damaged, do not fit what was asked.

    Outside, damage is a failure of the work, and a refusal of the machine is a sentence, with its traceback in a file.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of the answer has gone, which `setbull ... | head` is meant to do
    except DamagedPartition as error:
        stop(str(error))
    except SetbullError as error:
        stop_for(error)
    except OSError as error:
        stop(str(error))


@contextmanager
def working() -> Iterator[None]:
    """Around work on stored files whose result is bad when a file cannot be read or written."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (SetbullError, OSError) as error:
        stop(str(error), FAILED)
