"""The modules of the package and what each imports, read from their text.

Belongs here: parsing. Does not belong here: which imports are allowed, which the tests of the rooms hold.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = "setbull_pipelines"
PROJECT = Path(__file__).resolve().parents[1]
ROOT = PROJECT / PACKAGE


@cache
def modules() -> list[str]:
    """Every module of the package by its name below it, packages as their folder; "" is the package."""
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        for path in ROOT.rglob("*.py")
    )


@cache
def parsed(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split(".")) if module else ROOT
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(source.read_text(encoding="utf-8"), str(source))


def imports_of(tree: ast.Module, is_package: bool, module: str) -> Iterator[str]:
    """Every imported module with its full name, also inside functions; names that are modules as such."""
    full = f"{PACKAGE}.{module}" if module else PACKAGE
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                steps = node.level - 1 if is_package else node.level
                parents = full.split(".")[: len(full.split(".")) - steps]
                origin = ".".join([*parents, *filter(None, [node.module])])
            for alias in node.names:
                name = f"{origin}.{alias.name}"
                yield name if name.removeprefix(f"{PACKAGE}.") in modules() else origin


@cache
def imports(module: str) -> frozenset[str]:
    path = ROOT.joinpath(*module.split("."))
    return frozenset(imports_of(parsed(module), path.is_dir(), module))


def project_imports(module: str) -> set[str]:
    """Imported modules of the package, by their name below it; "" is the package itself."""
    return {
        name.removeprefix(PACKAGE).lstrip(".")
        for name in imports(module)
        if name == PACKAGE or name.startswith(f"{PACKAGE}.")
    }
