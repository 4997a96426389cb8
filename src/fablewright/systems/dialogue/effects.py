"""What each type of interaction does: a table that a world can extend, and the formulas that read it. Pure.

All coefficients are our own, tuned for play. The directions they give to personality follow the research on the
five factors (agreeableness softens conflict and warms to kindness, neuroticism amplifies bad experiences; see
McCrae & Costa, "Personality in Adulthood"); what bystanders make of a quarrel follows balance theory (Heider,
"The Psychology of Interpersonal Relations", 1958): one turns against who harms a friend.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import exp
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from fablewright.systems.characters.emotions import OCC, Pad
from fablewright.systems.characters.rules import Traits
from fablewright.systems.relationships.rules import TieState, compatibility, forgiveness, worn

OWN_SHARE: Final = 0.7
"""The part of an effect that who begins feels: one's own doing moves one less than what one is done to."""
MOST_CHANGE: Final = 0.3
"""No interaction changes a strength or a trust by more."""
TONES: Final[Mapping[str, tuple[float, Mapping[str, float]]]] = {
    "insult": (-0.07, {"anger": 0.4}),
    "threat": (-0.08, {"fear": 0.4}),
    "apology": (0.02, {"relief": 0.1}),
    "thanks": (0.03, {"gratitude": 0.3}),
    "praise": (0.03, {"pride": 0.25}),
    "promise": (0.02, {"hope": 0.25}),
    "question": (0.0, {}),
    "neutral": (0.0, {}),
}
"""What a tone adds to the strength that the listener feels, and the emotions (0..1) that it stirs."""

Signed = Annotated[float, Field(ge=-0.3, le=0.3, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Phrase = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00]*$")
]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Effects(_Table):
    """What is added to how the other one feels, if both are average strangers."""

    strength: Signed = 0.0
    trust: Signed = 0.0
    familiarity: Annotated[float, Field(ge=0.0, le=0.3, allow_inf_nan=False)] = 0.02


class Feelings(_Table):
    """Emotions of the OCC model with intensities (0..1) that an interaction stirs."""

    initiator: dict[str, Share] = {}
    target: dict[str, Share] = {}

    @field_validator("initiator", "target")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(value) - set(OCC))
        if unknown:
            raise ValueError(f"no such emotion: {', '.join(unknown)}; there are {', '.join(sorted(OCC))}")
        return value


DUEL: Final[dict[str, Any]] = {
    "summary": "A duel of honour.", "effects": {"strength": -0.2, "trust": 0.05}, "hostile": True, "overheard": 0.8,
    "importance": 0.9, "energy": 0.2, "valence": -0.7, "deeds": ["crossed blades with"],
    "own": "we crossed blades", "other": "crossed blades with me", "like": "conflict",
}  # fmt: skip
"""What a type of a world's own may look like."""


class TypeDefinition(_Table):
    """What a type of interaction does.

    A type with `refused` asks for something: the other one takes it well or not, more easily with `willingness`
    (-5..5). `own` and `other` say afterwards why one feels differently: who began about the other ("forgave me"),
    and the other about who began ("asked my pardon").
    """

    model_config = ConfigDict(json_schema_extra={"examples": [DUEL]})

    summary: str = Field("", max_length=300)
    effects: Effects = Effects()
    refused: Effects | None = None
    willingness: float = Field(0.0, ge=-5.0, le=5.0, allow_inf_nan=False)
    energy: Share = Field(0.01, description="What it costs who begins; the other pays 0.4 of it.")
    words: Share = Field(0.03, description="How much strength the friendliest content adds.")
    importance: Share = Field(0.2, description="How well it is remembered.")
    valence: float = Field(0.0, ge=-1.0, le=1.0, allow_inf_nan=False, description="How good a deed it is.")
    overheard: Share = Field(0.0, description="How much those around take it to heart.")
    cooldown_seconds: int = Field(
        0, ge=0, le=31_536_000, description="World time before the same pair again."
    )
    when_estranged: bool = Field(False, description="Whether it is possible with whom one no longer talks.")
    hostile: bool = Field(False, description="Whether it is meant to hurt; estranged ones still answer it.")
    reconciles: bool = Field(False, description="Whether it makes up for what was before.")
    tells: bool = Field(False, description="Whether it passes on a memory.")
    private: bool = Field(False, description="Whether only the two, and game masters, may know of it.")
    feels: Feelings = Feelings()
    feels_refused: Feelings = Feelings()
    deeds: tuple[Phrase, ...] = Field(
        ("met",), min_length=1, max_length=3, description="In the past, mildest first: 'had words with'."
    )
    own: Phrase = "we met"
    other: Phrase = "met me"
    own_refused: Phrase = "refused me"
    other_refused: Phrase = "asked too much of me"
    like: str | None = Field(None, description="The built-in type whose texts it uses.", max_length=50)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.hostile and self.refused is not None:
            raise ValueError("a hostile type asks for nothing, so it has no `refused`")
        return self


