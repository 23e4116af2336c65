"""``setbull sql``: a question to the catalog."""

from __future__ import annotations

import click

from setbull_pipelines.cli.ending import asking, stop
from setbull_pipelines.cli.starting import bring_catalog_home, settings_in_force

_WIDTH = 200


@click.command()
@click.argument("query")
@click.option("--rows", default=50, show_default=True, help="Rows shown at most.")
def sql(query: str, rows: int) -> None:
    """Ask the catalog, read-only: setbull sql "SELECT * FROM served.filter_results"."""
    import duckdb

    from setbull_pipelines.cli.asking import (
        damaged_days,
        days_without_all_of_v1,
        opened_catalog,
        outdated_days,
        removed_rows,
    )
    from setbull_pipelines.warehouse.queries import ask

    settings = settings_in_force()
    try:
        with asking():
            if settings.rollout.kill:
                click.echo("the kill switch is on: served tables show V1", err=True)
                for sentence in days_without_all_of_v1(settings):
                    click.echo(sentence, err=True)
            else:
                bring_catalog_home(settings)
            for told in (removed_rows, damaged_days, outdated_days):
                for sentence in told(settings, query):
                    click.echo(sentence, err=True)
            with opened_catalog(settings) as connection:
                ask(connection, query).show(max_rows=rows, max_width=_WIDTH)
    except duckdb.Error as error:
        # What follows is the statement that was made of the question.
        stop(str(error).partition("\n\nLINE ")[0])
