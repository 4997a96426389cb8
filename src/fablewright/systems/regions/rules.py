"""Where characters are, how they get from place to place, and what refuses them. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Final
from uuid import UUID

from fablewright.core.clock import MINUTE
from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal

KINDS: Final = ("home", "work", "tavern", "market", "temple", "hall", "wild", "road", "square")
"""The kinds of place that the director and the characters' voices know; any other word may be used too."""

PLACE_NOT_FOUND = Refusal(
    "place_not_found", NOT_FOUND, "There is no such place in this world. Look it up in the list of places."
)
PLACE_NAME_TAKEN = Refusal(
    "place_name_taken",
    CONFLICT,
    "Another place has this name. Choose another one, or rename that place first, with a command of its own.",
)
PLACE_IN_USE = Refusal(
    "place_in_use",
    CONFLICT,
    "Somebody is at this place, heads for it, lives or works there. Place them elsewhere first.",
)
SAME_PLACE = Refusal("same_place", INVALID, "A way leads from one place to another. Name two places.")
TOO_MANY_PLACES = Refusal(
    "too_many_places", CONFLICT, "The world would have too many places or ways. Remove some first."
)
NO_WAY = Refusal(
    "no_way", CONFLICT, "No way leads there. Choose another place, or let a game master define ways."
)
ALREADY_THERE = Refusal("already_there", CONFLICT, "The character is at this place already.")
ALREADY_WALKING = Refusal(
    "already_walking", CONFLICT, "The character is on the way already. Wait until it has arrived."
)
NO_STARTING_POINT = Refusal(
    "no_starting_point",
    CONFLICT,
    "The character is at no place. A game master can put it at one with `regions.place_characters`.",
)
NO_WHEREABOUTS = Refusal(
    "no_whereabouts",
    NOT_FOUND,
    "Nobody has put such a character at a place. A game master can, with `regions.place_characters`.",
)
CHARACTER_NOT_FOUND = Refusal(
    "character_not_found", NOT_FOUND, "There is no such character in this world. Look it up in the list."
)
ASLEEP = Refusal("asleep", CONFLICT, "The character is asleep. Wake it up, or wait until it wakes.")
NOT_PRESENT = Refusal("not_present", CONFLICT, "The character is away. Wait until it is back.")
"""These three are raised by `characters`, which knows who lives and who sleeps."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where a character is: at `place_id`, or on the way from there to `to_id`, from `departed_at` until
    `arrives_at` (world ms). `home_id` and `work_id` are where it sleeps and where it works."""

    place_id: UUID | None = None
    to_id: UUID | None = None
    departed_at: int | None = None
    arrives_at: int | None = None
    home_id: UUID | None = None
    work_id: UUID | None = None

    @property
    def travelling(self) -> bool:
        """Whether it is between places."""
        return self.to_id is not None


NOWHERE: Final = Where()
"""Somebody who was never put anywhere."""


@dataclass(frozen=True, slots=True)
class PlaceState:
    """A place; `kind` is a word of the world's own, perhaps one of `KINDS`."""

    id: UUID
    name: str
    kind: str
    description: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PathState:
    """That two places are neighbours, `minutes` (> 0) of world time apart in either direction."""

    low_id: UUID
    high_id: UUID
    minutes: float


Neighbours = Mapping[UUID, Mapping[UUID, float]]
"""For each place that has any, its neighbours and the minutes to them."""


@dataclass(frozen=True, slots=True)
class Route:
    """A way: the places on it, both ends included, and how many minutes it takes."""

    place_ids: tuple[UUID, ...]
    minutes: float


def neighbours(paths: Iterable[PathState]) -> Neighbours:
    """The paths, arranged for finding ways."""
    found: dict[UUID, dict[UUID, float]] = {}
    for path in paths:
        found.setdefault(path.low_id, {})[path.high_id] = path.minutes
        found.setdefault(path.high_id, {})[path.low_id] = path.minutes
    return found


def route(paths: Iterable[PathState] | Neighbours, start: UUID, goal: UUID) -> Route:
    """The quickest way from one place to another (Dijkstra 1959). Refuses `no_way`.

    Of ways that take equally long, the one over fewer places, then the one over lower ids, so that the same
    world always walks the same way.
    """
    nearby = paths if isinstance(paths, Mapping) else neighbours(paths)
    waiting: list[tuple[float, int, tuple[UUID, ...]]] = [(0.0, 0, (start,))]
    done: set[UUID] = set()
    while waiting:
        minutes, steps, places = heappop(waiting)
        here = places[-1]
        if here == goal:
            return Route(places, minutes)
        if here in done:
            continue
        done.add(here)
        for there, more in nearby.get(here, {}).items():
            if there not in done:
                heappush(waiting, (minutes + more, steps + 1, (*places, there)))
    raise NO_WAY(from_id=str(start), to_id=str(goal))


def begin_walk(where: Where, goal: UUID, now: int, nearby: Neighbours) -> tuple[Where, Route]:
    """Who is somewhere sets out for another place at world time `now` (ms), over the quickest way.

    Refuses `already_walking`, `no_starting_point`, `already_there`, `no_way`.
    """
    if where.travelling:
        raise ALREADY_WALKING(to_id=str(where.to_id), arrives_at=where.arrives_at)
    if where.place_id is None:
        raise NO_STARTING_POINT()
    if where.place_id == goal:
        raise ALREADY_THERE(place_id=str(goal))
    way = route(nearby, where.place_id, goal)
    arrives_at = now + max(1, round(way.minutes * MINUTE))
    return replace(where, to_id=goal, departed_at=now, arrives_at=arrives_at), way


def arrive(where: Where) -> Where:
    """Who is on the way is there."""
    return put(where, place_id=where.to_id)


def put(
    where: Where, *, place_id: UUID | None = None, home_id: UUID | None = None, work_id: UUID | None = None
) -> Where:
    """Whereabouts after a game master's word; None leaves as it is. A new place ends a walk."""
    kept = replace(where, home_id=home_id or where.home_id, work_id=work_id or where.work_id)
    if place_id is None:
        return kept
    return replace(kept, place_id=place_id, to_id=None, departed_at=None, arrives_at=None)
