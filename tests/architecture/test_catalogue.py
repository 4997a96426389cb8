"""What every command, event, check and timer declares."""

from collections import Counter
from typing import Any

from fablewright.app import BUILT_IN, installed_systems
from fablewright.core.actors import Allowed
from fablewright.core.messages import Catalogue, Command, Event

SYSTEMS = installed_systems()


def test_every_command_declares_who_may_give_it() -> None:
    commands = Catalogue[Command](h.command for s in SYSTEMS for h in s.handlers)
    assert len(commands) > 20
    assert all(isinstance(command.allowed, Allowed) for command in commands)


def test_every_event_declares_its_audience() -> None:
    events = Catalogue[Event](e for s in SYSTEMS for e in s.events)
    assert len(events) > 20
    assert all(event.audience is not Event.audience for event in events)


def test_every_message_is_named_after_its_system() -> None:
    for system in SYSTEMS:
        messages: list[Any] = [*(h.command for h in system.handlers), *system.events]
        assert [m.message_type for m in messages if m.message_type.split(".")[0] != system.name] == []


def test_every_message_says_what_it_is() -> None:
    messages: list[Any] = [m for s in SYSTEMS for m in (*(h.command for h in s.handlers), *s.events)]
    bases = {Command.__doc__, Event.__doc__, None}
    assert [m.__name__ for m in messages if m.__doc__ in bases] == []


def test_subjects_are_fields() -> None:
    for event in (e for s in SYSTEMS for e in s.events):
        assert set(event.subjects) <= set(event.model_fields), event


def test_kinds_of_timers_begin_with_the_system_and_nothing_has_the_same_name_twice() -> None:
    for system in SYSTEMS:
        timers, checks = [t.kind for t in system.timers], [c.name for c in system.checks]
        assert [kind for kind in timers if not kind.startswith(f"{system.name}.")] == []
        for names in (timers, checks):
            assert [name for name, many in Counter(names).items() if many > 1] == []


def test_refusals_of_one_code_are_one_kind() -> None:
    kinds: dict[str, set[str]] = {}
    for refusal in (r for s in SYSTEMS for h in s.handlers for r in h.command.refusals):
        kinds.setdefault(refusal.code, set()).add(refusal.kind)
    assert {code for code, found in kinds.items() if len(found) > 1} == set()


def test_built_in_systems_bring_checks() -> None:
    assert [s.name for s in BUILT_IN if not s.checks] == []
