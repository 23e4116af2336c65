"""``setbull api``: the read API."""

from __future__ import annotations

import click

from setbull_pipelines.cli.ending import stop
from setbull_pipelines.cli.starting import bring_catalog_home, settings_in_force


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
def api(host: str, port: int) -> None:
    """Serve the read API over the served tables.

    Other machines can only reach it with a token.

    \b
    setbull api
    setbull api --port 8080
    """
    settings = settings_in_force()
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        stop(
            f"{error.name} is not installed; install the extra: pip install 'setbull_pipelines[api]'"
        )
    from setbull_pipelines.api.server import serve

    bring_catalog_home(settings)
    try:
        serve(settings, host, port)
    except OSError as error:  # a port that is taken
        stop(str(error))
