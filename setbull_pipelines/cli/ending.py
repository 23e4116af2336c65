"""How a command ends that cannot go on: one sentence after ``error:``, and an exit code.

Belongs here: the one place that prints errors and exits. Does not belong here: the sentences and their codes, which
errors bring along (``errors.py``), errors that nobody foresaw (``last_resort.py``).
"""

from __future__ import annotations

import sys
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


def stop_for(error: SetbullError) -> NoReturn:
    """End the command with the sentence and the exit code of the error."""
    stop(str(error), error.exit_code)


@contextmanager
def asking() -> Iterator[None]:
    """Around what a command reads and tells: files that cannot be read, or are damaged, do not fit what was asked.

    Outside, damage is a failure of the work, and what the machine refuses is told with a traceback kept in a file.
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
