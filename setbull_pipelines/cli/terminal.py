"""Progress and headings in the terminal.

Belongs here: drawing. Does not belong here: counting (``pipeline/progress.py``).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

_WIDTH_OF_FILES = 140
_SHOWN_FROM_SECONDS = 1.0
console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)


def tell(text: str) -> None:
    """Print a text for people as it is, long lines included, where the rest for them goes."""
    console.print(text, markup=False, soft_wrap=True)


@contextmanager
def aside(quiet: bool = False) -> Iterator[None]:
    """Keep what is for people out of the standard output: on the error output, or nowhere when ``quiet``."""
    before = console.stderr, console.quiet
    console.stderr, console.quiet = True, quiet
    try:
        yield
    finally:
        console.stderr, console.quiet = before


class _ProgressLines(logging.Handler):
    """Shows progress records: one changing line in a terminal, one line each elsewhere.

    Results stay. Work that was done within a second is no line of its own where lines do not change.
    """

    def __init__(self, status) -> None:
        super().__init__()
        self._status = status

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if getattr(record, "stays", False):
            console.print(f"  {escape(message)}")
        elif console.is_terminal:
            self._status.update(escape(message))
        elif getattr(record, "seconds", _SHOWN_FROM_SECONDS) >= _SHOWN_FROM_SECONDS:
            console.print(f"  {escape(message)}")


@contextmanager
def showing_progress(heading: str) -> Iterator[None]:
    """Show ``heading`` and the progress records of the work inside."""
    logger = logging.getLogger("setbull_pipelines.progress")
    logger.setLevel(logging.INFO)
    console.print(f"[bold]{heading}[/bold]")
    with console.status(heading) as status:
        handler = _ProgressLines(status)
        logger.addHandler(handler)
        propagate, logger.propagate = logger.propagate, False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.propagate = propagate
