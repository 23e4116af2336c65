"""``setbull check``: what files are understood as."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from setbull_pipelines.cli.reading_options import reading_options
from setbull_pipelines.cli.starting import reading_as, settings_in_force


@click.command()
@click.argument("path", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@reading_options
def check(path: Path, as_json: bool, reading: dict[str, Any]) -> None:
    """Say what files are understood as, without computing: exit code 0 all, 1 some, 2 nothing accepted."""
    from setbull_pipelines.cli.check import check as look_at
    from setbull_pipelines.cli.check import lines_of

    settings = reading_as(settings_in_force(with_recorded=False), reading)
    report = look_at(path.resolve(), settings, reading)
    click.echo(report.as_json() if as_json else "\n".join(lines_of(report)))
    sys.exit(report.exit_code)
