"""What a character could do next, and how much it is inclined to each of these. Pure.

Apart from `rules.py` since these are two nouns: there who someone is at this hour, here what is open to it. The
weight of an option is the sum of its named parts (`PARTS`), never below 0; the dice choose in proportion. All
coefficients are our own, tuned for play.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final, Literal
from uuid import UUID

from fablewright.core.clock import DAY, HOUR, elapsed
from fablewright.core.dice import Dice
from fablewright.systems.director.rules import ENERGY_TO_ACT, Npc, Rhythm, abed

ActName = Literal["interact", "walk", "sleep", "wake", "rest"]

PARTS: Final = ("need", "tie", "mood", "novelty", "goal", "place", "arc", "hour")
"""What the weight of an option is made of."""
NOVELTY, GOAL, ARC, HOUR_PART = (PARTS.index(name) for name in ("novelty", "goal", "arc", "hour"))
MOST_WEIGHT: Final = 12.0
"""No option weighs more; see the tables below."""
TOLD: Final = 6
"""How many of the options an event tells: the chosen one and the heaviest others."""


# -- what there is --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """Someone who is present, and how the npc feels about it now: strength -1..1, trust and familiarity 0..1.

    `met_at` is when they last met and `done_at` when the npc last did each type of thing to it (world ms).
    `barred` names the types that it may not do now; None stands for all of them.
    """

    id: UUID
    name: str
    strength: float = 0.0
    trust: float = 0.5
    familiarity: float = 0.0
    met_at: int | None = None
    done_at: Mapping[str, int] | None = None
    barred: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Tale:
    """A memory that could be told: about whom, by whom it came, how much it weighs (0..1)."""

    memory_id: UUID
    subject_id: UUID | None
    about: tuple[UUID, ...] = ()
    tellers: tuple[UUID, ...] = ()
    importance: float = 0.5
    secret: bool = False
    known_to: frozenset[UUID] = frozenset()
    """Those of whom it could be told to who know it already."""


@dataclass(frozen=True, slots=True)
class Plot:
    """An open arc as it bears on one character: against or with whom it goes, and how tense it is (0..1).

    `age_ms` is how long it has been open and `began` whether the character is the one who began it.
    """

    id: UUID
    kind: str
    others: frozenset[UUID]
    tension: float
    age_ms: int
    began: bool = False
    main: bool = True
    """Whether it is one of the two whose arc it is, not one who was drawn in."""


@dataclass(frozen=True, slots=True)
class Option:
    """Something a character could do. `parts` are in the order of `PARTS`; `weight` is their sum, or 0."""

    act: ActName
    weight: float
    parts: tuple[float, ...]
    type: str | None = None
    with_id: UUID | None = None
    to_id: UUID | None = None
    memory_id: UUID | None = None
    arc_id: UUID | None = None
    arc_kind: str | None = None
    feeling: tuple[float, float] = (0.0, 0.0)
    """The strength and familiarity that were felt for the other one."""
    met_at: int | None = None
    """When the two last met."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place one could walk to: its kind, how far it is, and whom of one's people one would find there."""

    id: UUID
    kind: str
    minutes: float
    friends: int = 0
    sought: bool = False
    """Whether somebody is there whom a goal or an arc is about."""


def option(
    act: ActName, *, need: float = 0.0, tie: float = 0.0, mood: float = 0.0, novelty: float = 0.0,
    goal: float = 0.0, place: float = 0.0, arc: float = 0.0, hour: float = 0.0,
    type: str | None = None, with_id: UUID | None = None, to_id: UUID | None = None,
) -> Option:  # fmt: skip
    """An option made of these parts."""
    parts = (need, tie, mood, novelty, goal, place, arc, hour)
    return Option(act, min(MOST_WEIGHT, max(0.0, sum(parts))), parts, type, with_id, to_id)


LIVELY: Final[Mapping[str, float]] = {"tavern": 1.0, "market": 0.8, "square": 0.6, "hall": 0.5, "road": 0.2}
"""Kinds of places where people go for company, and how much they invite it (0..1)."""


def pull(npc: Npc, spot: Spot, day: Rhythm, hour: float) -> float:
    """How much someone wants to be at a place at this hour (0..24), 0..1.5."""
    wanted = 0.0
    if spot.id == npc.work_id:
        wanted = day.work
    if spot.id == npc.home_id:
        wanted = max(wanted, 0.5 * day.home, day.sleep, 0.4 * (1.0 - npc.energy))
    if spot.kind in LIVELY:
        by_day = 0.3 if spot.kind == "tavern" else 1.0
        evening = 1.0 if spot.kind == "tavern" else 0.6
        wanted = max(wanted, day.leisure * LIVELY[spot.kind] * (evening if hour >= 16.0 else by_day))
    if spot.kind == "temple":
        wanted = max(wanted, day.worship)
    return wanted + 0.12 * min(3, spot.friends) * npc.needs.company


