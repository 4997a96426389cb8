"""The OpenAPI document made complete: what every door may answer, its headers, examples and descriptions.

FastAPI and the plain routes say what is theirs; here, in one place, every operation gets what all have in
common. A route says that nobody needs to sign in for it with `openapi_extra={"security": []}`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from fablewright.core.database import DATABASE_UNAVAILABLE, OVERLOADED
from fablewright.core.engine import CONTENDED, WORLD_REFUSALS
from fablewright.core.permissions import SIGN_IN_FIRST
from fablewright.core.receipts import KEY_INVALID, KEY_NOT_SUPPORTED, KEY_REUSED
from fablewright.core.refusal import Refusal
from fablewright.gateway.api import example
from fablewright.gateway.commands import MALFORMED, VALIDATION_FAILED
from fablewright.gateway.front import BODY_TOO_LARGE, PROBE_PATHS
from fablewright.gateway.limits import RATE_LIMITED
from fablewright.gateway.problems import PROBLEM, Problem

METHODS: Final = ("get", "put", "post", "delete", "patch")
DOOR_REFUSALS: Final = (
    RATE_LIMITED, BODY_TOO_LARGE, MALFORMED, VALIDATION_FAILED, OVERLOADED, DATABASE_UNAVAILABLE,
)  # fmt: skip
"""What any request may be refused with, whatever it asks for."""

COMMANDS_ONLY: Final = frozenset(
    r.code for r in (KEY_INVALID, KEY_NOT_SUPPORTED, KEY_REUSED, CONTENDED, *WORLD_REFUSALS)
) - {"world_not_found", "role_too_low"}
"""What only commands are refused with, never reading."""

FACTS: Final[dict[str, dict[str, Any]]] = {
    VALIDATION_FAILED.code: {
        "errors": [{"field": "body.name", "message": "Field required", "type": "missing"}]
    },
    RATE_LIMITED.code: {"retry_after_seconds": 1},
}
PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "CorrelationId": {
        "name": "X-Correlation-Id", "in": "header", "required": False,
        "schema": {"type": "string", "format": "uuid"},
        "description": "Follows the request through log lines and events; made if left out or no UUID.",
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key", "in": "header", "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[ -~]+$"},
        "description": "Runs the command once: sent again with the same key and body, it gets the same answer.",
    },
    "IfNoneMatch": {
        "name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"},
        "description": "The `ETag` of an earlier answer; if nothing has changed since, the answer is 304.",
    },
}  # fmt: skip
HEADERS: Final[dict[str, dict[str, Any]]] = {
    "CorrelationId": {
        "description": "Names this request in the server's log.", "schema": {"type": "string", "format": "uuid"},
    },
    "ETag": {"description": "Names this state of the answer.", "schema": {"type": "string"}},
    "RetryAfter": {"description": "Seconds to wait before trying again.", "schema": {"type": "integer", "minimum": 1}},
    "Replayed": {
        "description": "`true` if the command had run before under this key, and this is its kept answer.",
        "schema": {"type": "string", "const": "true"},
    },
}  # fmt: skip


def complete(document: dict[str, Any], credentials: Sequence[Refusal]) -> None:
    """Make the document complete, in place. `credentials` are the refusals of a token that is not good."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    components["parameters"] = PARAMETERS
    components["headers"] = HEADERS
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An access token or an API key."}
    }
    document["security"] = [{"bearer": []}]
    examples = components.setdefault("examples", {})
    for path, method, operation in operations(document):
        asked = () if path in PROBE_PATHS else credentials
        _refusals(operation, method, (*DOOR_REFUSALS, *asked), examples)
        _parameters(operation, method)
        _answers(operation, method)
        _examples(operation, schemas)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _name_operations(document)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every (path, method, operation) of a document."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def methods_at(document: dict[str, Any], path: str) -> list[str]:
    """The methods that a path of this server takes; empty if there is nothing."""
    found: set[str] = set()
    for template, item in document["paths"].items():
        parts = re.split(r"{[^}]+}", template)
        if re.fullmatch("[^/]+".join(map(re.escape, parts)), path):
            found |= {method.upper() for method in METHODS if method in item}
    if "GET" in found:
        found.add("HEAD")
    return sorted(found)


