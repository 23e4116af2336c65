"""``setbull ui``: Dagster's pages and its daemon."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from setbull_pipelines.cli.ending import stop
from setbull_pipelines.cli.starting import settings_in_force
from setbull_pipelines.settings.loading import INPUT_VARIABLE, SETTINGS_FILE_VARIABLE


@click.command()
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
def ui(port: int) -> None:
    """Open the Dagster UI with the daemon.

    On this machine only.

    \b
    setbull ui
    setbull ui --port 3001
    """
    from setbull_pipelines.cli.home import PROJECT, hold_for_ui, prepare_dagster_home

    settings = settings_in_force()
    home = prepare_dagster_home(settings.data_directory, settings.runs)
    if refused := hold_for_ui(home):
        stop(refused)
    click.echo(f"opening http://127.0.0.1:{port} on the tables of {settings.data_directory}")
    # Dagster points to its newer command `dg dev`, which is an extra here: no news for who opens the UI.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:Function `dev_command` is superseded")
    for name in (SETTINGS_FILE_VARIABLE, INPUT_VARIABLE):
        if named := os.environ.get(name):
            os.environ[name] = str(Path(named).resolve())  # relative to where the user stands
    # In the project's folder Dagster warns that the dagster.yaml there is not the one it uses.
    os.chdir(home)
    os.execv(
        sys.executable,
        [
            sys.executable,
            *("-m", "dagster", "dev", "--workspace", str(PROJECT / "workspace.yaml")),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
    )
