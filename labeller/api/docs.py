"""The API's documentation as one plain page.

FastAPI's own page loads its scripts from another site; this one needs no network and no script.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid #8888; border-radius: 6px; }
h3 { margin: 2rem 0 .25rem; } h3 b { display: inline-block; min-width: 3.5rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2rem 1rem .2rem 0; }
"""
METHODS = ("get", "post", "put", "patch", "delete")


def page(schema: dict[str, Any]) -> str:
    """Return an OpenAPI schema as an HTML page.

    Parameters
    ----------
    schema : dict
        What ``FastAPI.openapi()`` returns.

    Returns
    -------
    str
        A whole document; everything from the schema is escaped.
    """
    info = schema["info"]
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])}: API</title><style>{STYLE}</style>"
        f"<h1>{escape(info['title'])}: API {escape(info['version'])}</h1>"
    )
    text = "".join(f"<p>{_prose(part)}</p>" for part in info["description"].split("\n\n"))
    link = '<p>Machine-readable: <a href="openapi.json">openapi.json</a></p>'
    return head + text + link + "".join(_routes(schema)) + "</html>"


def _prose(text: str) -> str:
    """Escape text and show what stands between backticks as code."""
    pieces = escape(text.strip()).replace("``", "`").split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(pieces))


def _routes(schema: dict[str, Any]) -> Iterator[str]:
    """Yield the routes under the heading of their first tag."""
    tag = ""
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if method not in METHODS:
                continue
            first = operation.get("tags", [""])[0]
            if first != tag:
                tag = first
                yield f"<h2>{escape(tag.capitalize())}</h2>"
            yield _route(schema, method, path, operation)


def _route(schema: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    """Return one route: what it does, what it takes, what it gives."""
    parts = [f"<h3><b>{method.upper()}</b> <code>{escape(path)}</code></h3>"]
    parts.append(f"<p>{_prose(operation.get('description', ''))}</p>")
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code><td>{escape(p['in'])}"
        f"<td>{_prose(p.get('description', ''))}"
        for p in operation.get("parameters", [])
    )
    if rows:
        parts.append(f"<table><tr><th>Parameter<th>in<th>{rows}</table>")
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        parts.append(f"<p>Takes</p>{_example(schema, body['schema'])}")
    for status, answer in operation["responses"].items():
        content = answer.get("content", {}).get("application/json", {}).get("schema")
        if status.startswith("2") and content:
            parts.append(f"<p>Gives {escape(status)}</p>{_example(schema, content)}")
    return "".join(parts)


def _example(schema: dict[str, Any], part: dict[str, Any]) -> str:
    return f"<pre>{escape(json.dumps(_shape(schema, part), indent=2, ensure_ascii=False))}</pre>"


def _shape(schema: dict[str, Any], part: dict[str, Any]) -> Any:
    """Return a value in the shape of a schema, with types in place of values."""
    if "$ref" in part:
        return _shape(schema, schema["components"]["schemas"][part["$ref"].rsplit("/", 1)[1]])
    if "anyOf" in part:
        shapes = [_shape(schema, choice) for choice in part["anyOf"]]
        plain = [s for s in shapes if isinstance(s, str)]
        return " or ".join(plain) if len(plain) == len(shapes) else shapes[0]
    if "enum" in part:
        return " | ".join(str(value) for value in part["enum"])
    if part.get("type") == "array":
        return [_shape(schema, part.get("items", {}))]
    if "properties" in part:
        return {name: _shape(schema, value) for name, value in part["properties"].items()}
    return str(part.get("const", part.get("type", "any")))
