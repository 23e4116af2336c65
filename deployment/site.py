"""The pages of the site that are not in ``docs/``: the README as its start, and the results of the benchmarks.

Belongs here: taking them in and turning their links (MkDocs calls the functions by their names, as ``mkdocs.yml``
says). Does not belong here: any text of a page.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PROJECT = Path(__file__).resolve().parents[1]
PAGES = {"README.md": "index.md", "benchmarks/RESULTS.md": "benchmarks.md"}
"""Files beside ``docs/``, by their paths from the project's root, and what they are called in the site."""
_LINK = re.compile(r"(?<=\]\()(?P<up>(?:\.\./)*)(?P<path>[\w./-]+\.(?:md|png))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from beside ``docs/``."""
    for path, name in PAGES.items():
        text = (PROJECT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to places of the project into links to pages of the site.

    A link to a file that is no page stays as it is, so that building the site ends with a warning, which is an error.
    """
    outside = {name: path for path, name in PAGES.items()}
    source = outside.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def turned(link: re.Match[str]) -> str:
        target = (PROJECT / source).parent / link["up"] / link["path"]
        path = target.resolve().relative_to(PROJECT).as_posix()
        name = PAGES.get(path, path.removeprefix("docs/"))
        return "../" * page.file.src_uri.count("/") + name

    return _LINK.sub(turned, markdown)
