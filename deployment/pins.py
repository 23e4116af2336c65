"""``python deployment/pins.py``: the hashes of what the image installs, in ``deployment/requirements.txt``.

Belongs here: asking pip which file it would install for each pin of ``constraints.txt``, and writing its hash. Does not
belong here: choosing versions, which ``make pins`` does before.

The files are those of the Python of the image on both processors that it is built for.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
CONSTRAINTS = PROJECT / "constraints.txt"
TARGET = PROJECT / "deployment" / "requirements.txt"
EXTRAS = ("api", "cluster")
PYTHON, PROCESSORS = "3.11", ("x86_64", "aarch64")
_OLDEST_C_LIBRARY, _NEWEST_C_LIBRARY = 5, 36
"""Minor versions of glibc 2 that files are made for; the last is that of Debian 12, which the image stands on."""


def main() -> None:
    """Ask for each processor, and write."""
    files: dict[str, set[str]] = {}
    for processor in PROCESSORS:
        for item in asked(processor):
            pin = f"{normal(item['metadata']['name'])}=={item['metadata']['version']}"
            sha256 = item["download_info"]["archive_info"]["hashes"]["sha256"]
            files.setdefault(pin, set()).add(f"--hash=sha256:{sha256}")
    lines = [
        f"# What the image installs, with hashes for Python {PYTHON} on Linux, {' and '.join(PROCESSORS)}.",
        "# Made by: make pins. Installed by: pip install --no-deps --require-hashes -r deployment/requirements.txt",
        *(f"{pin} {' '.join(sorted(hashes))}" for pin, hashes in sorted(files.items())),
    ]
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")


def asked(processor: str) -> list[dict]:
    """What pip would install on a processor; nothing is installed."""
    newer = range(_NEWEST_C_LIBRARY, _OLDEST_C_LIBRARY - 1, -1)
    tags = [f"manylinux_2_{minor}_{processor}" for minor in newer] + [f"manylinux2014_{processor}"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"),
                *("--ignore-installed", "--only-binary", ":all:", "--report", str(report)),
                *("--target", folder, "--python-version", PYTHON, "--implementation", "cp"),
                *(part for tag in tags for part in ("--platform", tag)),
                *("--constraint", str(CONSTRAINTS), *wanted()),
            ],
            check=True,
        )
        return json.loads(report.read_text(encoding="utf-8"))["install"]


def wanted() -> list[str]:
    """What the project names in ``pyproject.toml``, with the extras of the image and what builds the project itself."""
    described = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    project, builders = described["project"], described["build-system"]["requires"]
    extras = (name for extra in EXTRAS for name in project["optional-dependencies"][extra])
    return [*builders, *project["dependencies"], *extras]


def normal(name: str) -> str:
    """A name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(text: str) -> dict[str, str]:
    """Version by name, of a file of pins."""
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    return {normal(name): version for name, version in found}


if __name__ == "__main__":
    main()
