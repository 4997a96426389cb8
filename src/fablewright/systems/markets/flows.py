"""What trade routes carry under restrictions, what this does to markets, and what it earns. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import floor
from typing import Final
from uuid import UUID

from fablewright.systems.markets.rules import Good, Market, Restriction, bound, rests
from fablewright.systems.regions.rules import RegionState

LEAST_MARGIN: Final = 0.05
"""What a merchant earns of the value at least, where goods are not dearer than whence they came."""
LEAST_PASSAGE: Final = 0.1
"""What who holds an end of another's route gets at least of what is left after tariffs, whatever `share` says."""


# -- routes --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RouteState:
    """A way on which `per_day` units of a good are to go from one region to another.

    `owner_id` is the faction that trades (None: merchants whom nobody commands), `share` (0..1) what it keeps of
    what the route earns; the rest goes to those who hold the two ends, and `LEAST_PASSAGE` to each in any case.
    """

    id: UUID
    from_region: UUID
    to_region: UUID
    good: str
    per_day: float
    owner_id: UUID | None = None
    share: float = 0.5


@dataclass(frozen=True, slots=True)
class Flow:
    """What a route carries on a day: `moved` units, of whose value `tariff` is taxed, and what restrains it."""

    route: RouteState
    moved: float
    tariff: float = 0.0
    restrained_by: tuple[Restriction, ...] = ()


@dataclass(slots=True)
class Traffic:
    """What all routes do to the market of a good in a region (units per day)."""

    imports: float = 0.0
    exports: float = 0.0
    taxed: float = 0.0
    """Of the imports, weighed with their tariffs."""


Place = tuple[UUID, str]
"""A market: a region, and the key of a good."""


def restrained(
    route: RouteState,
    regions: Mapping[UUID, RegionState],
    restrictions: Mapping[UUID | None, Sequence[Restriction]],
) -> Flow:
    """What restrictions leave of a route, as if there were enough of its good.

    `restrictions` all hold now, and are filed by one of their sides (`filed`).
    """
    source, target = regions[route.from_region].controller_id, regions[route.to_region].controller_id
    here = {i for i in (route.from_region, source, route.owner_id) if i is not None}
    there = {i for i in (route.to_region, target, route.owner_id) if i is not None}
    internal = source is not None and source == target and route.owner_id in (None, source)
    concerning = [r for side in dict.fromkeys((None, *here, *there)) for r in restrictions.get(side, ())]
    leaves = bound(concerning, route.good, here, there, internal=internal)
    return Flow(route, route.per_day * leaves.left, leaves.tariff, leaves.by)


def filed(restrictions: Iterable[Restriction]) -> dict[UUID | None, list[Restriction]]:
    """Restrictions by one of the sides that they name, None for those that bind all: most concern few routes."""
    found: dict[UUID | None, list[Restriction]] = defaultdict(list)
    for restriction in restrictions:
        found[restriction.from_id or restriction.to_id].append(restriction)
    return dict(found)


def flows(
    routes: Iterable[RouteState], regions: Mapping[UUID, RegionState], restrictions: Iterable[Restriction],
    now: int,
) -> list[Flow]:  # fmt: skip
    """What each route carries at world time `now`.

    A region sends what it yields, and of what others have sent it of their own yield, it sends on: so nothing is
    carried more than twice a day, in rings neither. Where routes want more, those of who holds the region go first,
    and of what these leave each other one gets its part. Routes of which a region is not known carry nothing and are
    left out.
    """
    holding = filed(r for r in restrictions if r.holds(now))
    wanted = [
        restrained(route, regions, holding) for route in routes
        if route.from_region in regions and route.to_region in regions
    ]  # fmt: skip
    starts = [_start(flow.route, regions) for flow in wanted]
    own = _sent(
        starts, [flow.moved for flow in wanted], lambda place: regions[place[0]].resources.get(place[1], 0.0)
    )
    brought: dict[Place, float] = defaultdict(float)
    for flow, moved in zip(wanted, own, strict=True):
        brought[flow.route.to_region, flow.route.good] += moved
    more = [flow.moved - moved for flow, moved in zip(wanted, own, strict=True)]
    sent_on = _sent(starts, more, lambda place: brought.get(place, 0.0))
    return [
        Flow(flow.route, one + two, flow.tariff, flow.restrained_by)
        for flow, one, two in zip(wanted, own, sent_on, strict=True)
    ]  # fmt: skip


Start = tuple[Place, bool]
"""Where a route takes its goods, and whether it goes first there: its faction holds the region."""


def _start(route: RouteState, regions: Mapping[UUID, RegionState]) -> Start:
    holder = regions[route.from_region].controller_id
    return (route.from_region, route.good), holder is not None and holder == route.owner_id


