"""Under which licence each pinned package is, as its own metadata says, and which licences the project takes.

Belongs here: reading that metadata, the licences that are taken, the page. Does not belong here: why a package is there
(``docs/dependencies.md``).
"""

from __future__ import annotations

import re
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

from setbull_pipelines.errors import SetbullError

TAKEN = (
    *(
        "0BSD",
        "Apache-2.0",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "ISC",
        "LLVM-exception",
    ),
    *("MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Zlib"),
    *(
        "LGPL",
        "MPL-2.0",
    ),  # of packages that are used as they are published: both are about changed files
)
"""The licences that may be among the packages, by their SPDX names; BSD and LGPL where nothing says which."""
_SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 3-Clause OR Apache-2.0": "BSD-3-Clause OR Apache-2.0",
    "BSD License": "BSD",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_IN_ITS_FILES = {"TA-Lib": "BSD-2-Clause"}
"""Packages whose metadata names none, with what the licence that they are shipped with says."""


class LicenceNotTaken(SetbullError):
    """A package under a licence that the project does not take, or under none that anybody can read."""


def licence_of(package: str) -> str:
    """The licence of an installed package as an SPDX expression. LicenceNotTaken where it is not one of ``TAKEN``."""
    try:
        named = _named(metadata(package))
    except PackageNotFoundError:
        raise LicenceNotTaken(
            f"{package}: found it not installed, expected it; make check"
        ) from None
    licence = named or _IN_ITS_FILES.get(package, "")
    unknown = [name for name in re.split(r" (?:AND|OR|WITH) ", licence) if name not in TAKEN]
    if unknown:
        raise LicenceNotTaken(
            f"{package}: found the licence {licence or 'nowhere'!r}, expected one of {', '.join(TAKEN)}; leave the "
            "package out, or add its licence in setbull_pipelines/cli/licences.py"
        )
    return licence


def _named(told: PackageMetadata) -> str:
    """Its expression, else its classifiers, else the first line of its free text, in the words of SPDX."""
    if expression := told.get("License-Expression"):
        return str(expression)
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in told.get_all("Classifier") or []
        if text.startswith("License :: ") and not text.endswith("OSI Approved")
    ]
    text = str(told.get("License") or "").strip().partition("\n")[0]
    return " AND ".join(_SPDX.get(name, name) for name in classifiers or [text] if name)


def licences_page(constraints: Path) -> str:
    """The pinned packages by licence, those of one licence in the order of their names."""
    pins = re.findall(r"^([\w.-]+)==", constraints.read_text(encoding="utf-8"), re.MULTILINE)
    packages: dict[str, list[str]] = {}
    for package in pins:
        packages.setdefault(licence_of(package), []).append(package)
    lines = [
        "# Licences",
        "",
        f"The {len(pins)} packages of `constraints.txt`, those that others need included, by the licence that each "
        "names in its metadata. The project itself is under the Apache License 2.0 (`LICENSE`); why a package is there "
        "is in [dependencies.md](dependencies.md). Packages under LGPL and MPL-2.0 are used as they are published, no "
        f"file of them is changed. A package under another licence than {', '.join(TAKEN)} fails the tests. The "
        "outside referee's environment (`constraints-referee.txt`) is not in this list.",
        "",
        "| licence | packages |",
        "|---|---|",
        *(f"| {licence} | {', '.join(packages[licence])} |" for licence in sorted(packages)),
    ]
    return "\n".join(lines) + "\n"