def walks(npc: Npc, here: Spot | None, spots: Sequence[Spot], day: Rhythm, hour: float) -> list[Option]:
    """Walking to each of the places that call more than the one where someone is."""
    found = []
    stays = pull(npc, here, day, hour) if here else 0.0
    lonely = here is not None and not here.friends
    for spot in spots:
        if spot.id == npc.place_id:
            continue
        calls = pull(npc, spot, day, hour) - stays
        sought = 0.3 * spot.sought * (1.0 - day.sleep)
        if calls <= 0.05 and not sought:
            continue
        to_bed = 4.0 * day.sleep * (spot.id == npc.home_id)
        walk = option(
            "walk", to_id=spot.id, hour=2.5 * max(0.0, calls) + to_bed, goal=sought,
            need=0.3 * npc.needs.company * (lonely and spot.friends > 0), place=-min(0.3, spot.minutes / 200.0),
        )  # fmt: skip
        if walk.weight > 0.0:
            found.append(walk)
    return found


def nights(npc: Npc, bed_id: UUID | None, day: Rhythm) -> list[Option]:
    """Going to sleep, for whom the hour calls to bed and who is where its bed is (None: at no place)."""
    if day.sleep <= 0.0 or npc.place_id != bed_id:
        return []
    return [option("sleep", hour=6.0 * day.sleep * day.sleep, need=day.sleep * (1.0 - npc.energy))]


def rest(npc: Npc, day: Rhythm) -> Option:
    """Doing nothing: for the tired, the quiet and those who are where they want to be at this hour."""
    return option(
        "rest", need=0.6 * (1.0 - npc.energy) + 0.2 * (1.0 - npc.needs.company),
        mood=0.2 * (1.0 - npc.traits.extraversion) * (1.0 - max(0.0, npc.arousal)),
        hour=0.1 * (1.0 - day.sleep),
    )  # fmt: skip


def waking(npc: Npc, hour: float) -> list[Option]:
    """What a sleeper could do: wake, if it is its time, or sleep on."""
    if abed(npc.traits, hour):
        return [option("rest", hour=1.0)]
    return [
        option("wake", hour=3.0, need=npc.energy),
        option("rest", hour=0.0, need=1.0 - npc.energy),
    ]


# -- what one could do to somebody ----------------------------------------------------------------------------

FEATURES: Final = (
    "company", "esteem", "tired", "outgoing", "hard", "kind", "cheer", "gloom", "anger", "timid", "bold",
    "lively_mind", "lively", "working", "work", "good", "bad", "trust", "distrust", "familiar", "strange",
    "apart", "close", "reliance", "spite", "quarrelled", "tale", "secret",
)  # fmt: skip
"""What inclinations are made of, each 0..1: first those of the npc, its mood, place and hour; from `good` on
those of its tie to the other one."""
OF_TIE: Final = FEATURES.index("good")
INDEX: Final = {name: number for number, name in enumerate(FEATURES)}
GRUDGES: Final = ("quarrel", "feud")
WEARY_PER_DAY: Final = 0.06
WEARY: Final = 0.6
"""By how much each day of a quarrel or feud adds to the wish to apologise, and at most."""
QUARRELS_LAST_MS: Final = 5 * DAY
"""For so long after a conflict somebody may still think of an apology."""


@dataclass(frozen=True, slots=True)
class Leaning:
    """What inclines to a type: terms (index of the part, index of the feature, coefficient), and the least values that
    features of the tie must have. The type has its full weight again `repeat_ms` after it was last done to the same."""

    type: str
    like: str
    """The built-in type that it is like: itself, or what a world's own type names."""
    own: tuple[tuple[int, int, float], ...]
    """Terms of features of the npc's own."""
    of_tie: tuple[tuple[int, int, float], ...]
    least: tuple[tuple[int, float], ...]
    repeat_ms: int


@dataclass(frozen=True, slots=True)
class Leanings:
    """The tables of `data/leanings.json`: types; and by goal or kind of arc, what that adds to each type.

    An arc adds a x tension + b x (1 - tension).
    """

    types: tuple[Leaning, ...]
    goals: Mapping[str, Mapping[str, float]]
    arcs: Mapping[str, Mapping[str, tuple[float, float]]]


