"""The pins of the project and the hashes of the image say the same."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
_SPECIFICATION = importlib.util.spec_from_file_location("pins", PROJECT / "deployment" / "pins.py")
pins = importlib.util.module_from_spec(_SPECIFICATION)
_SPECIFICATION.loader.exec_module(pins)

HASHED = pins.TARGET.read_text(encoding="utf-8")


def test_every_file_of_the_image_has_the_pinned_version() -> None:
    versions = pins.pinned(pins.CONSTRAINTS.read_text(encoding="utf-8"))
    hashed = pins.pinned(HASHED)
    assert hashed.items() <= versions.items(), sorted(hashed.items() - versions.items())


def test_all_that_the_project_names_is_hashed() -> None:
    names = {pins.normal(re.split(r"[\[<>=]", name)[0]) for name in pins.wanted()}
    assert names <= pins.pinned(HASHED).keys()


def test_every_line_has_a_hash() -> None:
    lines = [line for line in HASHED.splitlines() if not line.startswith("#")]
    assert len(lines) > 50
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==\S+ (--hash=sha256:[0-9a-f]{64} ?)+", line), line


def test_the_image_installs_them_with_their_hashes() -> None:
    image = (PROJECT / "deployment" / "Dockerfile").read_text(encoding="utf-8")
    assert "--no-deps --require-hashes -r deployment/requirements.txt" in image
