"""A fetch in a process of its own, at a fixed moment: what a test can kill.

Belongs here: the process. Does not belong here: assertions.
Arguments: data folder, address of the server, moment, instrument keys.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from setbull_pipelines.pipeline.fetching import fetch
from setbull_pipelines.settings import Settings, UpstoxSettings
from setbull_pipelines_tests.sources.upstox.broker import listed


def main() -> None:
    """Fetch and print the status of each instrument."""
    folder, url, moment, *keys = sys.argv[1:]
    settings = Settings(
        data_directory=Path(folder), upstox=UpstoxSettings(base_url=url, concurrency=3)
    )
    at = datetime.fromisoformat(moment)
    fetched = fetch(listed(*keys), {"1minute": 50, "day": 600}, settings, lambda: at)
    for result in fetched.results:
        print(result.interval, result.instrument_key, result.status, result.requests, result.reason)


if __name__ == "__main__":
    main()