@dataclass(frozen=True, slots=True)
class Tone:
    """How something was said: a label of `TONES`, the sentiment of the words (-1..1), and what shows it."""

    label: str
    sentiment: float
    why: str


@dataclass(frozen=True, slots=True)
class Change:
    """What an interaction adds to a tie, and the parts it is made of (see `felt`)."""

    strength: float
    trust: float
    familiarity: float
    parts: dict[str, float] = field(default_factory=dict)


@cache
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    words = "|".join(re.escape(p) for p in sorted(phrases, key=len, reverse=True))
    return re.compile(rf"(?<![a-z])({words})(?![a-z])")


def recognise(content: str, sentiment: float, lexicon: Mapping[str, Sequence[str]]) -> Tone:
    """The tone of what was said. `sentiment` is -1..1; `lexicon` has phrases by label, the first label that is
    found wins. An insult in warm words (sentiment over 0.5) is banter, hence neutral."""
    text = content.lower().replace("’", "'")
    for label, phrases in lexicon.items():
        found = _pattern(tuple(phrases)).search(text)
        if found and not (label == "insult" and sentiment > 0.5):
            return Tone(label, sentiment, f"“{found.group(1)}” sounds like {_article(label)}")
    if text.rstrip().endswith("?"):
        return Tone("question", sentiment, "it ends with a question mark")
    how = (
        "friendly" if sentiment >= 0.3 else "unfriendly" if sentiment <= -0.3 else "neither friendly nor not"
    )
    return Tone("neutral", sentiment, f"the words are {how}")


def _article(label: str) -> str:
    return {"insult": "an insult", "apology": "an apology", "thanks": "thanks", "praise": "praise"}.get(
        label, f"a {label}"
    )


def willing(definition: TypeDefinition, tie: TieState, traits: Traits, emotion: Pad) -> float:
    """The probability (0..1) that someone takes what it is asked for, apologised or given well.

    Logistic in how it feels about who asks (`tie`), its agreeableness and its pleasure; for apologies also in
    how forgiving it is (`relationships.rules.forgiveness`).
    """
    wish = (
        definition.willingness
        + 2.5 * tie.strength
        + 2.0 * (tie.trust - 0.5)
        + 2.0 * (traits.agreeableness - 0.5)
        + 0.8 * emotion.pleasure
    )
    if definition.reconciles:
        wish += 1.5 * (forgiveness(tie) - 1.0)
    return 1.0 / (1.0 + exp(-wish))


def receptiveness(traits: Traits, direction: float) -> float:
    """How much an experience moves someone, 0.5..2: kind ones the agreeable, bad ones the neurotic."""
    if direction >= 0:
        return 0.5 + 0.7 * traits.agreeableness + 0.3 * traits.extraversion
    return 0.5 + 0.75 * traits.neuroticism + 0.75 * (1.0 - traits.agreeableness)


