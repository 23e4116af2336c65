"""Licences of packages, as the different kinds of metadata name them."""

from __future__ import annotations

from email.message import Message

import pytest

from setbull_pipelines.cli import licences
from setbull_pipelines.cli.licences import LicenceNotTaken, licence_of


def told(*fields: tuple[str, str]) -> Message:
    message = Message()
    for name, value in fields:
        message[name] = value
    return message


APPROVED = "License :: OSI Approved"


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        (
            [("License-Expression", "BSD-3-Clause AND MIT"), ("License", "other")],
            "BSD-3-Clause AND MIT",
        ),
        ([("Classifier", f"{APPROVED} :: MIT License"), ("License", "Copyright (c) 2017")], "MIT"),
        (
            [
                ("Classifier", APPROVED),
                ("Classifier", f"{APPROVED} :: BSD License"),
                ("Classifier", f"{APPROVED} :: Apache Software License"),
                ("Classifier", "Programming Language :: Python"),
            ],
            "BSD AND Apache-2.0",
        ),
        ([("License", "Apache 2.0\n\nTERMS AND CONDITIONS")], "Apache-2.0"),
        (
            [("License-Expression", "Apache-2.0 WITH LLVM-exception")],
            "Apache-2.0 WITH LLVM-exception",
        ),
    ],
)
def test_a_licence_is_read_from_what_says_it_best(monkeypatch, fields, licence) -> None:
    monkeypatch.setattr(licences, "metadata", lambda package: told(*fields))
    assert licence_of("any") == licence


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([("License-Expression", "AGPL-3.0-only")], "'AGPL-3.0-only'"),
        ([("License-Expression", "MIT AND GPL-3.0-or-later")], "'MIT AND GPL-3.0-or-later'"),
        ([("Classifier", "License :: Other/Proprietary License")], "Proprietary"),
        ([("License", "see the file")], "'see the file'"),
        ([], "'nowhere'"),
    ],
)
def test_a_package_under_another_licence_is_refused_by_name(monkeypatch, fields, found) -> None:
    monkeypatch.setattr(licences, "metadata", lambda package: told(*fields))
    with pytest.raises(LicenceNotTaken, match="some-package: found the licence") as refusal:
        licence_of("some-package")
    assert found in str(refusal.value)


def test_a_package_that_is_not_installed_is_one_sentence() -> None:
    with pytest.raises(LicenceNotTaken, match="no-such-package: found it not installed"):
        licence_of("no-such-package")