def leanings(raw: Mapping[str, Mapping[str, Mapping[str, object]]]) -> Leanings:
    """The tables, made ready. Raises `KeyError` for an unknown feature."""
    types = []
    for name, row in raw["types"].items():
        terms = [
            (number, INDEX[feature], float(value))
            for number, part in enumerate(PARTS)
            for feature, value in row.get(part, {}).items()  # type: ignore[attr-defined]
        ]
        least = [(INDEX[feature], float(value)) for feature, value in row.get("needs", {}).items()]  # type: ignore[attr-defined]
        hours = float(row["repeat_hours"])  # type: ignore[arg-type]
        own, of_tie = (tuple(t for t in terms if (t[1] >= OF_TIE) == tie) for tie in (False, True))
        types.append(Leaning(name, name, own, of_tie, tuple(least), round(hours * HOUR)))
    return Leanings(tuple(types), raw["goals"], raw["arcs"])  # type: ignore[arg-type]


def with_own_types(table: Leanings, likes: Mapping[str, str | None]) -> Leanings:
    """The tables for a world whose types are these, each with the built-in type that it is like, if any."""
    by_name = {leaning.type: leaning for leaning in table.types}
    found = []
    for name, like in likes.items():
        model = by_name.get(name) or by_name.get(like or "")
        if model is not None:
            found.append(replace(model, type=name))
    return replace(table, types=tuple(found))


def own_features(npc: Npc, place_kind: str | None, day: Rhythm) -> tuple[float, ...]:
    """The features that are the same whomever the npc turns to."""
    t, gloom = npc.traits, max(0.0, -npc.pleasure)
    return (
        npc.needs.company, npc.needs.esteem, 1.0 - npc.energy, t.extraversion,
        0.5 * t.neuroticism + 0.5 * (1.0 - t.agreeableness), t.agreeableness, max(0.0, npc.pleasure), gloom,
        min(1.0, gloom * (0.4 + 0.6 * max(0.0, npc.arousal)) * (1.0 + max(0.0, npc.dominance))),
        max(0.0, -npc.dominance), max(0.0, npc.dominance), max(0.0, npc.arousal) * (0.5 + 0.5 * t.openness),
        LIVELY.get(place_kind or "", 0.0), float(npc.work_id is not None and npc.work_id == npc.place_id), day.work,
    )  # fmt: skip


def tie_features(
    npc: Npc,
    known: Known,
    hard: float,
    plots: Sequence[Plot],
    tale: Tale | None,
    secret: Tale | None,
    now: int,
) -> tuple[float, ...]:
    """The features of how the npc stands to someone."""
    good, bad, trust, familiar = (
        max(0.0, known.strength),
        max(0.0, -known.strength),
        known.trust,
        known.familiarity,
    )
    apart = 1.0 if known.met_at is None else min(1.0, elapsed(known.met_at, now) / DAY)
    clashed = (known.done_at or {}).get("conflict")
    quarrelled = (clashed is not None and elapsed(clashed, now) < QUARRELS_LAST_MS) or any(
        p.main and p.kind in GRUDGES for p in plots
    )
    return (
        good, bad, trust, 1.0 - trust, familiar, (1.0 - familiar) * npc.traits.openness, apart, good * familiar,
        min(1.0, trust * (0.3 + good)), bad * (0.3 + 0.7 * hard), float(quarrelled),
        tale.importance if tale else 0.0, secret.importance if secret else 0.0,
    )  # fmt: skip


def freshness(done_at: int | None, repeat_ms: int, met_at: int | None, now: int) -> float:
    """What repetition leaves of an inclination, 0.01..1: little right after the same, more after anything else."""
    same = 1.0 if done_at is None else min(1.0, elapsed(done_at, now) / repeat_ms)
    anything = 1.0 if met_at is None else min(1.0, elapsed(met_at, now) / (2 * HOUR))
    return (0.04 + 0.96 * same * same) * (0.25 + 0.75 * anything)


def tale_for(tales: Sequence[Tale], known_id: UUID, foes: Collection[UUID], *, secret: bool) -> Tale | None:
    """The weightiest tale that someone could tell this person, one about a foe first; None if there is none.

    Nobody is told about himself, what came by way of himself, or what he knows already; secrets are confided and
    nothing else is.
    """
    fitting = (
        t for t in tales
        if t.secret == secret and t.subject_id != known_id and known_id not in t.tellers
        and known_id not in t.known_to
        and (secret or known_id not in t.about)
    )  # fmt: skip
    return max(fitting, key=lambda t: (t.subject_id in foes, t.importance), default=None)


@dataclass(frozen=True, slots=True)
class Situation:
    """What is so for an npc whomever it turns to."""

    now: int
    day: Rhythm
    place_kind: str | None = None
    plots: tuple[Plot, ...] = ()
    tales: tuple[Tale, ...] = ()


@dataclass(frozen=True, slots=True)
class Stance:
    """What an npc brings to whomever it turns to: for each type, the parts that do not depend on the other."""

    npc: Npc
    situation: Situation
    table: Leanings
    hard: float
    foes: frozenset[UUID]
    bases: tuple[tuple[Leaning, tuple[float, ...]], ...]


