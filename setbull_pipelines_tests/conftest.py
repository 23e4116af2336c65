"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import random
from itertools import chain
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


_OF_A_RUN = {"small_run", "copied_run"}
"""Fixtures that are made by a run of the pipeline."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--order-seed",
        type=int,
        help="run the files, and the tests of each file, in an order drawn from this number",
    )


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what `-m` does not ask for
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if _OF_A_RUN & set(getattr(item, "fixturenames", ())):
            item.add_marker("run")
    _put_in_order(config, items)


def _put_in_order(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.getoption("order_seed")
    if seed is None:
        return
    draw, of_file = random.Random(seed), {}
    for item in items:
        of_file.setdefault(item.path, []).append(item)
    # Files stay whole: what their tests share is made once.
    files = list(of_file.values())
    for tests in (files, *files):
        draw.shuffle(tests)
    items[:] = chain.from_iterable(files)


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
