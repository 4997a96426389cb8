"""Where characters are, how they get from place to place, what regions are, and what refuses. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Final
from uuid import UUID

from fablewright.core.clock import DAY, MINUTE, elapsed, half_life_factor
from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal, Refused

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
REGION_NOT_FOUND = Refusal(
    "region_not_found", NOT_FOUND, "There is no such region in this world. Look it up in the list of regions."
)
REGION_NAME_TAKEN = Refusal(
    "region_name_taken",
    CONFLICT,
    "Another region has this name. Choose another one, or rename that region first, with a command of its own.",
)
SAME_REGION = Refusal("same_region", INVALID, "A border lies between two regions. Name two regions.")
TOO_MANY_REGIONS = Refusal(
    "too_many_regions", CONFLICT, "The world would have too many regions or borders. Remove some first."
)
NO_ROUTE = Refusal(
    "no_route", CONFLICT, "No borders lead there. Choose another region, or let a game master define borders."
)
HOLDER_NOT_FOUND = Refusal(
    "faction_not_found", NOT_FOUND, "There is no such faction in this world. Look it up in the list of factions."
)  # fmt: skip
HOLDER_DISSOLVED = Refusal(
    "faction_dissolved",
    CONFLICT,
    "The faction was dissolved, so it holds nothing any more. Name another one.",
)
"""These two are raised by `factions`, which knows who is there to hold a region."""
BARRED = Refusal(
    "barred",
    CONFLICT,
    "A ban keeps the character out of a region on the way. Wait until it ends, or see to it that it is lifted.",
)
BAN_NOT_FOUND = Refusal(
    "ban_not_found", NOT_FOUND, "There is no such ban, or it is over already. List the bans again."
)
BAN_OF_ANOTHER = Refusal(
    "ban_of_another",
    CONFLICT,
    "A part of the world keeps this ban, such as a sanction or a treaty. End what its `source` names.",
)
BAN_ENDS_TOO_EARLY = Refusal(
    "ban_ends_too_early", INVALID, "A ban ends after it begins, and after now. Choose a later `until_at`."
)
TOO_MANY_BANS = Refusal(
    "too_many_bans", CONFLICT, "The world would have too many bans at once. Lift some that are not needed."
)

STABILITY_HALF_LIFE: Final = 30 * DAY
"""In this time half of what shook a region is forgotten (world ms)."""
GAME_MASTERS_BAN: Final = "game_master"
"""The `source` of bans that game masters impose by hand."""


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
    region_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class PathState:
    """That two places are neighbours, `minutes` (> 0) of world time apart in either direction."""

    low_id: UUID
    high_id: UUID
    minutes: float


Neighbours = Mapping[UUID, Mapping[UUID, float]]
"""For each place that has any, its neighbours and the minutes to them."""


@dataclass(frozen=True, slots=True)
class Ban:
    """That somebody may not come into a region.

    `region_id` None: into none (whoever is in one stays in it). `subject_id`: a character, or what characters
    belong to, such as a faction; None: everybody. `source` says what keeps it, such as `sanction:<id>`. It
    holds from `from_at` (None: now) until `until_at` (world ms; None: until it is lifted).
    """

    region_id: UUID | None
    subject_id: UUID | None
    source: str
    reason: str = ""
    from_at: int | None = None
    until_at: int | None = None
    id: UUID | None = None

    def holds(self, now: int) -> bool:
        """Whether it holds at world time `now`."""
        return (self.from_at is None or self.from_at <= now) and (
            self.until_at is None or now < self.until_at
        )

    def keeps_out(self, region_id: UUID, stands_for: Collection[UUID]) -> bool:
        """Whether it keeps one who stands for these ids (itself, and what it belongs to) out of a region."""
        return self.region_id in (None, region_id) and (
            self.subject_id is None or self.subject_id in stands_for
        )


@dataclass(frozen=True, slots=True)
class Barriers:
    """What may bar somebody's way.

    `regions` says in which region a step of the way lies (a place, or a region, which lies in itself);
    `stands_for` holds the walker's id and what it belongs to.
    """

    bans: Sequence[Ban] = ()
    regions: Mapping[UUID, UUID] = field(default_factory=dict)
    stands_for: Collection[UUID] = ()


FREE: Final = Barriers()
"""Nothing bars the way."""


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


def begin_walk(
    where: Where, goal: UUID, now: int, nearby: Neighbours, barriers: Barriers | None = None
) -> tuple[Where, Route]:  # fmt: skip
    """Who is somewhere sets out for another place at world time `now` (ms), over the quickest way that is free.

    Refuses `already_walking`, `no_starting_point`, `already_there`, `no_way`, `barred`.
    """
    start = starting_point(where)
    if start == goal:
        raise ALREADY_THERE(place_id=str(goal))
    way = free_way(nearby, start, goal, barriers or FREE)
    return set_out(where, goal, now, way.minutes), way


def starting_point(where: Where) -> UUID:
    """The place from which somebody can set out. Refuses `already_walking`, `no_starting_point`."""
    if where.travelling:
        raise ALREADY_WALKING(to_id=str(where.to_id), arrives_at=where.arrives_at)
    if where.place_id is None:
        raise NO_STARTING_POINT()
    return where.place_id


def set_out(where: Where, goal: UUID, now: int, minutes: float) -> Where:
    """On the way to a place from world time `now` (ms), for so many minutes, at least a millisecond."""
    return replace(where, to_id=goal, departed_at=now, arrives_at=now + max(1, round(minutes * MINUTE)))


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


# -- regions -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RegionState:
    """A region.

    `resources` are units of a good per world day (>= 0), `population` is how many people live there beside the
    characters, `stability` (0..1) is as it was at `stability_at` (world ms) and drifts to `stability_rest`,
    `controller_id` is the faction that holds it.
    """

    id: UUID
    name: str
    terrain: str = "plain"
    description: str = ""
    resources: Mapping[str, float] = field(default_factory=dict)
    population: int = 0
    stability: float = 0.7
    stability_at: int = 0
    stability_rest: float = 0.7
    controller_id: UUID | None = None
    tags: tuple[str, ...] = ()

    def stability_now(self, now: int) -> float:
        """How stable it is at world time `now` (ms), 0..1."""
        return stability(self.stability, self.stability_at, now, self.stability_rest)


@dataclass(frozen=True, slots=True)
class BorderState:
    """That two regions are neighbours: from the middle of one to the middle of the other it takes `minutes`."""

    low_id: UUID
    high_id: UUID
    minutes: float


def stability(value: float, at: int, now: int, rest: float) -> float:
    """What a stability of `value` (0..1) at world time `at` has become at `now`.

    What it is away from `rest` halves every `STABILITY_HALF_LIFE`.
    """
    return rest + (value - rest) * half_life_factor(elapsed(at, now), STABILITY_HALF_LIFE)


def shaken(region: RegionState, delta: float, now: int) -> RegionState:
    """A region after something moved its stability by `delta`; it stays between 0 and 1."""
    moved = min(1.0, max(0.0, region.stability_now(now) + delta))
    return replace(region, stability=moved, stability_at=max(now, region.stability_at))


def bordering(borders: Iterable[BorderState]) -> Neighbours:
    """The borders, arranged for finding ways."""
    return neighbours(PathState(b.low_id, b.high_id, b.minutes) for b in borders)


def region_route(nearby: Neighbours, start: UUID, goal: UUID) -> Route:
    """The quickest way between regions over their borders. Refuses `no_route`."""
    try:
        return route(nearby, start, goal)
    except Refused as refused:
        raise NO_ROUTE(**refused.facts) from None


# -- bans ----------------------------------------------------------------------------------------------------


def barring(bans: Iterable[Ban], region_id: UUID, stands_for: Collection[UUID]) -> Ban | None:
    """The first of these bans that keeps somebody out of a region."""
    return next((ban for ban in bans if ban.keeps_out(region_id, stands_for)), None)


def first_barred(way: Sequence[UUID], barriers: Barriers) -> tuple[UUID, Ban] | None:
    """Where a way first comes into a region that is barred, and by which ban; None if it is free.

    Who is in a region already may walk about in it.
    """
    last = barriers.regions.get(way[0]) if way else None
    for step in way[1:]:
        here = barriers.regions.get(step)
        if here is not None and here != last:
            ban = barring(barriers.bans, here, barriers.stands_for)
            if ban is not None:
                return here, ban
            last = here
    return None


def free_way(nearby: Neighbours, start: UUID, goal: UUID, barriers: Barriers) -> Route:
    """The quickest way that no ban bars, round barred regions if need be. Refuses `no_way`, `barred`."""
    way = route(nearby, start, goal)
    barred = first_barred(way.place_ids, barriers) if barriers.bans else None
    if barred is None:
        return way
    home = barriers.regions.get(start)
    closed = {
        region for region in barriers.regions.values()
        if region != home and barring(barriers.bans, region, barriers.stands_for) is not None
    }  # fmt: skip
    open_steps = {
        step: {other: m for other, m in near.items() if barriers.regions.get(other) not in closed}
        for step, near in nearby.items()
    }
    try:
        round_about = route(open_steps, start, goal)
    except Refused:
        raise barred_by(*barred) from None
    again = first_barred(round_about.place_ids, barriers)
    if again is not None:
        raise barred_by(*again)
    return round_about


def barred_by(region_id: UUID, ban: Ban) -> Refused:
    """The refusal that names the region and what keeps the ban."""
    because = f": {ban.reason}" if ban.reason else ""
    return BARRED(
        f"A ban keeps the character out of a region on the way ({ban.source}){because}. "
        "Wait until it ends, or see to it that it is lifted.",
        region_id=str(region_id), source=ban.source, reason=ban.reason, until_at=ban.until_at,
    )  # fmt: skip
