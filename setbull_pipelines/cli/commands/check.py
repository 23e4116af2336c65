"""``setbull check``: what files are understood as."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from setbull_pipelines.cli import options
from setbull_pipelines.cli.reading_options import reading_options
from setbull_pipelines.cli.starting import reading_as, settings_in_force


@click.command()
@click.argument("path", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@options.as_json
@reading_options
def check(path: Path, as_json: bool, reading: dict[str, Any]) -> None:
    """Show how files are understood, without computing.

    Exit codes: 0 all of it was accepted, 1 some of it, 2 nothing.

    \b
    setbull check candles
    setbull check minutes.csv --columns date=timestamp --timezone UTC
    setbull check candles --json
    """
    from setbull_pipelines.cli.check import check as look_at
    from setbull_pipelines.cli.check import lines_of

    settings = reading_as(settings_in_force(with_recorded=False), reading)
    report = look_at(path.resolve(), settings, reading)
    click.echo(report.as_json() if as_json else "\n".join(lines_of(report)))
    sys.exit(report.exit_code)
