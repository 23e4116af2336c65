"""``setbull scrub``: stored files against their hashes."""

from __future__ import annotations

import click

from setbull_pipelines.cli.ending import stop, working
from setbull_pipelines.cli.starting import settings_in_force
from setbull_pipelines.errors import FAILED


@click.command()
def scrub() -> None:
    """Verify stored files against their hashes.

    The longest unverified first; damaged ones are made again. Exit code 1 while one stays damaged.

    \b
    setbull scrub
    """
    from setbull_pipelines.assets.scrub import scrub_stored_files
    from setbull_pipelines.cli.terminal import beside_the_answer
    from setbull_pipelines.pipeline.catalog import is_stored
    from setbull_pipelines.pipeline.opening import now, open_warehouse, warehouse_root

    settings = settings_in_force()
    if not warehouse_root(settings).is_dir() or not is_stored(open_warehouse(settings)):
        stop(f"{settings.data_directory}: found no tables, expected the data folder of a run")
    with working(), beside_the_answer():
        found = scrub_stored_files(
            open_warehouse(settings), settings, now(), "setbull scrub", all_files=True
        )
    for damage in found.damages:
        click.echo(damage.sentence, err=damage.reason is not None)
    click.echo(
        f"{found.verified:,} files verified, {len(found.damages):,} damaged, {found.left:,} left for the next scrub"
    )
    if any(damage.reason for damage in found.damages):
        stop("not all damaged files could be made again", FAILED)
