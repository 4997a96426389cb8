"""What the commands about events from outside do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import jsonschema_rs
import orjson
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError, ValidationErrorKind

from fablewright.core.definitions import Definitions
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.custom_events.commands import RecordEvent, RegisterEventType, RemoveEventType, SeenBy
from fablewright.systems.custom_events.events import CustomEvent, TypeRegistered, TypeRemoved
from fablewright.systems.custom_events.rules import (
    EVENT_INVALID,
    EVENT_TYPE_NOT_FOUND,
    EVENT_TYPE_UNKNOWN,
    MOST_ERRORS,
    MOST_LOOKS,
    MOST_TYPES,
    TOO_MANY_EVENT_TYPES,
    TOO_MANY_FAULTS,
    Weight,
    check_schema,
    dotted,
    schema_refused,
    values_in,
)
from fablewright.systems.custom_events.views import EventTypeView, Recorded

MOST_MESSAGE: Final = 300
"""Letters of what is said of one fault."""
PATTERNS: Final = RegexOptions(size_limit=100_000, dfa_size_limit=500_000)
"""Regular expressions run in a time that grows with the text only; what would not is refused with the schema."""
NO_PATTERN: Final = ". Write it without look-around and references back, and without large repetitions."

LOAD: Final = "SELECT type, schema::text AS schema, audience FROM custom_event_types WHERE world_id = $1"
WRITE: Final = """
INSERT INTO custom_event_types (world_id, type, description, schema, audience) VALUES ($1, $2, $3, $4::jsonb, $5)
ON CONFLICT (world_id, type) DO UPDATE SET
    description = excluded.description, schema = excluded.schema, audience = excluded.audience
"""


@dataclass(frozen=True, slots=True)
class KnownType:
    """A type of events as it is used: what its data must be like, and who may see it."""

    validator: Draft202012Validator
    weight: Weight
    audience: SeenBy

    def refused(self, data: Mapping[str, Any]) -> Refused | None:
        """`event_invalid` if the data does not fit."""
        if self.validator.is_valid(data):
            return None
        errors = self._faults(data)
        return EVENT_INVALID(f"{errors[0]['path']}: {errors[0]['message']}", errors=errors)

    def _faults(self, data: Mapping[str, Any]) -> list[dict[str, str]]:
        """What is wrong; only the first fault, or that there is one, where seeking them all would take long."""
        if self.weight.parts * values_in(data) <= MOST_LOOKS:
            return [_told(error) for error in islice(self.validator.iter_errors(data), MOST_ERRORS)]
        if self.weight.alternatives:
            return [{"path": "data", "message": TOO_MANY_FAULTS}]
        try:
            self.validator.validate(data)
        except ValidationError as first:
            return [_told(first)]
        raise AssertionError("it was found invalid a moment ago")


def compiled(schema: Mapping[str, Any], audience: SeenBy = "members") -> KnownType:
    """A schema, ready to check data. Refuses `schema_invalid`."""
    weight = check_schema(schema)
    try:
        validator = Draft202012Validator(
            dict(schema), validate_formats=True, ignore_unknown_formats=False, pattern_options=PATTERNS,
            offline=True,
        )  # fmt: skip
        return KnownType(validator, weight, audience)
    except jsonschema_rs.ReferencingError as error:
        raise schema_refused((), error.message[:MOST_MESSAGE]) from error
    except ValidationError as error:
        hint = NO_PATTERN if error.message.endswith('is not a "regex"') else ""
        raise schema_refused(error.instance_path, error.message[:MOST_MESSAGE] + hint) from error
    except ValueError as error:
        raise schema_refused((), str(error)[:MOST_MESSAGE]) from error


def _told(error: ValidationError) -> dict[str, str]:
    """Where a fault is and what it is. What is missing or too much is named by its own path."""
    path = list(error.instance_path)
    match error.kind:
        case ValidationErrorKind.Required(name):
            path.append(name)
        case ValidationErrorKind.AdditionalProperties([name, *_]) | ValidationErrorKind.UnevaluatedProperties(
            [name, *_]
        ):
            path.append(name)
        case _:
            pass
    return {"path": dotted("data", path)[:MOST_MESSAGE], "message": error.message[:MOST_MESSAGE]}


async def _load(tx: Transaction) -> dict[str, KnownType]:
    return {
        row["type"]: compiled(orjson.loads(row["schema"]), row["audience"])
        for row in await tx.fetch(LOAD, tx.world_id)
    }


TYPES: Final = Definitions(_load)


async def register(tx: Transaction, command: RegisterEventType) -> EventTypeView:
    """Store a type and its schema. Refuses `schema_invalid`, `too_many_event_types`."""
    compiled(command.data_schema)
    known = await TYPES.of(tx)
    if command.type not in known and len(known) >= MOST_TYPES:
        raise TOO_MANY_EVENT_TYPES(most=MOST_TYPES)
    await tx.execute(
        WRITE, tx.world_id, command.type, command.description, orjson.dumps(command.data_schema).decode(),
        command.audience,
    )  # fmt: skip
    tx.definitions_changed = True
    tx.emit(TypeRegistered(type=command.type, description=command.description, seen_by=command.audience))
    return EventTypeView(
        type=command.type, description=command.description, audience=command.audience,
        data_schema=command.data_schema,
    )  # fmt: skip


async def remove(tx: Transaction, command: RemoveEventType) -> None:
    """Take a type away. Refuses `event_type_not_found`."""
    if not await tx.execute(
        "DELETE FROM custom_event_types WHERE world_id = $1 AND type = $2", tx.world_id, command.type
    ):
        raise EVENT_TYPE_NOT_FOUND(type=command.type)
    tx.definitions_changed = True
    tx.emit(TypeRemoved(type=command.type))


async def record(tx: Transaction, requests: Sequence[Request]) -> list[Recorded | Refused]:
    """Put events from outside into the log, those that fit their types; nothing else is stored of them."""
    known = await TYPES.of(tx)
    return [_record(tx, request, known) for request in requests]


def _record(tx: Transaction, request: Request, known: Mapping[str, KnownType]) -> Recorded | Refused:
    command: RecordEvent = request.command  # type: ignore[assignment]
    kind = known.get(command.type)
    if kind is None:
        return EVENT_TYPE_UNKNOWN(f"This world has registered no type {command.type!r}.", type=command.type)
    refused = kind.refused(command.data)
    if refused is not None:
        return refused
    event = CustomEvent(
        type=command.type, subject_id=command.subject_id, seen_by=kind.audience, data=command.data
    )
    return Recorded(event_id=tx.emit(event, by=request).id, type=command.type, at=tx.now)


async def known_types(tx: Transaction) -> frozenset[str]:
    """The types that outside programs may send in the transaction's world."""
    return frozenset(await TYPES.of(tx))
