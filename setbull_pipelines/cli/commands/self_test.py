"""``setbull self-test``: whether the reconciliation catches and names faults."""

from __future__ import annotations

import click

from setbull_pipelines.cli.ending import stop
from setbull_pipelines.cli.starting import settings_in_force
from setbull_pipelines.errors import FAILED


@click.command("self-test")
def self_test() -> None:
    """Break V2 on purpose: is each fault caught and named?

    Exit code 1 when one was missed or misnamed, or an alarm was false.

    \b
    setbull self-test
    """
    from setbull_pipelines.cli.self_test import carry_out, keep_score, print_score

    settings = settings_in_force()
    result = carry_out()
    print_score(result)
    click.echo(keep_score(result, settings))
    if not result.is_perfect:
        stop("the reconciliation missed or misnamed a fault, or raised a false alarm", FAILED)
