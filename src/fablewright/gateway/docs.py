"""`/docs`: the OpenAPI document as one page of plain HTML, without scripts or anything from outside."""

import json
from html import escape
from typing import Any, Final

from fablewright.gateway.openapi import operations

POLICY: Final = b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""What a browser may load for the page: nothing; its styles stand in it."""

STYLE: Final = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 14px/1.4 ui-monospace, monospace }
pre { overflow: auto; padding: .6rem; border: 1px solid #8885; border-radius: 4px }
summary { cursor: pointer; padding: .2rem 0 } summary b { display: inline-block; width: 4.5rem }
details details { margin-left: 1rem } table { border-collapse: collapse }
th, td { text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0 }
h2 { margin-top: 2rem; border-bottom: 1px solid #8885 }
"""


def render(document: dict[str, Any]) -> bytes:
    """The page of a complete OpenAPI document."""
    by_tag: dict[str, list[str]] = {}
    for path, method, operation in operations(document):
        tag = operation.get("tags", ["other"])[0]
        by_tag.setdefault(tag, []).append(_operation(document, path, method, operation))
    title = f"{document['info']['title']} {document['info']['version']}"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><h1>{escape(title)}</h1>",
        f"<p>{escape(document['info'].get('description', ''))}</p>",
        '<p>For programs: <a href="/openapi.json">openapi.json</a>.</p>',
    ]
    for tag, listed in sorted(by_tag.items()):
        parts += [f"<h2>{escape(tag)}</h2>", *listed]
    return "".join([*parts, "</body></html>"]).encode()


def _operation(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    signed_in = "" if operation.get("security") != [] else "<p>No need to sign in.</p>"
    return (
        f"<details><summary><b>{escape(method.upper())}</b> <code>{escape(path)}</code> "
        f"{escape(operation.get('summary', ''))}</summary>"
        f"<p>{escape(operation.get('description', ''))}</p>{signed_in}"
        f"{_parameters(document, operation)}{_body(operation)}{_responses(operation)}</details>"
    )


def _parameters(document: dict[str, Any], operation: dict[str, Any]) -> str:
    rows = []
    shared = document["components"]["parameters"]
    for listed in operation.get("parameters", ()):
        parameter = shared[listed["$ref"].rsplit("/", 1)[-1]] if "$ref" in listed else listed
        needed = "needed" if parameter.get("required") else ""
        cells = (parameter["name"], parameter["in"], needed, parameter.get("description", ""))
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _body(operation: dict[str, Any]) -> str:
    parts = []
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        for name, shown in content.get("examples", {}).items():
            text = json.dumps(shown["value"], indent=2, ensure_ascii=False)
            parts.append(f"<p>Body, {escape(media)}, {escape(name)}:</p><pre>{escape(text)}</pre>")
    return "".join(parts)


def _responses(operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(status)}</th><td>{escape(response['description']).replace(chr(10) * 2, '<br>')}</td></tr>"
        for status, response in operation["responses"].items()
    )
    return f"<details><summary>Answers</summary><table>{rows}</table></details>"
