"""The generic door: any command of any system, one or a list, over `POST /worlds/{world}/commands`."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fablewright.core.engine import (
    COMMAND_UNKNOWN,
    TOO_MANY_COMMANDS,
    Engine,
)
from fablewright.core.messages import Command
from fablewright.core.permissions import WORLD_NOT_FOUND
from fablewright.core.refusal import INVALID, Refusal, Refused
from fablewright.gateway.api import CallerInfo, refusals, runtime_of

MALFORMED = Refusal("malformed_json", INVALID, "The body is not the JSON that is expected here.")
VALIDATION_FAILED = Refusal(
    "validation_failed", INVALID, "Some fields are not as they should be; `errors` lists each."
)

PATH = "/worlds/{world_id}/commands"


def path_uuid(value: str, otherwise: Refusal) -> UUID:
    """A path parameter as an id; what is no id is not found."""
    try:
        return UUID(value)
    except ValueError as error:
        raise otherwise() from error


def field_errors(errors: Sequence[Any]) -> list[dict[str, Any]]:
    """Pydantic's errors as the API tells them: where, what, which kind. Never the input, which may be secret."""
    return [
        {"field": ".".join(str(part) for part in e["loc"]), "message": e["msg"], "type": e["type"]}
        for e in errors
    ]


def validation_refused(errors: Sequence[Any]) -> Refused:
    """The refusal of a request whose fields are wrong."""
    fields = field_errors(errors)
    first = f"{fields[0]['field']}: {fields[0]['message']}" if fields else VALIDATION_FAILED.title
    more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
    return VALIDATION_FAILED(first + more, errors=fields)


def parse_command(engine: Engine, value: Any, index: int | None = None) -> Command:
    """A command from `{"type": …, "payload": {…}}`.

    Refuses `malformed_json`, `command_unknown`, `validation_failed`.
    """
    facts = {} if index is None else {"index": index}
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("type"), str)
        or value.keys() - {"type", "payload"}
    ):
        raise MALFORMED('A command looks like {"type": "system.do_something", "payload": {…}}.', **facts)
    kind = engine.commands.get(value["type"])
    if kind is None or kind.allowed.role is None:
        raise COMMAND_UNKNOWN(f"No installed system knows the command {value['type'][:100]}.", **facts)
    try:
        return kind.model_validate(value.get("payload", {}))
    except ValidationError as error:
        refused = validation_refused(
            error.errors(include_url=False, include_context=False, include_input=False)
        )
        refused.facts.update(facts)
        raise refused from error


def parse_commands(engine: Engine, value: Any, most: int) -> Command | list[Command]:
    """One command or a list. Refuses `too_many_commands` besides."""
    if not isinstance(value, list):
        return parse_command(engine, value)
    if not value:
        raise MALFORMED("A list holds at least one command.")
    if len(value) > most:
        raise TOO_MANY_COMMANDS(f"A list holds at most {most} commands.", max_commands=most)
    return [parse_command(engine, item, index) for index, item in enumerate(value)]


async def run_commands(request: Request) -> Response:
    """Run one command, or a list as a whole."""
    runtime = runtime_of(request)
    caller = CallerInfo(request, runtime, request.scope["state"]["actor"])
    world_id = path_uuid(request.path_params["world_id"], WORLD_NOT_FOUND)
    caller.signed_in()
    try:
        value = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise MALFORMED("The body is not JSON.") from error
    response: Response = await caller.execute(
        parse_commands(runtime.engine, value, runtime.settings.max_commands), world_id
    )
    return response


route = Route(PATH, run_commands, methods=["POST"])


def openapi(engine: Engine) -> dict[str, Any]:
    """How the OpenAPI document describes this door: each command by its schema."""
    listed = sorted(
        (c for c in engine.commands if c.allowed.role is not None and not c.secret),
        key=lambda c: str(c.message_type),
    )
    one = {
        "oneOf": [
            {"$ref": f"#/components/schemas/Command_{c.message_type.replace('.', '_')}"} for c in listed
        ]
    }
    every = {r.code: r for c in listed for r in c.refusals}
    responses: dict[str, Any] = {str(k): v for k, v in refusals(
        COMMAND_UNKNOWN, TOO_MANY_COMMANDS, every.values()
    ).items()}  # fmt: skip
    result = {"type": "object", "properties": {"result": {}, "results": {"type": "array", "items": {}},
              "seq": {"type": ["integer", "null"]}}, "required": ["seq"]}  # fmt: skip
    responses["200"] = {
        "description": "Done and committed: `result` of the command, or `results` of the list.",
        "content": {"application/json": {"schema": result}},
    }
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": engine.settings.max_commands}
    example = {"type": "worlds.set_clock", "payload": {"paused": True}}
    return {
        "paths": {"/api/v1" + PATH: {"post": {
            "tags": ["commands"], "operationId": "run_commands", "summary": "Run Commands",
            "description": "Run one command, or a list that commits as a whole or not at all.",
            "parameters": [{"name": "world_id", "in": "path", "required": True,
                            "schema": {"type": "string", "format": "uuid"}}],
            "requestBody": {"required": True, "content": {"application/json": {
                "schema": {"anyOf": [one, many]},
                "examples": {"one": {"value": example}, "list": {"value": [example]}}}}},
            "responses": responses,
        }}},
        "components": {"schemas": {
            f"Command_{c.message_type.replace('.', '_')}": {
                "type": "object", "description": (c.__doc__ or "").strip(),
                "properties": {"type": {"const": c.message_type}, "payload": _inline(c)},
                "required": ["type"] if not _inline(c).get("required") else ["type", "payload"],
                "additionalProperties": False,
            } for c in listed
        }},
    }  # fmt: skip


def _inline(command: type[Command]) -> dict[str, Any]:
    """A command's schema with its definitions inside, so that names of different systems cannot collide."""
    schema = command.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return resolve(definitions[value["$ref"].rsplit("/", 1)[-1]])
            return {k: resolve(v) for k, v in value.items()}
        return [resolve(v) for v in value] if isinstance(value, list) else value

    resolved: dict[str, Any] = resolve(schema)
    return resolved