def _sent(starts: Sequence[Start], wants: Sequence[float], offered: Callable[[Place], float]) -> list[float]:
    """What leaves of what is wanted from each of `starts`.

    Who goes first gets its part of all that is offered there, the others theirs of the rest. Nobody's part grows by
    wanting more than there is.
    """
    there = {place: offered(place) for place, _ in starts}
    wants = [min(want, there[place]) for (place, _), want in zip(starts, wants, strict=True)]
    leaving: dict[Start, float] = defaultdict(float)
    for start, want in zip(starts, wants, strict=True):
        leaving[start] += want
    parts: dict[Start, float] = {}
    for (place, first), want in leaving.items():
        left = there[place] if first else max(0.0, there[place] - leaving.get((place, True), 0.0))
        parts[place, first] = min(1.0, left / want) if want > 0 else 0.0
    return [want * parts[start] for start, want in zip(starts, wants, strict=True)]


def traffic(flowing: Iterable[Flow]) -> dict[Place, Traffic]:
    """What routes bring to and take from each market."""
    found: dict[Place, Traffic] = defaultdict(Traffic)
    for flow in flowing:
        found[flow.route.from_region, flow.route.good].exports += flow.moved
        there = found[flow.route.to_region, flow.route.good]
        there.imports += flow.moved
        there.taxed += flow.moved * flow.tariff
    return dict(found)


def settled(market: Market, good: Good, region: RegionState, of: Traffic | None, now: int) -> Market:
    """A market after its routes or its region have changed: it drifts to where it rests now.

    A market for which nothing has changed is returned as it is.
    """
    of = of or Traffic()
    supply, demand = rests(good, region, of.imports, of.exports)
    duty = of.taxed / max(supply, of.imports) if of.taxed else 0.0
    if (supply, demand, of.imports, of.exports, duty) == (
        market.supply_rest, market.demand_rest, market.imports, market.exports, market.duty,
    ):  # fmt: skip
        return market
    return replace(
        market.on(now), supply_rest=supply, demand_rest=demand, imports=of.imports, exports=of.exports, duty=duty
    )  # fmt: skip


# -- what routes earn ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Earning:
    """What a faction gets of a route on a day, and for what: `trade`, `passage` or `duty`."""

    faction_id: UUID
    amount: float
    what: str


@dataclass(frozen=True, slots=True)
class Earned:
    """What a route earned on a day: `gross`, of which `duty` was taxed. What nobody gets is lost."""

    flow: Flow
    gross: float
    duty: float
    earnings: tuple[Earning, ...] = field(default=())


def earned(flow: Flow, price_from: float, price_to: float, regions: Mapping[UUID, RegionState]) -> Earned:
    """What a flow earns where a unit costs `price_from` and `price_to`.

    Merchants earn the difference, and a twentieth of the value at least. Tariffs are taken on the value at the
    beginning, up to all that is earned, and go to who holds the end. Of the rest the owner gets its share, and
    those who hold the two ends get half each of what is left; `LEAST_PASSAGE` of the rest at least, if they are not
    the owner themselves.
    """
    route = flow.route
    gross = flow.moved * max(price_to - price_from, LEAST_MARGIN * price_to)
    duty = min(gross, flow.tariff * flow.moved * price_from)
    net = gross - duty
    own = net * route.share if route.owner_id is not None else 0.0
    half = (net - own) / 2
    ends = regions[route.from_region].controller_id, regions[route.to_region].controller_id
    passages = [half if end in (None, route.owner_id) else max(half, LEAST_PASSAGE * net) for end in ends]
    own -= sum(passage - half for passage in passages)
    parts = (
        (route.owner_id, own, "trade"), (ends[0], passages[0], "passage"), (ends[1], passages[1], "passage"),
        (ends[1], duty, "duty"),
    )  # fmt: skip
    return Earned(
        flow, gross, duty, tuple(Earning(who, sum_, what) for who, sum_, what in parts if who and sum_ > 0)
    )


def incomes(all_earned: Iterable[Earned]) -> dict[UUID, int]:
    """What each faction gets of all routes on a day, in whole units of its currency, by id.

    What is no whole unit is lost, so that no more is paid than was earned.
    """
    sums: dict[UUID, float] = defaultdict(float)
    for one in all_earned:
        for earning in one.earnings:
            sums[earning.faction_id] += earning.amount
    return {who: floor(sums[who]) for who in sorted(sums) if sums[who] >= 1}


def top(all_earned: Sequence[Earned], most: int) -> list[Earned]:
    """Those routes that earned most; of equal ones the lower id first."""
    return sorted(all_earned, key=lambda one: (-one.gross, one.flow.route.id))[:most]
