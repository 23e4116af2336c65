"""``setbull doctor``: the whole data folder looked over."""

from __future__ import annotations

import sys

import click

from setbull_pipelines.cli import options
from setbull_pipelines.cli.starting import settings_in_force
from setbull_pipelines.errors import FAILED


@click.command()
@click.option("--repair", is_flag=True, help="Mend what can be mended without losing anything.")
@options.as_json
def doctor(repair: bool, as_json: bool) -> None:
    """Check the whole data folder.

    Exit codes: 0 nothing is wrong, 1 something still is.

    \b
    setbull doctor
    setbull doctor --repair
    setbull doctor --json
    """
    from setbull_pipelines.cli import doctor as work
    from setbull_pipelines.doctor.finding import FAULT

    settings = settings_in_force()
    findings = []
    for finding in work.looked_over(settings, repair):
        findings.append(finding)
        if not as_json:
            click.echo(work.line(finding))
    click.echo(work.as_json(settings, findings) if as_json else work.summary(findings))
    if any(finding.state == FAULT for finding in findings):
        sys.exit(FAILED)