def felt(
    kind: str, definition: TypeDefinition, tone: Tone, *, tie: TieState, traits: Traits, other: Traits,
    emotion: Pad, accepted: bool | None, began: bool, luck: float, now: int,
) -> Change:  # fmt: skip
    """What an interaction does to how someone feels about the other.

    (base + words) x receptive (0.5..2) x worn (0..1) x compatible (0.7..1.3) x mood (0.75..1.25) x forgiving (0.25..2,
    for types that reconcile) x luck (0.75..1.25), then at most `MOST_CHANGE`. `base` is the type's effect, or
    that of its refusal; `words` comes from sentiment and tone of the content and moves only who hears it. The
    parts that are factors are named `x …`.
    """
    effects = definition.refused if accepted is False and definition.refused else definition.effects
    share = OWN_SHARE if began and accepted is not False else 1.0
    base = effects.strength * share
    words = 0.0 if began else definition.words * tone.sentiment + TONES[tone.label][0]
    direction = base + words
    harmony = compatibility(traits, other).score
    kind_one = direction >= 0
    factors = {
        "x receptive": receptiveness(traits, direction),
        "x worn": worn(tie, kind, now),
        "x compatible": 1.0 + (0.3 if kind_one else -0.3) * harmony,
        "x mood": 1.0 + (0.25 if kind_one else -0.25) * emotion.pleasure,
        "x luck": luck,
    }
    if definition.reconciles and kind_one and tie.strength < 0:
        factors["x forgiving"] = forgiveness(tie)
    product = 1.0
    for factor in factors.values():
        product *= factor
    return Change(
        _bounded(direction * product),
        _bounded((effects.trust * share + 0.6 * words) * product),
        effects.familiarity * factors["x worn"],
        {"base": base, "words": words, **factors},
    )


def _bounded(change: float) -> float:
    return min(MOST_CHANGE, max(-MOST_CHANGE, change))


def witnessed(
    definition: TypeDefinition, harm: float, feels_about_actor: float, feels_about_other: float
) -> float:
    """What someone who hears of it adds to the strength that it feels about who did it, within -0.1..0.1.

    `harm` is by how much the other's strength changed (-0.3..0.3); the feelings are -1..1. Good done to a friend
    and harm done to an enemy please; among strangers, kindness pleases a little and quarrel displeases.
    """
    sympathy = min(1.0, max(-1.0, 0.35 + feels_about_other - 0.25 * feels_about_actor))
    return min(0.1, max(-0.1, 0.6 * definition.overheard * harm * sympathy))


def believed(certainty: float, quality: float, importance: float) -> float:
    """What hearing of somebody's deed adds to the strength felt about that one, within -0.08..0.08.

    `certainty` and `importance` of what was heard are 0..1; `quality` is how well it speaks of whom it is about,
    -1..1.
    """
    return 0.08 * certainty * quality * min(1.0, 0.3 + importance)


def stirred(
    definition: TypeDefinition, tone: Tone, *, began: bool, accepted: bool | None, change: float, fresh: float
) -> dict[str, float]:
    """The emotions (0..1 each) that an interaction stirs in one of the two.

    `change` is how much its feeling changed, which makes emotions stronger; `fresh` (0..1) is what repetition
    leaves of them.
    """
    table = definition.feels_refused if accepted is False and definition.refused else definition.feels
    felt_ones = dict(table.initiator if began else table.target)
    if not began:
        for emotion, intensity in TONES[tone.label][1].items():
            felt_ones[emotion] = max(felt_ones.get(emotion, 0.0), intensity)
    strength = min(1.4, 0.5 + 5.0 * abs(change)) * fresh
    return {name: min(1.0, intensity * strength) for name, intensity in felt_ones.items()}


def degree(change: float, deeds: int) -> int:
    """Which of a type's deeds (1 is the mildest) fits how much it changed the other's strength."""
    return max(1, min(deeds, 1 + int(abs(change) / 0.1)))


def importance_of(definition: TypeDefinition, change: float, tone: Tone, *, first: bool) -> float:
    """How well an interaction is remembered, 0..1: more if it moved one, was a promise, or was the first."""
    bonus = (0.1 if first else 0.0) + (0.15 if tone.label in ("promise", "threat", "insult") else 0.0)
    return min(1.0, definition.importance + 1.5 * abs(change) + bonus)
