"""Fixtures shared by all tests, what their markers mean, and the order in which several processes take files.

Without a marker a test holds a rule, a formula or a room, needs neither a run nor another process, and is part of
``make check``. With ``run`` it reads or makes a run, with ``scenario`` it tells a story of processes for a minute.
"""

from __future__ import annotations

import gc
import os
import random
import signal
from itertools import chain
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in the background of a shell: processes that tests start would not end when they are asked to.
    signal.signal(signal.SIGINT, signal.default_int_handler)

_OF_A_RUN = {"small_run", "copied_run", "stored_instance"}
"""Fixtures that are made by a run of the pipeline, or are an instance of Dagster on disk."""
_LONGEST_FIRST = ("scenario", "run")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--order-seed",
        type=int,
        help="run the files, and the tests of each file, in an order drawn from this number",
    )
    parser.addoption(
        "--most-examples",
        type=int,
        help="draw no more than so many examples of a property",
    )


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what `-m` does not ask for
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if _OF_A_RUN & fixtures or item.get_closest_marker("scenario"):
            item.add_marker("run")
    if (most := config.getoption("most_examples")) is not None:
        _draw_fewer(items, most)
    _put_in_order(config, items)


def _draw_fewer(items: list[pytest.Item], most: int) -> None:
    """Lower what a property asks for where it asks for more; Hypothesis takes what is set once."""
    name = "_hypothesis_internal_use_settings"
    for item in items:
        function = getattr(item, "function", None)
        if known := getattr(function, name, None):
            fewer = hypothesis.settings(known, max_examples=min(known.max_examples, most))
            setattr(function, name, fewer)


def _put_in_order(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed, of_file = config.getoption("order_seed"), {}
    for item in items:
        of_file.setdefault(item.path, []).append(item)
    # Files stay whole: what their tests share is made once.
    files = list(of_file.values())
    if seed is not None:
        draw = random.Random(seed)
        for tests in (files, *files):
            draw.shuffle(tests)
    elif hasattr(config, "workerinput"):
        # Or one process would be left with a scenario when the others have ended.
        files.sort(key=_place)
    items[:] = chain.from_iterable(files)


def _place(tests: list[pytest.Item]) -> int:
    """The place of a file among those that several processes share."""
    markers = {marker.name for test in tests for marker in test.iter_markers()}
    found = [place for place, name in enumerate(_LONGEST_FIRST) if name in markers]
    return min(found, default=len(_LONGEST_FIRST))


def pytest_collection_finish() -> None:
    """Keep what was imported and collected out of each search for garbage, a tenth of the time of small tests."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the end of the process find all objects: libraries in C tell of those that it leaves."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real market data that lies beside the checkout in CI and is never part of the project.

    ``SETBULL_TEST_DATA`` names another place.
    """
    checkout = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("SETBULL_TEST_DATA", checkout.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real market data not found at {folder}; set SETBULL_TEST_DATA to its folder")
    return folder
