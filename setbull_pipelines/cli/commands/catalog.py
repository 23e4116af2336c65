"""``setbull catalog``: the views of a data folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from setbull_pipelines.cli.ending import asking, stop
from setbull_pipelines.cli.starting import settings_in_force


@click.command()
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Data folder; default: the configured one.",
)
@click.option(
    "--relative",
    is_flag=True,
    help="Also make setbull-relative.duckdb, which names files from the data folder; runs keep it up to date.",
)
@click.option(
    "--rebuild",
    is_flag=True,
    help="First make catalog.sqlite again from the data files; nobody may write meanwhile.",
)
def catalog(root: Path | None, relative: bool, rebuild: bool) -> None:
    """Rebuild the DuckDB views of a data folder.

    After it was copied or moved.

    \b
    setbull catalog
    setbull catalog --root data --relative
    """
    from setbull_pipelines.pipeline.catalog import (
        is_stored,
        rebuild_relative_catalog,
        refresh_catalog,
    )
    from setbull_pipelines.pipeline.opening import open_warehouse, warehouse_root

    settings = settings_in_force()
    if root:
        settings = dataclasses.replace(settings, data_directory=root.resolve())
    if rebuild and warehouse_root(settings).is_dir():
        found = open_warehouse(settings).rebuild()
        click.echo(
            f"{open_warehouse(settings).commits.path}: {found:,} versions found in the files"
        )
    if not warehouse_root(settings).is_dir() or not is_stored(open_warehouse(settings)):
        stop(f"{settings.data_directory}: found no tables, expected the data folder of a run")
    with asking():
        click.echo(refresh_catalog(open_warehouse(settings), settings))
        if relative:
            click.echo(rebuild_relative_catalog(open_warehouse(settings), settings))
