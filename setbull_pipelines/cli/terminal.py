"""Progress and headings in the terminal.

Belongs here: drawing. Does not belong here: counting (``pipeline/progress.py``).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

_WIDTH_OF_FILES = 140
console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)


class _ProgressLines(logging.Handler):
    """Shows progress records: one changing line in a terminal, one line each elsewhere."""

    def __init__(self, status) -> None:
        super().__init__()
        self._status = status

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if console.is_terminal:
            self._status.update(message)
        else:
            console.print(f"  {message}")


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
