"""``setbull convert``: a data folder of an older version."""

from __future__ import annotations

import click

from setbull_pipelines.cli.ending import stop
from setbull_pipelines.cli.starting import bring_catalog_home, settings_in_force


@click.command()
def convert() -> None:
    """Convert a data folder of an older version.

    Rows are not touched.

    \b
    setbull convert
    """
    from setbull_pipelines.cli.terminal import beside_the_answer
    from setbull_pipelines.pipeline.opening import open_warehouse, warehouse_root
    from setbull_pipelines.pipeline.progress import following_works

    settings = settings_in_force()
    reached = following_works()
    try:
        with beside_the_answer():
            converted = open_warehouse(settings).convert(
                lambda done, of: reached("converting", done, of, "partitions")
            )
    except OSError as error:
        stop(str(error))
    if not converted:
        stop(f"{warehouse_root(settings)}: found nothing of an older version")
    click.echo(f"{warehouse_root(settings)}: {converted:,} partitions converted")
    bring_catalog_home(settings)
