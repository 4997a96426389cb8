"""What a quest is, how somebody's course through it goes, and what it ends in. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, NamedTuple, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fablewright.core.clock import DAY
from fablewright.core.conditions import Holds, compiled, reader
from fablewright.core.refusal import CONFLICT, FORBIDDEN, INVALID, NOT_FOUND, Refusal
from fablewright.systems.progress.rules import MeasureSpec, hears, item_of, number_of, subjects_at

MOST_OBJECTIVES: Final = 20
MOST_OUTCOMES: Final = 12
MOST_NAMED: Final = 50
"""Quests that one requires, takers that one is for, changes that an outcome makes."""
MOST_QUESTS: Final = 2_000
"""Quests that game masters define in a world; those that are made of events are not counted: they pass."""
MOST_DAYS: Final = 100_000.0
MOST_DIFFERENT: Final = 200
"""Different values that an objective may ask for."""
MOST_TIME: Final = 2**62
DONE: Final = "done"
FAILED: Final = "failed"
EXPIRED: Final = "expired"
ABANDONED: Final = "abandoned"
ENDINGS: Final = (DONE, FAILED, EXPIRED, ABANDONED)
"""Outcomes that every quest has, whether its definition says what they bring or not."""

QUEST_NOT_FOUND = Refusal(
    "quest_not_found", NOT_FOUND, "There is no such quest in this world. Look it up in the list."
)
QUEST_UNKNOWN = Refusal(
    "quest_unknown", INVALID, "It requires a quest that the world does not have. Define that one first."
)
QUEST_CYCLE = Refusal(
    "quest_cycle", CONFLICT, "It would require itself, through the others named in `path`. Break the circle."
)
QUEST_IN_USE = Refusal(
    "quest_in_use", CONFLICT,
    "Somebody is on this quest: its objectives cannot change now. Wait, or define another one.",
)  # fmt: skip
TOO_MANY_QUESTS = Refusal(
    "too_many_quests", CONFLICT, f"A world can define {MOST_QUESTS} quests. Remove some."
)
TEMPLATE_NOT_FOUND = Refusal(
    "quest_template_not_found", NOT_FOUND, "There is no such template of quests. Look it up in the list."
)
FACTS_MISSING = Refusal(
    "quest_facts_missing", INVALID, "The template needs facts that were not given; `missing` names them."
)
TAKER_NOT_FOUND = Refusal(
    "taker_not_found",
    NOT_FOUND,
    "There is no such character or faction in this world. Look it up in the list.",
)
WRONG_TAKER = Refusal(
    "wrong_taker", INVALID,
    "This quest is for the other kind of taker: characters take some, factions others. See `takers`.",
)  # fmt: skip
NOT_FOR_THEM = Refusal("quest_not_for_them", FORBIDDEN, "This quest is only for those that it names.")
NOT_OFFERED = Refusal(
    "quest_not_offered", CONFLICT, "This quest must be offered first, and it is not offered to them."
)
ALREADY_OFFERED = Refusal("quest_already_offered", CONFLICT, "It is offered to them already.")
ALREADY_TAKEN = Refusal("quest_already_taken", CONFLICT, "They are on this quest already.")
ALREADY_FINISHED = Refusal(
    "quest_already_finished", CONFLICT, "They have been on this quest, and it cannot be repeated."
)
REQUIREMENTS_MISSING = Refusal(
    "quest_locked", CONFLICT, "They must finish other quests first; `missing` names them."
)
NO_PLACE_LEFT = Refusal(
    "quest_full", CONFLICT, "As many as may are on this quest already, or have finished it."
)
QUEST_OVER = Refusal("quest_over", CONFLICT, "The time for this quest is over.")
UNTIL_PAST = Refusal("quest_deadline_past", INVALID, "The deadline lies in the past. Choose one after `now`.")
NOT_TAKEN = Refusal("quest_not_taken", CONFLICT, "They are not on this quest. Accept it first.")
OBJECTIVE_NOT_FOUND = Refusal(
    "objective_not_found", NOT_FOUND, "The quest has no such objective. `objectives` names them."
)
OBJECTIVE_NOT_OPEN = Refusal(
    "objective_not_open", CONFLICT, "This objective is reached, closed, or not open yet; `open` names those."
)
NOT_A_CHOICE = Refusal(
    "objective_not_a_choice",
    CONFLICT,
    "Only an objective that is a choice can be chosen. Others are reached.",
)
OUTCOME_NOT_FOUND = Refusal(
    "outcome_not_found", INVALID, "The quest cannot end like that. `outcomes` names how it can."
)

QuestKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$"),
]
Prose = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")]
Who = UUID | Literal["taker", "giver"]
"""A faction: by its id, or that of who takes or gives the quest."""
TakerKind = Literal["character", "faction"]
State = Literal["offered", "accepted", "finished", "failed", "abandoned", "expired", "declined"]
ObjectiveState = Literal["open", "reached", "closed"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OpinionChange(_Value):
    """How one faction thinks otherwise of another."""

    holder: Who
    about: Who
    amount: float = Field(ge=-100, le=100, allow_inf_nan=False)
    half_life_days: float | None = Field(
        365, gt=0, le=MOST_DAYS, description="How fast it fades; null: never."
    )


class TrustChange(_Value):
    """How much more or less one faction trusts another."""

    holder: Who
    about: Who
    amount: float = Field(ge=-1, le=1, allow_inf_nan=False)


class TensionChange(_Value):
    """How the tension between two factions rises or falls."""

    a: Who
    b: Who
    amount: float = Field(ge=-100, le=100, allow_inf_nan=False)


class LeanChange(_Value):
    """How one faction leans towards agreement with another, in all talks that the two hold then."""

    holder: Who
    about: Who
    amount: float = Field(ge=-20, le=20, allow_inf_nan=False, description="Points of utility.")


class Outcome(_Value):
    """What a quest ends in, and what that brings."""

    name: Line | None = None
    success: bool = Field(True, description="Whether the quest is finished with it, or failed.")
    points: int = Field(0, ge=0, le=2**53)
    currency: QuestKey = "points"
    title: Line | None = Field(None, description="The title that it grants to who took the quest.")
    opinions: list[OpinionChange] = Field([], max_length=MOST_NAMED)
    trust: list[TrustChange] = Field([], max_length=MOST_NAMED)
    tension: list[TensionChange] = Field([], max_length=MOST_NAMED)
    talks: list[LeanChange] = Field([], max_length=MOST_NAMED)


class Objective(_Value):
    """One thing to do: counted from events, chosen by the taker, or said to be done by a game master."""

    key: QuestKey
    name: Line
    measure: MeasureSpec | None = Field(
        None, description="What is counted, from when the objective opens; no streaks. Left out: it is told."
    )
    goal: float = Field(1, gt=0, le=2.0**53, allow_inf_nan=False)
    anyone: bool = Field(False, description="Whether it counts whoever does it.")
    choice: bool = Field(False, description="Whether the taker says when it is done: a decision.")
    optional: bool = Field(False, description="Whether the quest can end well without it.")
    opens: list[QuestKey] = Field([], max_length=MOST_OBJECTIVES, description="Objectives that it opens.")
    closes: list[QuestKey] = Field(
        [], max_length=MOST_OBJECTIVES, description="Objectives that it rules out."
    )
    outcome: QuestKey | None = Field(None, description="The quest ends with this outcome once it is reached.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.measure is None:
            if self.goal != 1 or self.anyone:
                raise ValueError("`goal` and `anyone` belong to what is counted")
        elif self.choice:
            raise ValueError("what is counted is no choice")
        elif self.measure.kind == "streak":
            raise ValueError(
                "objectives count, sum, take the best or different values; streaks are for awards"
            )
        elif self.measure.kind == "distinct" and self.goal > MOST_DIFFERENT:
            raise ValueError(f"an objective may ask for {MOST_DIFFERENT} different values at most")
        return self


class Need(_Value):
    """A quest that must be finished before, and perhaps how."""

    quest: QuestKey
    outcome: QuestKey | None = None


class QuestDefinition(_Value):
    """A quest, as data."""

    name: Line
    description: Prose = ""
    giver_id: UUID | None = Field(None, description="The character or faction that asks for it.")
    takers: TakerKind = Field(
        "character", description="Whether a character takes it, or a faction as a whole."
    )
    only_for: list[UUID] = Field(
        [],
        max_length=MOST_NAMED,
        description="Characters, and factions with all their members; empty: for all.",
    )
    by_offer: bool = Field(False, description="Whether it must be offered before it can be accepted.")
    secret: bool = Field(False, description="Whether only game masters and those concerned know of it.")
    requires: list[Need] = Field([], max_length=MOST_NAMED)
    most_takers: int | None = Field(
        None, ge=1, le=1_000_000, description="How many may be on it or finish it."
    )
    repeatable: bool = False
    days: float | None = Field(
        None, gt=0, le=MOST_DAYS, description="World days that one has from accepting it."
    )
    until: int | None = Field(
        None, ge=-MOST_TIME, le=MOST_TIME, description="World time (ms) at which it is over."
    )
    objectives: list[Objective] = Field(min_length=1, max_length=MOST_OBJECTIVES)
    outcomes: dict[QuestKey, Outcome] = Field({}, max_length=MOST_OUTCOMES)

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        keys = [objective.key for objective in self.objectives]
        if len(set(keys)) < len(keys):
            raise ValueError("each objective needs a key of its own")
        for one in self.objectives:
            for other in (*one.opens, *one.closes):
                if other not in keys or other == one.key:
                    raise ValueError(f"{one.key} names the objective {other!r}, which there is not beside it")
            if one.outcome is not None and one.outcome not in (DONE, FAILED, *self.outcomes):
                raise ValueError(f"{one.key} ends in {one.outcome!r}, which is no outcome")
        if unreachable := set(keys) - reachable(self):
            raise ValueError(f"nothing ever opens {', '.join(sorted(unreachable))}")
        if all(o.optional for o in self.objectives if o.key in first(self)):
            raise ValueError("one of the first objectives must not be optional")
        for name in (FAILED, EXPIRED, ABANDONED):
            if name in self.outcomes and self.outcomes[name].success:
                raise ValueError(f"the outcome {name!r} is no success: say `success: false`")
        return self


def first(definition: QuestDefinition) -> list[str]:
    """The objectives that are open from the beginning: those that no other opens."""
    opened = {key for objective in definition.objectives for key in objective.opens}
    return [objective.key for objective in definition.objectives if objective.key not in opened]


def reachable(definition: QuestDefinition) -> set[str]:
    """The objectives that may open at some time."""
    by_key = {objective.key: objective for objective in definition.objectives}
    found: set[str] = set()
    waiting = first(definition)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += by_key[key].opens
    return found


def outcome_of(definition: QuestDefinition, key: str) -> Outcome:
    """What an outcome brings. Refuses `outcome_not_found`."""
    found = definition.outcomes.get(key)
    if found is not None:
        return found
    if key in ENDINGS:
        return Outcome(success=key == DONE)
    raise OUTCOME_NOT_FOUND(outcomes=sorted({*ENDINGS, *definition.outcomes}))


def due_at(definition: QuestDefinition, accepted_at: int) -> int | None:
    """When the time is over for who accepts it at a time (world ms)."""
    ends = [] if definition.until is None else [definition.until]
    if definition.days is not None:
        ends.append(accepted_at + round(definition.days * DAY))
    return min(ends, default=None)


def same_course(one: QuestDefinition, other: QuestDefinition) -> bool:
    """Whether somebody who is on the one can go on with the other."""
    return one.objectives == other.objectives and set(one.outcomes) == set(other.outcomes)


# -- somebody's course ---------------------------------------------------------------------------------------


class Stand(_Value):
    """How far somebody has come in one objective."""

    state: ObjectiveState = "open"
    current: float = 0.0
    opened_at: int = 0
    reached_at: int | None = None
    items: list[str] = []


class Reached(NamedTuple):
    """That an objective was reached, and what it opened and closed."""

    key: str
    opened: list[str]
    closed: list[str]


@dataclass(slots=True)
class Course:
    """Somebody's way through a quest. What is neither open nor done has no stand yet."""

    definition: QuestDefinition
    stands: dict[str, Stand]
    outcome: str | None = None
    """Set when the quest has come to an end."""
    changed: bool = False
    reached: list[Reached] = field(default_factory=list)
    """What was reached since it was loaded, in order."""

    @staticmethod
    def fresh(definition: QuestDefinition, now: int) -> "Course":
        """The course of who has just accepted."""
        return Course(definition, {key: Stand(opened_at=now) for key in first(definition)}, changed=True)

    @property
    def open(self) -> list[str]:
        """The objectives that are open, in the order of the definition."""
        return [o.key for o in self.definition.objectives if self._state(o.key) == "open"]

    def hit(self, key: str, amount: float | str, at: int) -> None:
        """Count a number, or a different value, for an objective, if it is open."""
        stand = self.stands.get(key)
        if self.outcome is not None or stand is None or stand.state != "open" or at < stand.opened_at:
            return
        objective = self._objective(key)
        kind = objective.measure.kind if objective.measure else "count"
        if isinstance(amount, str):
            if amount in stand.items:
                return
            stand = stand.model_copy(
                update={"items": [*stand.items, amount], "current": len(stand.items) + 1.0}
            )
        else:
            current = max(stand.current, amount) if kind == "best" else stand.current + amount
            if current == stand.current:
                return
            stand = stand.model_copy(update={"current": current})
        self.stands[key] = stand
        self.changed = True
        if stand.current >= objective.goal:
            self.reach(key, at)

    def reach(self, key: str, at: int) -> None:
        """Reach an open objective: it opens and closes others, and the quest may end."""
        objective = self._objective(key)
        stand = self.stands[key]
        current = max(stand.current, objective.goal)
        self.stands[key] = stand.model_copy(update={"state": "reached", "current": current, "reached_at": at})
        closed = [k for k in objective.closes if self._state(k) in (None, "open")]
        for other in closed:
            self.stands[other] = self.stands.get(other, Stand(opened_at=at)).model_copy(
                update={"state": "closed"}
            )
        opened = [k for k in objective.opens if k not in self.stands]
        for other in opened:
            self.stands[other] = Stand(opened_at=at)
        self.changed = True
        self.reached.append(Reached(key, opened, closed))
        if objective.outcome is not None:
            self.outcome = objective.outcome
        elif all(self._objective(k).optional for k in self.open):
            self.outcome = DONE

    def _objective(self, key: str) -> Objective:
        return next(o for o in self.definition.objectives if o.key == key)

    def _state(self, key: str) -> ObjectiveState | None:
        stand = self.stands.get(key)
        return None if stand is None else stand.state


