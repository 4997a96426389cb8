"""Invariants of events from outside, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "custom_events.every_schema_is_an_object",
        """SELECT world_id, 'the schema of ' || type || ' is not an object but ' || jsonb_typeof(schema)
           FROM custom_event_types WHERE jsonb_typeof(schema) <> 'object'""",
    ),
)
