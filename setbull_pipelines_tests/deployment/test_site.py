"""The documents as a site: every page is in it, every link leads somewhere, and nothing is fetched from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from setbull_pipelines_tests.documents import PROJECT
from setbull_pipelines_tests.patience import PATIENCE

_FETCHED = re.compile(r'<(?:script|img|iframe|link)[^>]*(?:src|href)="(https?:)?//[^"]*"')


def built(project: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """What MkDocs says of the documents of ``project``, with every warning an error."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=project,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The documents without the program."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT / "docs", project / "docs")
    for path in ("mkdocs.yml", "deployment/site.py", "README.md", "benchmarks/RESULTS.md"):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / path, project / path)
    return project


def test_every_document_is_a_page_that_fetches_nothing(tmp_path: Path) -> None:
    finished = built(PROJECT, tmp_path)
    assert finished.returncode == 0, finished.stderr
    documents = (PROJECT / "docs").rglob("*.md")
    names = {path.relative_to(PROJECT / "docs").with_suffix(".html") for path in documents}
    pages = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.html")}
    assert names - pages == {Path("pictures/README.html")}
    assert {Path("index.html"), Path("benchmarks.html")} <= pages
    fetched = {
        page.name: found[0]
        for page in tmp_path.rglob("*.html")
        if (found := _FETCHED.search(page.read_text("utf-8")))
    }
    assert not fetched


WRONG_LINKS = {
    "docs/alerts.md": {
        "gone.md": "contains a link 'gone.md'",
        "../benchmarks/NONE.md": "contains a link 'benchmarks/NONE.md'",
        "operations.md#no-such-heading": "does not contain an anchor '#no-such-heading'",
    },
    "README.md": {"docs/absent.md": "'index.md' contains a link 'absent.md'"},
}
"""Links that lead nowhere, by document, and what the building says of each."""


def test_every_link_that_leads_nowhere_is_a_warning_and_stops_the_building(
    copied: Path, tmp_path: Path
) -> None:
    for path, links in WRONG_LINKS.items():
        with (copied / path).open("a", encoding="utf-8") as document:
            document.writelines(f"\n[nowhere]({target})\n" for target in links)
    finished = built(copied, tmp_path / "site")
    assert finished.returncode == 1
    told = [line for line in finished.stderr.splitlines() if line.startswith("WARNING")]
    sentences = [sentence for links in WRONG_LINKS.values() for sentence in links.values()]
    assert [sum(sentence in line for line in told) for sentence in sentences] == [1] * len(told)
