"""The reference of the API as a page of its own at ``/docs``: every path with its parameters, a command and an answer.

Belongs here: the OpenAPI document as one HTML page without a script or another site. Does not belong here: what the
document says (the routers and types).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = """
:root { color-scheme: light dark; }
body { background: light-dark(#ffffff, #14171c); color: light-dark(#1b1f24, #e4e7eb);
  font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 64rem; padding: 0 1rem 3rem; }
h1 { font-size: 1.45rem; } h2 { border-top: 1px solid #8886; font-size: 1.1rem; margin-top: 2rem; padding-top: 1rem;
  overflow-wrap: anywhere; }
nav ul { columns: 22rem; list-style: none; padding: 0; } nav li { overflow-wrap: anywhere; padding: 0.15rem 0; }
code, pre { font: 13px/1.5 ui-monospace, monospace; }
pre { background: #8881; border-radius: 6px; overflow-wrap: anywhere; padding: 0.6rem 0.8rem;
  white-space: pre-wrap; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; }
th, td { border-bottom: 1px solid #8884; padding: 0.25rem 0.9rem 0.25rem 0; text-align: left; vertical-align: top; }
a { color: light-dark(#0059a8, #7db8f5); } .method { font-weight: 700; }
"""
_CODE = re.compile("``(.+?)``")
_COLUMNS = "".join(f"<th>{name}</th>" for name in ("name", "where", "values", "what"))


@router.get("/docs")
def reference(request: Request) -> HTMLResponse:
    """The page of every path."""
    return HTMLResponse(page_of(request.app.openapi()), headers=_HEADERS)


def page_of(document: Mapping[str, Any]) -> str:
    """An OpenAPI document as one HTML page."""
    info = document["info"]
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    entries = "".join(
        f'<li><a href="#{_anchor(method, path)}"><span class="method">{method}</span> '
        f"<code>{escape(path)}</code></a></li>\n"
        for method, path, _ in operations
    )
    sections = "".join(
        "".join(_section(method, path, operation, document))
        for method, path, operation in operations
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>API of {escape(info['title'])}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>API of {escape(info['title'])}</h1>\n<p>{escape(info['description'])} The same for programs: "
        f'<a href="/openapi.json">/openapi.json</a>.</p></header>\n'
        f'<nav aria-label="Paths"><ul>\n{entries}</ul></nav>\n<main>\n{sections}</main>\n</body>\n</html>\n'
    )


def _section(
    method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> Iterator[str]:
    yield f'<section id="{_anchor(method, path)}">\n<h2><span class="method">{method}</span> {escape(path)}</h2>\n'
    for paragraph in operation["description"].split("\n\n"):
        words = _CODE.sub(r"<code>\1</code>", escape(paragraph))
        yield f"<p>{words}</p>\n"
    parameters = operation.get("parameters", [])
    if parameters:
        yield (
            f'<div class="scroll" tabindex="0" role="group" aria-label="Parameters of {method} {escape(path)}">'
            f"<table><thead><tr>{_COLUMNS}</tr></thead>\n"
        )
        for parameter in parameters:
            required = "" if parameter.get("required") else ", may be left out"
            yield (
                f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{parameter['in']}{required}</td>"
                f"<td>{escape(_values(parameter['schema']))}</td>"
                f"<td>{escape(parameter.get('description', ''))}</td></tr>\n"
            )
        yield "</table></div>\n"
    body = _body(operation, document)
    yield f"<pre>{escape(_command(method, path, parameters, body))}</pre>\n"
    found = operation["responses"]["200"]["content"].get("application/json", {}).get("example")
    if found is not None:
        yield f"<details><summary>An answer</summary><pre>{escape(_json(found))}</pre></details>\n"
    told = ", ".join(
        f"{status} {answer['description'].lower()}"
        for status, answer in operation["responses"].items()
        if status != "200"
    )
    yield f"<p>Otherwise: {escape(told)}.</p>\n</section>\n"


def _anchor(method: str, path: str) -> str:
    return f"{method.lower()}-{re.sub('[^a-z0-9]+', '-', path.lower()).strip('-')}"


def _values(schema: Mapping[str, Any]) -> str:
    """What a parameter can be, in words."""
    choices = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    words = []
    for choice in choices:
        if "enum" in choice:
            words.append(", ".join(map(str, choice["enum"])))
        else:
            bounds = [
                f"{word} {choice[name]}"
                for name, word in (("minimum", "from"), ("maximum", "to"))
                if name in choice
            ]
            words.append(" ".join([choice.get("format", choice.get("type", "")), *bounds]))
    default = schema.get("default")
    return " or ".join(words) + (f"; {default} if left out" if default is not None else "")


def _body(operation: Mapping[str, Any], document: Mapping[str, Any]) -> object:
    """The example of the body; None where there is none."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    schemas = content["schema"].get("anyOf", [content["schema"]])
    name = schemas[0]["$ref"].rpartition("/")[2]
    return document["components"]["schemas"][name].get("example")


def _command(method: str, path: str, parameters: list[Mapping[str, Any]], body: object) -> str:
    """A curl command that asks for it, with what must be given."""
    query = {}
    options = [] if method == "GET" else ["-X", method]
    for parameter in parameters:
        examples = parameter["schema"].get("examples") or parameter["schema"].get("enum")
        value = str(examples[0]) if examples else "1"
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", quote(value, safe=""))
        elif parameter.get("required") and parameter["in"] == "query":
            query[parameter["name"]] = value
        elif parameter.get("required"):
            options += ["-H", f"'{parameter['name']}: {value}'"]
    if body is not None:
        options += ["-H", "'Content-Type: application/json'", "-d", f"'{json.dumps(body)}'"]
    address = f"http://127.0.0.1:8000{path}{'?' if query else ''}{urlencode(query)}"
    return " ".join(["curl", *options, f"'{address}'"])


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