def _refusals(
    operation: dict[str, Any], method: str, common: Iterable[Refusal], examples: dict[str, Any]
) -> None:
    """Gather every refusal under its status, those of all doors too. Each example stands in `examples` once."""
    found: dict[str, dict[str, Any]] = {}
    responses: dict[str, Any] = operation["responses"]
    for status in list(responses):
        content = responses[status].get("content", {})
        problems = content.pop(PROBLEM, None)
        if problems is not None or "HTTPValidationError" in str(content):
            content.pop("application/json", None)
        found |= {code: e["value"] for code, e in (problems or {}).get("examples", {}).items()}
        responses[status].pop("model", None)
        if int(status) >= 400 and not content:
            del responses[status]
    found |= {refusal.code: example(refusal) for refusal in common}
    if method == "get":
        found = {code: value for code, value in found.items() if code not in COMMANDS_ONLY}
    if operation.get("security") == []:
        found.pop(SIGN_IN_FIRST.code, None)
    for code, value in sorted(found.items()):
        response = responses.setdefault(str(value["status"]), {"description": ""})
        line = f"`{code}`: {value['title']}"
        response["description"] = f"{response['description']}\n\n{line}".strip()
        media = response.setdefault("content", {}).setdefault(PROBLEM, {"examples": {}})
        media["schema"] = {"$ref": "#/components/schemas/Problem"}
        shown = {"value": value | FACTS.get(code, {})}
        same = examples.setdefault(code, shown) == shown
        media["examples"][code] = {"$ref": f"#/components/examples/{code}"} if same else shown
    operation["responses"] = dict(sorted(responses.items()))


def _parameters(operation: dict[str, Any], method: str) -> None:
    """Describe the ids of the path, and add the headers that the operation listens to."""
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        noun = parameter["name"].removesuffix("_id").replace("_", " ")
        parameter.setdefault("description", f"Id of the {noun}.")
    headers = ["CorrelationId"]
    if method == "get":
        headers.append("IfNoneMatch")
    elif _keyed(operation):
        headers.append("IdempotencyKey")
    parameters += [{"$ref": f"#/components/parameters/{name}"} for name in headers]


def _keyed(operation: dict[str, Any]) -> bool:
    """Whether the operation runs once per Idempotency-Key: then a key may be refused as reused."""
    conflict = operation["responses"].get("409", {}).get("content", {}).get(PROBLEM, {})
    return KEY_REUSED.code in conflict.get("examples", {})


def _answers(operation: dict[str, Any], method: str) -> None:
    """The headers of each answer, and 304 for what can be asked for again."""
    responses = operation["responses"]
    if method == "get":
        responses["304"] = {"description": "Nothing has changed since the answer with this `ETag`."}
    for status, response in responses.items():
        names = {"X-Correlation-Id": "CorrelationId"}
        if method == "get" and status in ("200", "304"):
            names["ETag"] = "ETag"
        if status in ("429", "503"):
            names["Retry-After"] = "RetryAfter"
        if status.startswith("2") and _keyed(operation) and method != "get":
            names["Idempotency-Replayed"] = "Replayed"
        response["headers"] = response.get("headers", {}) | {
            name: {"$ref": f"#/components/headers/{target}"} for name, target in names.items()
        }
    operation["responses"] = dict(sorted(responses.items()))


def _examples(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Show the examples of a body's schema at the operation itself."""
    for media in operation.get("requestBody", {}).get("content", {}).values():
        if "examples" in media or "example" in media:
            continue
        found = list(_schema_examples(media["schema"], schemas))
        names = ["example"] if len(found) == 1 else [f"example {n}" for n in range(1, len(found) + 1)]
        if found:
            media["examples"] = {name: {"value": value} for name, value in zip(names, found, strict=True)}


def _schema_examples(schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[Any]:
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[-1]]
    yield from schema.get("examples", ())
    for choice in schema.get("anyOf", ()):
        yield from _schema_examples(choice, schemas)


def _name_operations(document: dict[str, Any]) -> None:
    """Two routes of different systems with one name get their tag before it."""
    seen: dict[str, dict[str, Any]] = {}
    for path, method, operation in operations(document):
        name = operation["operationId"]
        if name in seen:
            operation["operationId"] = name = f"{operation.get('tags', [method])[0]}_{name}"
        if name in seen:
            operation["operationId"] = name = re.sub(r"\W+", "_", f"{method}_{path}")
        seen[name] = operation