def stance(npc: Npc, s: Situation, table: Leanings) -> Stance:
    """The stance of an npc in a situation; reckoned once, since it may turn to several."""
    own = own_features(npc, s.place_kind, s.day)
    bases = []
    for leaning in table.types:
        parts = [0.0] * len(PARTS)
        for part, feature, value in leaning.own:
            parts[part] += value * own[feature]
        bases.append((leaning, tuple(parts)))
    foes = frozenset(i for p in s.plots if p.kind in GRUDGES for i in p.others)
    return Stance(npc, s, table, own[INDEX["hard"]], foes, tuple(bases))


def dealings(who: Stance, known: Known) -> list[Option]:
    """Every interaction to which an npc is inclined with someone, each with its parts."""
    npc, s = who.npc, who.situation
    if known.barred is None or npc.energy < ENERGY_TO_ACT:
        return []
    plots = [p for p in s.plots if known.id in p.others]
    tale = tale_for(s.tales, known.id, who.foes, secret=False) if s.tales else None
    secret = tale_for(s.tales, known.id, (), secret=True) if s.tales else None
    values = tie_features(npc, known, who.hard, plots, tale, secret, s.now)
    done_at = known.done_at or {}
    found = []
    for leaning, base in who.bases:
        if leaning.type in known.barred or any(values[i - OF_TIE] < least for i, least in leaning.least):
            continue
        parts = list(base)
        for part, feature, value in leaning.of_tie:
            parts[part] += value * values[feature - OF_TIE]
        memory = tale if leaning.like == "gossip" else secret if leaning.like == "confide" else None
        if npc.goals:
            parts[GOAL] += _of_goals(npc, known, leaning.like, memory, who.table)
        most = None
        if s.plots:
            arc, most = _of_arcs(plots, s.plots, leaning.like, memory, who.table)
            parts[ARC] += arc
        total = sum(parts)
        if total <= 0.0:
            continue
        fresh = freshness(done_at.get(leaning.type), leaning.repeat_ms, known.met_at, s.now)
        parts[NOVELTY] -= total * (1.0 - fresh)
        parts[HOUR_PART] -= total * fresh * 0.9 * s.day.sleep
        found.append(Option(
            "interact", min(MOST_WEIGHT, max(0.0, sum(parts))), tuple(parts), leaning.type, known.id,
            memory_id=memory.memory_id if memory else None, arc_id=most.id if most else None,
            arc_kind=most.kind if most else None, feeling=(known.strength, known.familiarity), met_at=known.met_at,
        ))  # fmt: skip
    return found


def _of_goals(npc: Npc, known: Known, kind: str, memory: Tale | None, table: Leanings) -> float:
    """What the goals of the npc add to a type; a goal that is about nobody counts a little with everybody."""
    added = 0.0
    for wish in npc.goals:
        row = table.goals.get(wish.kind, {})
        if wish.about_id == known.id:
            added += row.get(kind, 0.0)
        elif wish.about_id is None:
            added += 0.3 * row.get(kind, 0.0)
        elif memory is not None and wish.about_id == memory.subject_id:
            added += row.get(f"{kind}_about", 0.0)
    return max(-1.0, min(1.5, added))


def _of_arcs(
    with_them: Sequence[Plot], all_plots: Sequence[Plot], kind: str, memory: Tale | None, table: Leanings
) -> tuple[float, Plot | None]:
    """What open arcs add to a type, and which of them adds most. Who was drawn in feels half of it."""
    added, most, leading = 0.0, 0.0, None
    told_of = [p for p in all_plots if memory and memory.subject_id in p.others]
    for plots, name in ((with_them, kind), (told_of, f"{kind}_about")):
        for plot in plots:
            row = table.arcs.get(plot.kind, {}).get(name)
            if row is None:
                continue
            value = (row[0] * plot.tension + row[1] * (1.0 - plot.tension)) * (1.0 if plot.main else 0.5)
            if name == "apology":
                value = value + min(WEARY, WEARY_PER_DAY * plot.age_ms / DAY) if plot.main else 0.0
            added += value
            if value > most:
                most, leading = value, plot
    return max(-1.5, min(1.5, added)), leading


def choose(options: Sequence[Option], dice: Dice) -> Option | None:
    """One of the options, with probability in proportion to its weight; None if none weighs anything."""
    totals = list(accumulate(o.weight for o in options))
    if not totals or totals[-1] <= 0.0:
        return None
    luck = dice.uniform(0.0, totals[-1])
    return next((o for o, total in zip(options, totals, strict=True) if luck < total), options[-1])


def told(options: Sequence[Option], chosen: Option) -> list[Option]:
    """The chosen one and the heaviest others, at most `TOLD`, heaviest first."""
    ordered = sorted((o for o in options if o is not chosen), key=lambda o: -o.weight)[: TOLD - 1]
    return sorted([chosen, *ordered], key=lambda o: -o.weight)
