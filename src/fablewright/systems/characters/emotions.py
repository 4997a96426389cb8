"""How characters feel, in three numbers, where that comes from, and how it passes. Pure.

A feeling is a point in the space of pleasure, arousal and dominance (PAD; Mehrabian & Russell 1974), each -1..1.
Everybody has a *baseline* from their personality. What happens is appraised as emotions of the OCC model (Ortony,
Clore & Collins 1988), which push the feeling away from there; with world time it settles back. It stands beside
`rules`, since dialogue and the director use it on its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final

from fablewright.core.clock import HOUR, half_life_factor

if TYPE_CHECKING:
    from fablewright.systems.characters.rules import Traits

EMOTION_HALF_LIFE_MS: Final = 2 * HOUR
"""World time in which half of the distance to the baseline is gone. Our own, tuned for play: an insult at noon is
felt all afternoon and slept off by the morning. ALMA lets moods return within 20 minutes of a conversation."""

NEUTRAL_WITHIN: Final = 0.1
"""Distance from the middle (0..sqrt 3) up to which a feeling is called `neutral`. Our own."""


@dataclass(frozen=True, slots=True)
class Pad:
    """A feeling: pleasure, arousal and dominance, each -1..1; the middle is no feeling in particular."""

    pleasure: float = 0.0
    arousal: float = 0.0
    dominance: float = 0.0


MIDDLE: Final = Pad()
"""No feeling in particular."""


def baseline(traits: "Traits") -> Pad:
    """How somebody of this personality feels when nothing happens, each -1..1.

    The regression equations of Mehrabian (1996, "Analysis of the Big-five Personality Factors in Terms of the
    PAD Temperament Model", Australian Journal of Psychology 48), as used in ALMA (Gebhard 2005), on traits
    stretched from 0..1 to -1..1. ALMA's table writes neuroticism where Mehrabian has emotional stability, its
    opposite; taken literally it would make the neurotic cheerful and calm. This is Mehrabian's.
    """
    openness, conscientiousness = 2 * traits.openness - 1, 2 * traits.conscientiousness - 1
    extraversion, agreeableness = 2 * traits.extraversion - 1, 2 * traits.agreeableness - 1
    stability = 1 - 2 * traits.neuroticism
    return _within(
        0.21 * extraversion + 0.59 * agreeableness + 0.19 * stability,
        0.15 * openness + 0.30 * agreeableness - 0.57 * stability,
        0.25 * openness + 0.17 * conscientiousness + 0.60 * extraversion - 0.32 * agreeableness,
    )


def settled(pad: Pad, at: int, now: int, base: Pad) -> Pad:
    """The feeling at world time `now` (ms), if it was `pad` at `at` and `base` is the baseline.

    Exponential decay of the distance with `EMOTION_HALF_LIFE_MS`; until `at`, it is `pad`.
    """
    if now <= at:
        return pad
    left = half_life_factor(now - at, EMOTION_HALF_LIFE_MS)
    return _within(
        base.pleasure + (pad.pleasure - base.pleasure) * left,
        base.arousal + (pad.arousal - base.arousal) * left,
        base.dominance + (pad.dominance - base.dominance) * left,
    )


OCC: Final[Mapping[str, Pad]] = {
    "admiration": Pad(0.5, 0.3, -0.2),
    "anger": Pad(-0.51, 0.59, 0.25),
    "disappointment": Pad(-0.3, 0.1, -0.4),
    "disliking": Pad(-0.4, 0.2, 0.1),
    "distress": Pad(-0.4, -0.2, -0.5),
    "fear": Pad(-0.64, 0.60, -0.43),
    "fears_confirmed": Pad(-0.5, -0.3, -0.7),
    "gloating": Pad(0.3, -0.3, -0.1),
    "gratification": Pad(0.6, 0.5, 0.4),
    "gratitude": Pad(0.4, 0.2, -0.3),
    "happy_for": Pad(0.4, 0.2, 0.2),
    "hate": Pad(-0.6, 0.6, 0.3),
    "hope": Pad(0.2, 0.2, -0.1),
    "joy": Pad(0.4, 0.2, 0.1),
    "liking": Pad(0.40, 0.16, -0.24),
    "love": Pad(0.3, 0.1, 0.2),
    "pity": Pad(-0.4, -0.2, -0.5),
    "pride": Pad(0.4, 0.3, 0.3),
    "relief": Pad(0.2, -0.3, 0.4),
    "remorse": Pad(-0.3, 0.1, -0.6),
    "reproach": Pad(-0.3, -0.1, 0.4),
    "resentment": Pad(-0.2, -0.3, -0.2),
    "satisfaction": Pad(0.3, -0.2, 0.4),
    "shame": Pad(-0.3, 0.1, -0.6),
}
"""Where each emotion of the OCC model pulls. Gebhard (2005), "ALMA: a Layered Model of Affect", table 2."""


def responsiveness(emotion: str, traits: "Traits") -> float:
    """How strongly somebody of this personality feels an emotion of `OCC`: 0.6..1.4, 1 for the average.

    Neurotic characters feel the unpleasant ones more, extraverts the pleasant ones (Larsen & Ketelaar 1991,
    "Personality and susceptibility to positive and negative emotional states"); the sizes are our own. Raises
    `KeyError` for a word that is no emotion.
    """
    if OCC[emotion].pleasure < 0:
        return 0.6 + 0.8 * traits.neuroticism
    return 0.7 + 0.6 * traits.extraversion


def appraise(pad: Pad, felt: Sequence[tuple[str, float]], traits: "Traits") -> Pad:
    """The feeling after emotions, each a word of `OCC` with its intensity 0..1, were felt at the same time.

    The emotions add up, whatever their order, and push the feeling their way. The further it has already gone
    that way, the less it gives: what is left of a push is the room up to the end. So it never leaves -1..1.
    Both are our own; ALMA pulls the mood towards the centre of the emotions that are active. Raises `KeyError`
    for a word that is no emotion.
    """
    pleasure = arousal = dominance = 0.0
    for emotion, intensity in felt:
        size, pull = intensity * responsiveness(emotion, traits), OCC[emotion]
        pleasure += size * pull.pleasure
        arousal += size * pull.arousal
        dominance += size * pull.dominance
    return Pad(
        _pushed(pad.pleasure, pleasure), _pushed(pad.arousal, arousal), _pushed(pad.dominance, dominance)
    )


def intensity(pad: Pad) -> float:
    """How far a feeling is from the middle: 0 (none) to 1 (a corner of the space)."""
    return min(1.0, _length(pad) / sqrt(3))


_OCTANTS: Final = (
    "bored", "disdainful", "anxious", "hostile", "docile", "relaxed", "dependent", "exuberant",
)  # fmt: skip
LABELS: Final = ("neutral", *_OCTANTS)
"""The words that `label` uses."""


def label(pad: Pad) -> str:
    """A word for a feeling: the eighth of the space in which it is, by Mehrabian's names, or `neutral`.

    Pleasure, arousal, dominance: +++ exuberant, ++- dependent, +-+ relaxed, +-- docile, --- bored,
    --+ disdainful, -+- anxious, -++ hostile (Mehrabian 1996, "Pleasure-arousal-dominance: A general framework",
    Current Psychology 14). 0 counts as +.
    """
    if _length(pad) <= NEUTRAL_WITHIN:
        return "neutral"
    return _OCTANTS[4 * (pad.pleasure >= 0) + 2 * (pad.arousal >= 0) + (pad.dominance >= 0)]


def _length(pad: Pad) -> float:
    return sqrt(pad.pleasure**2 + pad.arousal**2 + pad.dominance**2)


def _pushed(value: float, push: float) -> float:
    """A value in -1..1 after a push, which counts in full from the middle and less towards the end it goes to."""
    push = _clamp(push)
    room = 1 - max(0.0, value if push > 0 else -value)
    return _clamp(value + push * room)


def _within(pleasure: float, arousal: float, dominance: float) -> Pad:
    return Pad(_clamp(pleasure), _clamp(arousal), _clamp(dominance))


def _clamp(value: float) -> float:
    return -1.0 if value < -1.0 else min(value, 1.0)
