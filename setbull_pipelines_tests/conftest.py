"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


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
