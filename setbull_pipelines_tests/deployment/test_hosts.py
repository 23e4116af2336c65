"""What ``docs/hosts.md`` says of other systems, held against every module of the package by parsing it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from setbull_pipelines_tests.patience import PATIENCE

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "setbull_pipelines"
DOCUMENT = (PROJECT / "docs" / "hosts.md").read_text("utf-8")

_MODULES = {"ctypes", "fcntl", "grp", "pwd", "resource", "termios"}
_CALLS = {
    "os": {
        "execv",
        "fork",
        "getppid",
        "getuid",
        "kill",
        "killpg",
        "link",
        "readlink",
        "setpgid",
        "setsid",
        "waitpid",
    },
    "signal": {"SIGCONT", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGSTOP", "SIGTSTP"},
}
_METHODS = {"symlink_to", "hardlink_to"}
_FOLDERS = ("/proc/", "/sys/", "/dev/")


def posix_only(source: str) -> set[str]:
    """What a module uses that Windows does not have, or that only Linux has."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names} & _MODULES
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} & _MODULES
        elif isinstance(node, ast.Attribute) and node.attr in _METHODS:
            found.add(node.attr)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in _CALLS.get(node.value.id, ()):
                found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {folder for folder in _FOLDERS if node.value.startswith(folder)}
    return found


def test_the_versions_of_python_that_the_project_names_are_those_that_were_tried() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    named = re.findall(r":: Python :: (\d\.\d+)", "\n".join(project["classifiers"]))
    tried = re.findall(r"^\| (\d\.\d+)[.\d]* \|", DOCUMENT, re.MULTILINE)
    assert named == tried
    assert project["requires-python"] == f">={named[0]}"


def test_parsing_sees_what_it_looks_for() -> None:
    source = "import fcntl\nos.fork()\nPath('/proc/locks')\npath.symlink_to(x)\nsignal.SIGTERM\n"
    assert posix_only(source) == {"fcntl", "os.fork", "/proc/", "symlink_to"}


def test_every_module_that_needs_posix_is_in_the_document_with_what_it_uses() -> None:
    used = {
        path.relative_to(PACKAGE).as_posix(): found
        for path in sorted(PACKAGE.rglob("*.py"))
        if (found := posix_only(path.read_text("utf-8")))
    }
    rows = re.findall(r"^\| `([\w/]+\.py)` \| (.+?) \|", DOCUMENT, re.MULTILINE)
    told = {path: set(re.findall(r"`([^`]+)`", cell)) for path, cell in rows}
    assert told == used


def test_without_the_locks_of_posix_the_command_ends_with_a_sentence() -> None:
    finished = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['fcntl'] = None; import setbull_pipelines.cli.main",
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert finished.returncode == 2
    assert finished.stderr.splitlines() == [
        "error: found no fcntl, as on Windows, expected Linux or macOS; use WSL 2 or a container: docs/hosts.md"
    ]
