"""Progress and headings in the terminal.

Belongs here: drawing. Does not belong here: counting (``pipeline/progress.py``).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from setbull_pipelines.pipeline.progress import REACHED, Reached, logger
from setbull_pipelines.pipeline.time_left import WholeRun

_SIZE_OF_FILES = ConsoleDimensions(140, 25)
_SECONDS_BETWEEN_LINES = 10.0
_FRAMES_PER_SECOND = 4.0


class _Console(Console):
    """As wide as the window that it writes into, whatever the standard output is; files have a fixed width."""

    def __init__(self) -> None:
        super().__init__(highlight=False)
        # Not that of COLUMNS, which a program that loads readline sets for all that it starts.
        self._width = None

    @property
    def size(self) -> ConsoleDimensions:
        if self._width is not None:
            return ConsoleDimensions(self._width, _SIZE_OF_FILES.height)
        if not self.is_terminal:
            return _SIZE_OF_FILES
        try:
            return ConsoleDimensions(*os.get_terminal_size(self.file.fileno()))
        except (OSError, ValueError):
            return super().size


console = _Console()


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


class Shown(logging.Handler):
    """What is shown of work under way, from its progress records. What is not well stays; the rest is replaced."""

    def __init__(self, whole: WholeRun | None) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._whole = whole
        self._part = ""
        self._reached: Reached | None = None
        self._last = ""

    def part(self, number: int, of: int, name: str) -> None:
        """The next part of the work has begun."""
        self._part = f"step {number} of {of}: {name}"
        self._reached = None
        if self._whole:
            self._whole.begins(name, self._seconds)
        self._changed()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            console.print(f"  [yellow]{escape(record.getMessage())}[/yellow]")
            return
        self._reached = reached = getattr(record, REACHED, None)
        if reached is None:
            self._last = record.getMessage()
        elif self._whole and reached.total:
            self._whole.reached(reached.work, reached.done / reached.total, self._seconds)
        self._changed()

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _clocks(self) -> str:
        """How long it took until now and, where there is an estimate, how long it still takes."""
        left = self._whole and self._whole.seconds_left(self._seconds)
        until_now = f"{_clock(self._seconds)} elapsed"
        return until_now if left is None else f"{until_now}, about {_clock(left)} left"

    def _changed(self) -> None:
        """Show what has changed, where nothing shows it by itself."""


class _Lines(Shown):
    """For files and pipes: a line from time to time."""

    def __init__(self, whole: WholeRun | None) -> None:
        super().__init__(whole)
        self._told = self._began

    def _changed(self) -> None:
        now = time.monotonic()
        if now - self._told < _SECONDS_BETWEEN_LINES:
            return
        self._told = now
        found = str(self._reached or self._last)
        part = f"{self._part}, {self._clocks()}" if self._part else ""
        console.print(f"  {escape(': '.join(filter(None, (part, found))))}")


class _Display(Shown):
    """For a window: the part, the work with its bar, and the last result, in lines that change in place."""

    def __rich__(self) -> Group:
        reached, last = self._reached, self._last
        head = self._part or (reached.work if reached else last or "...")
        lines = [_row(Text(head, style="bold"), self._clocks())]
        if reached:
            total = None if reached.total is None else max(reached.total, 1)
            bar = ProgressBar(total=total, completed=reached.done)
            left = reached.seconds_left
            found = reached.count + ("" if left is None else f", {_clock(left)} left")
            lines.append(_row(f"  {reached.work}" if self._part else "", found, bar))
        if last and last != head:
            lines.append(_row(Text(f"  {last}", style="dim"), ""))
        return Group(*lines)


def _row(left: str | Text, right: str, bar: ProgressBar | None = None) -> Table:
    """One line: what is left and right is not broken, and the bar takes the room between."""
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(no_wrap=True, overflow="ellipsis")
    row.add_column(ratio=1)
    row.add_column(no_wrap=True, justify="right")
    row.add_row(left, bar or "", right)
    return row


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


@contextmanager
def showing_progress(heading: str = "", whole: WholeRun | None = None) -> Iterator[Shown]:
    """Print ``heading``, and show the progress records of the work inside: in a window in place, else now and then.

    ``whole`` is asked how long all parts of the work together still take.
    """
    if heading:
        console.print(f"[bold]{heading}[/bold]")
    with ExitStack() as stack:
        is_display = console.is_terminal and not (console.is_dumb_terminal or console.quiet)
        console.is_interactive = is_display  # rich has asked the standard output once, long ago
        shown = (_Display if is_display else _Lines)(whole)
        if is_display:
            stack.enter_context(_window())
            live = Live(
                shown, console=console, transient=True, refresh_per_second=_FRAMES_PER_SECOND
            )
            stack.enter_context(live)
        level, propagate = logger.level, logger.propagate
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(shown)
        try:
            yield shown
        finally:
            logger.removeHandler(shown)
            logger.setLevel(level)
            logger.propagate = propagate


@contextmanager
def beside_the_answer() -> Iterator[Shown]:
    """Show the progress records of the work inside on the error output: the standard output is for what it gives."""
    with aside(), showing_progress() as shown:
        yield shown


@contextmanager
def _window() -> Iterator[None]:
    """Write to the window itself: while a step runs, Dagster leads the standard output to a file of the step."""
    with os.fdopen(os.dup(console.file.fileno()), "w", encoding=console.encoding) as window:
        console.file = window
        try:
            yield
        finally:
            console.file = None
