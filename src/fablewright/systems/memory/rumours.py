"""How what somebody remembers changes on its way to somebody else. Pure.

A claim is what is said to have happened, in a form that can be exaggerated and compared:
`{"deed": interaction type, "who": id, "whom": id, "degree": 1..3, "quality": -1..1, "topic": text or null}`.
Once its degree is no longer that of the deed itself, `was` holds the true one, so that a rumour that comes back to
it is recognised as right.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from fablewright.systems.memory.rules import MemoryState, NewMemory, corroborated

__all__ = ["LEAST_CERTAIN", "Render", "certainty_after", "coloured", "corroborated", "retold"]

LEAST_CERTAIN: Final = 0.1
"""What is less certain (0..1) than this is not believed at all, and not remembered."""
LOSS: Final = 0.85
"""What one retelling leaves of certainty, if the listener trusts the teller wholly."""
DISTRUST: Final = 0.5
"""What is left beside that if the listener does not trust the teller at all."""
WEAR: Final = 0.9
"""What one retelling leaves of importance: somebody else's affairs."""
COLOURING: Final = 0.6
"""The chance that a teller who loves or hates the subject wholly makes more, or less, of what it did."""
TINT: Final = 0.25
"""How far a teller's feeling bends how good or bad the news sounds."""

MILDEST: Final = 1
STRONGEST: Final = 3

Render = Callable[[Mapping[str, Any]], str]
"""Puts a claim into words, in the third person."""


def certainty_after(certainty: float, trust: float) -> float:
    """How certain (0..1) a listener is of what it is told, given the teller's certainty and its trust in the
    teller (0..1 each). Always below the teller's own, unless both are 0; it grows with trust.

    Our own, tuned for play: half believed from a stranger, a rumour is dead after two mouths
    if nobody trusts anybody, and after fourteen if everybody does.
    """
    return certainty * LOSS * (DISTRUST + (1 - DISTRUST) * trust)


def coloured(claim: Mapping[str, Any], feeling: float, luck: float) -> dict[str, Any]:
    """The claim as a teller tells it who feels `feeling` (-1..1) about its subject; `luck` is chance, 0..1.

    A friend makes more of good deeds and less of bad ones, an enemy the other way round: the degree (1..3) goes
    one step up or down, with a chance of `COLOURING` x |feeling|. The quality goes with it: it keeps its sign,
    and grows or shrinks by a quarter. Indifferent tellers change nothing, and claims without degree and quality stay
    as they are. Our own, tuned for play; that tellers bend rumours to their attitudes is Allport & Postman's
    "assimilation" (1947).
    """
    degree, quality = claim.get("degree"), claim.get("quality")
    if not isinstance(degree, int) or not isinstance(quality, int | float):
        return dict(claim)
    if luck >= COLOURING * abs(feeling) or not quality:
        return dict(claim)
    step = 1 if feeling * quality > 0 else -1
    changed = min(STRONGEST, max(MILDEST, degree + step))
    if changed == degree:
        return dict(claim)
    was = int(claim.get("was", degree))
    bent = quality * 1.25 if step > 0 else quality / 1.25
    told = {**claim, "degree": changed, "quality": min(1.0, max(-1.0, bent)), "was": was}
    if changed == was:
        del told["was"]
    return told


def retold(
    memory: MemoryState, teller_id: UUID, listener_id: UUID, *, teller_feels_about_subject: float,
    listener_trusts_teller: float, now: int, luck: float, render: Render | None = None,
    place_id: UUID | None = None, event_id: UUID | None = None,
) -> NewMemory | None:  # fmt: skip
    """What the listener remembers when the teller tells it one of its own memories; None if nothing comes of it.

    Nothing comes of it if the listener would hardly believe it (certainty below `LEAST_CERTAIN`), is the teller or
    one of those through whom the teller has it, or if it is no more than the teller's own reflection.

    - `teller_feels_about_subject` -1..1, `listener_trusts_teller` 0..1, `luck` 0..1 (from the dice).
    - `render` puts a changed claim into words. Without it, claims are not exaggerated, since text and claim would
      then differ.

    If the claim is changed, `truth` holds what really happened; it is handed on with the rumour, for those who
    may look behind the scenes. No character ever reads it.
    """
    chain = (*memory.tellers, teller_id)
    if memory.kind == "reflection" or listener_id in chain:
        return None
    certainty = certainty_after(memory.certainty, listener_trusts_teller)
    if certainty < LEAST_CERTAIN:
        return None
    claim, text, truth = memory.claim, memory.text, memory.truth
    if claim is not None and render is not None:
        told = coloured(claim, teller_feels_about_subject, luck)
        if (text := render(told)) == render(claim):  # the same words for both degrees: nothing was changed
            told = dict(claim)
        if "was" in told:
            truth = truth or render(claim)
        elif "was" in claim:
            truth = None
        claim = told
    tint = TINT * teller_feels_about_subject * (1 - abs(memory.valence))
    return NewMemory(
        character_id=listener_id, fact_id=memory.fact_id, kind="told", text=text,
        subject_id=memory.subject_id, about=memory.about, place_id=place_id, at=now,
        importance=memory.importance * WEAR, certainty=certainty,
        valence=min(1.0, max(-1.0, memory.valence + tint)), secret=memory.secret, tellers=chain, claim=claim,
        truth=truth, event_id=event_id,
    )  # fmt: skip