# -- what concerns whom --------------------------------------------------------------------------------------


class Hit(NamedTuple):
    """That an event counts for an objective of a quest: for `subjects`, or for all who are on it if None."""

    quest_id: UUID
    key: str
    subjects: tuple[UUID, ...] | None
    amount: float | str
    at: int


@dataclass(frozen=True, slots=True)
class Counted:
    """A counted objective, ready for use."""

    quest_id: UUID
    key: str
    spec: MeasureSpec
    anyone: bool
    holds: Holds
    read: Any

    def hit(self, about: Sequence[UUID], at: int, data: Mapping[str, Any]) -> Hit | None:
        """What an event that it listens to counts for it; None for nothing."""
        if not self.holds(data):
            return None
        subjects: Sequence[UUID] | None = None
        if not self.anyone:
            subjects = about[:1] if self.spec.subject is None else subjects_at(data, self.spec.subject)
            if not subjects:
                return None
        amount: float | str | None = 1.0
        if self.spec.kind == "distinct":
            amount = item_of(self.read(data))
        elif self.spec.kind != "count":
            amount = number_of(self.read(data))
        if amount is None:
            return None
        return Hit(self.quest_id, self.key, None if subjects is None else tuple(subjects), amount, at)


class Catalog:
    """The quests that somebody is on, found by the type of event that their objectives listen to."""

    def __init__(self, quests: Iterable[tuple[UUID, QuestDefinition]]):
        self.definitions = dict(quests)
        self._counted = tuple(
            Counted(id_, o.key, o.measure, o.anyone, compiled(o.measure.where), reader(o.measure.field or ""))
            for id_, definition in self.definitions.items()
            for o in definition.objectives
            if o.measure is not None
        )
        self._by_type: dict[str, tuple[Counted, ...]] = {}

    @property
    def for_factions(self) -> bool:
        """Whether a faction is on some of them, so that one must ask to which a character belongs."""
        return any(definition.takers == "faction" for definition in self.definitions.values())

    def of(self, event_type: str) -> tuple[Counted, ...]:
        """The objectives that listen to a type of event. Other types cost one look-up."""
        found = self._by_type.get(event_type)
        if found is None:
            found = self._by_type[event_type] = tuple(c for c in self._counted if hears(c.spec, event_type))
        return found


def missing(needs: Iterable[Need], finished: Collection[tuple[str, str]]) -> list[str]:
    """The quests of `needs` that are not among (key, outcome) of what somebody has finished."""
    keys = {key for key, _ in finished}
    return [
        need.quest
        for need in needs
        if (need.quest not in keys if need.outcome is None else (need.quest, need.outcome) not in finished)
    ]
