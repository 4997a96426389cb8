"""One interaction from beginning to end: what is said, what is answered, what comes of it. Pure.

`exchange` decides one interaction in a `Scene` (see `stage`), and lets the scene go on from its outcome.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any, Final, Literal
from uuid import UUID

from fablewright.core.clock import HOUR, elapsed
from fablewright.core.dice import Dice, derived_uuid
from fablewright.systems.characters.emotions import Pad, appraise, label
from fablewright.systems.characters.rules import CharacterState
from fablewright.systems.dialogue import effects, rules
from fablewright.systems.dialogue.commands import Interact
from fablewright.systems.dialogue.effects import Change, Tone, TypeDefinition
from fablewright.systems.dialogue.events import (
    AnswerTone,
    BystanderChange,
    EmotionView,
    Interacted,
    MemoryMade,
    Mention,
    StateChange,
    TieChange,
    ToneView,
)
from fablewright.systems.dialogue.moments import inside
from fablewright.systems.dialogue.stage import Scene, Talk, check, pair_of
from fablewright.systems.dialogue.voice import Line, Memento, Moment, Person, line_number
from fablewright.systems.memory.rules import MemoryKind, MemoryState, NewMemory, memory_id
from fablewright.systems.memory.rumours import retold
from fablewright.systems.regions.rules import NOWHERE
from fablewright.systems.relationships.rules import Reason, TieState, moved_by

Part = Literal["content", "answer"]

HEARD: Final = 60
"""Lines that a listener is not told again; the promise is 50 answers."""
HELD_MS: Final = 2 * HOUR
"""World time after which two take up no old topic."""
MOST_MEMENTOS: Final = 5
"""Memories that a speaker has in mind."""
WORTH_REMEMBERING: Final = 0.12
"""What is less important (0..1) leaves no memory."""
TOLD_KEPT: Final = 12
"""Facts that a pair has told each other and does not tell again."""


@dataclass
class _Exchange:
    """One interaction while it is being decided."""

    scene: Scene
    command: Interact
    dice: Dice
    request_id: UUID
    event_id: UUID

    def __post_init__(self) -> None:
        scene, command = self.scene, self.command
        self.definition = scene.content.types[command.type]
        self.a, self.b = scene.people[command.initiator_id], scene.people[command.target_id]
        self.there, self.back = scene.tie(self.a.id, self.b.id), scene.tie(self.b.id, self.a.id)
        self.pair = pair_of(self.a.id, self.b.id)
        talk = scene.talks.get(self.pair, Talk())
        held = elapsed(talk.last_at, scene.now) <= HELD_MS
        self.talk = talk if held else replace(talk, topic=None, turns=0, pending=None, pending_by=None)
        self.place = scene.places.get(scene.where.get(self.a.id, NOWHERE).place_id)  # type: ignore[arg-type]
        self.telling = scene.chosen.get(self.request_id)
        self.topic = command.topic or self.talk.topic
        self.accepted: bool | None = None
        self.mentions: list[Mention] = []
        self.made: list[NewMemory] = []
        self.overhearing: list[BystanderChange] = []

    @cached_property
    def minds(self) -> tuple[Pad, Pad]:
        """How both feel as it begins."""
        return self.a.emotion_now(self.scene.now), self.b.emotion_now(self.scene.now)

    # -- words -----------------------------------------------------------------------------------------------

    def speak(self, part: Literal["opening", "answer"], tone: Tone | None, content: str | None) -> Line:
        """The line of the initiator (opening) or of the target (answer)."""
        scene, opening = self.scene, part == "opening"
        speaker, listener = (self.a, self.b) if opening else (self.b, self.a)
        tie = self.there if opening else self.back
        mementos = self._mementos(speaker.id, listener.id)
        telling = self._memento(self.telling) if self.telling else None
        line = scene.content.voice.speak(
            Moment(
                speaker=_person(speaker, self.minds[0 if opening else 1]),
                listener=_person(listener, self.minds[1 if opening else 0]),
                part=part, type=self.definition.like or self.command.type, tone=tone.label if tone else None,
                sentiment=tone.sentiment if tone else 0.0, accepted=self.accepted, strength=tie.strength,
                trust=tie.trust, familiarity=tie.familiarity, labels=tie.labels,
                place_name=self.place.name if self.place else None,
                place_kind=self.place.kind if self.place else None,
                place_tags=self.place.tags if self.place else (), hour=scene.calendar.hour(scene.now),
                topic=self.topic, turns=self.talk.turns, pending=self._pending(listener.id),
                memories=mementos, telling=telling, names=scene.names,
                heard=frozenset(scene.heard.get(listener.id, ())), content=content,
            ),
            self.dice,
        )  # fmt: skip
        known = {m.id: m for m in scene.in_mind(speaker.id, listener.id)}
        if opening and self.telling is not None:
            known[self.telling.id] = self.telling
        spoken = [known[i] for i in line.mentions]
        self._mention(speaker, listener, spoken, "content" if opening else "answer")
        self.topic = line.topic or self.topic
        return line

    def _mementos(self, speaker: UUID, listener: UUID) -> list[Memento]:
        """What comes to the speaker's mind before the listener, best first; secrets are not for small talk."""
        known = self.scene.in_mind(speaker, listener)
        return [self._memento(m) for m in islice((m for m in known if not m.secret), MOST_MEMENTOS)]

    def _memento(self, m: MemoryState) -> Memento:
        return _memento(m, self.scene.content.types, self.scene.names, self.scene.now)

    def _pending(self, listener: UUID) -> str | None:
        return self.talk.pending if self.talk.pending_by == listener else None

    def _mention(
        self, speaker: CharacterState, listener: CharacterState, spoken: Sequence[MemoryState], part: Part
    ) -> None:
        """Note what was spoken of; who did not know it yet knows it from now on, and from whom."""
        for m in spoken:
            self.mentions.append(
                Mention.model_construct(
                    speaker_id=speaker.id,
                    memory_id=m.id,
                    fact_id=m.fact_id,
                    tellers=list(m.tellers),
                    part=part,
                )
            )
            if not _took_part(listener.id, m):
                self._tell(speaker, listener, m)

    def _tell(self, teller: CharacterState, listener: CharacterState, m: MemoryState) -> None:
        """Let the listener know. What is told on purpose is coloured, and moves how it feels about whom it is about;
        what comes up in passing is only remembered."""
        scene, on_purpose = self.scene, m is self.telling
        feeling = scene.tie(teller.id, m.subject_id).strength if on_purpose and m.subject_id else 0.0
        new = retold(
            m, teller.id, listener.id, teller_feels_about_subject=feeling,
            listener_trusts_teller=scene.tie(listener.id, teller.id).trust, now=scene.now,
            luck=self.dice.uniform(0.0, 1.0), render=self._render, place_id=self.place.id if self.place else None,
            event_id=self.event_id,
        )  # fmt: skip
        if new is None:
            return
        if new.secret and not self.definition.private:
            new = replace(new, secret=False)  # what is told openly is out
        self.made.append(new)
        if on_purpose:
            self._believe(listener, teller, new)

    def _render(self, claim: Mapping[str, Any]) -> str:
        return deed_text(self.scene.content.types, claim, self.scene.names)

    def _believe(self, listener: CharacterState, teller: CharacterState, new: NewMemory) -> None:
        """Who hears good or bad of somebody thinks better or worse of who did it, if the two have a tie."""
        doer, quality = doer_of(new), new.valence
        if new.claim is not None:
            quality = float(new.claim.get("quality") or 0.0)
        if doer in (None, listener.id, teller.id) or (listener.id, doer) not in self.scene.ties:
            return
        assert doer is not None
        before = self.scene.tie(listener.id, doer)
        change = effects.believed(new.certainty, quality, new.importance)
        news = f"from {teller.name}: {new.text}"[:180]
        why = f"heard a secret from {teller.name}" if new.secret else f"heard {news}"
        self._influence(listener.id, doer, before, change, why)

    def _influence(self, who: UUID, about: UUID, before: TieState, change: float, why: str) -> None:
        if abs(change) < 0.005:
            return
        scene = self.scene
        reason = Reason(scene.now, why, change, 0.0, self.event_id)
        after = moved_by(
            before, scene.now, strength=change, trust=0.0, familiarity=0.0, reason=reason, meets=False
        )
        scene.set_tie(who, about, after)
        self.overhearing.append(
            BystanderChange.model_construct(
                character_id=who, about_id=about, strength_before=before.strength,
                strength_after=after.strength, why=why,
            )
        )  # fmt: skip

    # -- what comes of it ------------------------------------------------------------------------------------

    def decide(self) -> Interacted:
        """The whole of it, in the order in which it happens."""
        opening = None
        content = self.command.content
        if content is None:
            opening = self.speak("opening", None, None)
            content = opening.text
        if self.definition.tells and opening is None:
            self._tell_in_own_words(content)
        tone = effects.recognise(content, self.scene.sentiment(content), self.scene.content.tones)
        played = self.b.user_id is not None
        if self.definition.refused is not None and not played:
            wish = effects.willing(self.definition, self.back, self.b.traits, self.minds[1])
            self.accepted = self.dice.chance(wish)
        answer = None if played else self.speak("answer", tone, content)
        changes = self._changes(tone)
        ties = self._move_ties(changes)
        states = [self._state(0, tone, changes[0]), self._state(1, tone, changes[1])]
        self._witnesses(changes[1])
        self._remember(content, tone, changes)
        self._go_on(opening, content, answer)
        return self._told(content, tone, answer, ties, states)

    def _tell_in_own_words(self, content: str) -> None:
        """What is told in the teller's own words: the memory that was named, or something new."""
        if self.telling is not None:
            self._mention(self.a, self.b, [self.telling], "content")
            return
        trust = self.back.trust
        fact = derived_uuid("fact", self.event_id, "content")
        self.made.append(
            NewMemory(
                character_id=self.b.id, fact_id=fact, kind="told", text=content[:500], subject_id=None, about=(),
                place_id=self.place.id if self.place else None, at=self.scene.now,
                importance=0.4, certainty=0.3 + 0.6 * trust, valence=0.0,
                secret=self.command.type == "confide", tellers=(self.a.id,), event_id=self.event_id,
            )
        )  # fmt: skip

    def _changes(self, tone: Tone) -> tuple[Change, Change]:
        """What it adds to the initiator's tie, and to the target's."""
        luck = self.dice.uniform(0.75, 1.25), self.dice.uniform(0.75, 1.25)
        kind, now, accepted = self.command.type, self.scene.now, self.accepted
        return (
            effects.felt(
                kind, self.definition, tone, tie=self.there, traits=self.a.traits, other=self.b.traits,
                emotion=self.minds[0], began=True, luck=luck[0], accepted=accepted, now=now,
            ),
            effects.felt(
                kind, self.definition, tone, tie=self.back, traits=self.b.traits, other=self.a.traits,
                emotion=self.minds[1], began=False, luck=luck[1], accepted=accepted, now=now,
            ),
        )  # fmt: skip

    def _move_ties(self, changes: tuple[Change, Change]) -> list[TieChange]:
        d, refused = self.definition, self.accepted is False and self.definition.refused is not None
        own = d.own_refused if refused else d.own
        other = d.other_refused if refused else d.other
        return [
            self._move_tie(self.a.id, self.b.id, self.there, changes[0], self._where(own)),
            self._move_tie(self.b.id, self.a.id, self.back, changes[1], self._where(other)),
        ]

    def _where(self, why: str) -> str:
        """The reason, with the place, and before whom it was if that hurts."""
        witnesses = self.scene.bystanders.get(self.request_id, ())
        if self.definition.hostile and witnesses:
            return f"{why} before {self.scene.names[witnesses[0]]}"
        return f"{why} at {inside(self.place.name)}" if self.place else why

    def _move_tie(self, source: UUID, target: UUID, before: TieState, change: Change, why: str) -> TieChange:
        now = self.scene.now
        after = moved_by(
            before, now, strength=change.strength, trust=change.trust, familiarity=change.familiarity,
            reason=Reason(now, why, change.strength, change.trust, self.event_id), kind=self.command.type, meets=True,
        )  # fmt: skip
        self.scene.set_tie(source, target, after)
        return TieChange.model_construct(
            source_id=source, target_id=target, strength_before=before.strength, strength_after=after.strength,
            trust_before=before.trust, trust_after=after.trust, familiarity_after=after.familiarity,
            interaction_count=after.interaction_count, reason=why,
            parts={name: round(part, 4) for name, part in change.parts.items()},
            labels_gained=[x for x in after.labels if x not in before.labels],
            labels_lost=[x for x in before.labels if x not in after.labels],
        )  # fmt: skip

    def _state(self, index: int, tone: Tone, change: Change) -> StateChange:
        """Energy and emotion of the initiator (0) or the target (1) afterwards."""
        scene, who, before = self.scene, (self.a, self.b)[index], self.minds[index]
        fresh = change.parts["x worn"]
        stirred = effects.stirred(
            self.definition,
            tone,
            began=index == 0,
            accepted=self.accepted,
            change=change.strength,
            fresh=fresh,
        )
        after = appraise(before, list(stirred.items()), who.traits)
        cost = self.definition.energy * (rules.TARGET_SHARE if index else 1.0)
        energy = who.energy_now(scene.now)
        left = max(0.0, energy - cost)
        at = max(scene.now, who.energy_at, who.emotion_at)
        scene.people[who.id] = replace(who, energy=left, energy_at=at, emotion=after, emotion_at=at)
        scene.changed_people[who.id] = None
        return StateChange.model_construct(
            character_id=who.id, energy_before=energy, energy_after=left, emotion_before=_emotion(before),
            emotion_after=_emotion(after), felt={name: round(x, 4) for name, x in stirred.items()},
        )  # fmt: skip

    def _witnesses(self, harm: Change) -> None:
        """Those around change their minds a little about who did it."""
        for who in self.scene.bystanders.get(self.request_id, ()):
            before = self.scene.tie(who, self.a.id)
            about_other = self.scene.tie(who, self.b.id).strength
            change = effects.witnessed(self.definition, harm.strength, before.strength, about_other)
            deed = self.definition.deeds[effects.degree(harm.strength, len(self.definition.deeds)) - 1]
            self._influence(who, self.a.id, before, change, f"{deed} {self.b.name} before me")

    def _remember(self, content: str, tone: Tone, changes: tuple[Change, Change]) -> None:
        """Both remember what is worth it, and those around who saw it."""
        d, scene = self.definition, self.scene
        step = effects.degree(changes[1].strength, len(d.deeds))
        claim: dict[str, Any] = {
            "deed": self.command.type, "who": str(self.a.id), "whom": str(self.b.id), "degree": step,
            "quality": d.valence, "topic": self.topic, "accepted": self.accepted,
            "place": inside(self.place.name) if self.place else None,
        }  # fmt: skip
        text = deed_text(scene.content.types, claim, {self.a.id: self.a.name, self.b.id: self.b.name})
        fact = derived_uuid("fact", self.event_id)
        first = self.there.interaction_count == 0
        # What a player said is quoted for the two alone, and only if it passed nothing on that others must not
        # know from here.
        quoted = self.command.content is not None and not self.mentions and not d.tells
        own_words = f"{text[:-1]}: “{content[:300]}”" if quoted else text
        both: tuple[tuple[CharacterState, CharacterState, MemoryKind, Change], ...] = (
            (self.a, self.b, "did", changes[0]),
            (self.b, self.a, "saw", changes[1]),
        )
        for who, other, kind, change in both:
            weight = effects.importance_of(d, change.strength, tone, first=first)
            if weight >= WORTH_REMEMBERING:
                self._keep(who.id, fact, kind, own_words, other.id, (other.id,), weight, claim)
        if d.overheard > 0:
            weight = min(1.0, d.importance * (0.4 + d.overheard))
            for who_id in scene.bystanders.get(self.request_id, ()):
                self._keep(who_id, fact, "saw", text, self.a.id, (self.a.id, self.b.id), weight, claim)

    def _keep(
        self, who: UUID, fact: UUID, kind: MemoryKind, text: str, subject: UUID, about: tuple[UUID, ...], weight: float,
        claim: dict[str, Any],
    ) -> None:  # fmt: skip
        quality = self.definition.valence
        if self.accepted is False and self.definition.refused is not None:
            quality = -0.3
        self.made.append(
            NewMemory(
                character_id=who, fact_id=fact, kind=kind, text=text, subject_id=subject, about=about,
                place_id=self.place.id if self.place else None, at=self.scene.now, importance=weight,
                certainty=1.0, valence=quality, claim=claim, event_id=self.event_id,
            )
        )  # fmt: skip

    def _go_on(self, opening: Line | None, content: str, answer: Line | None) -> None:
        """What both have heard, and where their talk stands."""
        scene = self.scene
        self._hear(self.b.id, opening.number if opening else line_number(content))
        pending, pending_by = (opening.pending, self.a.id) if opening else (None, None)
        if answer is not None:
            self._hear(self.a.id, answer.number)
            pending, pending_by = (answer.pending, self.b.id) if answer.pending else (None, None)
        told = tuple(dict.fromkeys((*self.talk.told, *(m.fact_id for m in self.mentions))))[-TOLD_KEPT:]
        scene.talks[self.pair] = Talk(self.topic, self.talk.turns + 1, scene.now, pending, pending_by, told)
        scene.changed_talks[self.pair] = None

    def _hear(self, listener: UUID, number: int) -> None:
        self.scene.heard[listener] = [*self.scene.heard.get(listener, []), number][-HEARD:]
        self.scene.changed_heard[listener] = None

    def _told(
        self, content: str, tone: Tone, answer: Line | None, ties: list[TieChange], states: list[StateChange]
    ) -> Interacted:
        self.scene.learn(self.made)
        return Interacted.model_construct(
            initiator_id=self.a.id, target_id=self.b.id, type=self.command.type,
            place_id=self.place.id if self.place else None, content=content,
            tone=ToneView.model_construct(label=tone.label, sentiment=tone.sentiment, why=tone.why),
            answer=answer.text if answer else None,
            answer_tone=AnswerTone(intent=answer.intent, manner=answer.manner) if answer else None,
            accepted=self.accepted, topic=self.topic, ties=ties, states=states, bystanders=self.overhearing,
            memories=[
                MemoryMade.model_construct(
                    id=memory_id(m.character_id, m.fact_id), character_id=m.character_id,
                    fact_id=m.fact_id, kind=m.kind, text=m.text,
                )
                for m in self.made
            ],
            mentions=self.mentions, shared=answer.shared if answer else False, context=self.command.context,
            private=self.definition.private,
        )  # fmt: skip


def exchange(scene: Scene, command: Interact, request_id: UUID, event_id: UUID, dice: Dice) -> Interacted:
    """Let the rules decide one interaction, and let the scene go on from its outcome.

    `event_id` is the id that its event will have. Refuses as `check` does, and then changes nothing.
    """
    check(scene, command, request_id)
    return _Exchange(scene, command, dice, request_id, event_id).decide()


def deed_text(
    types: Mapping[str, TypeDefinition], claim: Mapping[str, Any], names: Mapping[UUID, str]
) -> str:
    """What is claimed to have happened, as a sentence: "Orla Fen had words with Wat Tolliver at the ford."."""
    who, whom = (names.get(UUID(str(claim[key])), "somebody") for key in ("who", "whom"))
    definition = types.get(str(claim.get("deed")))
    deeds = definition.deeds if definition else ("met",)
    deed = deeds[max(0, min(len(deeds), int(claim.get("degree") or 1)) - 1)]
    place = f" at {claim['place']}" if claim.get("place") else ""
    refused = ", in vain" if claim.get("accepted") is False else ""
    return f"{who} {deed} {whom}{place}{refused}."


def _person(c: CharacterState, emotion: Pad) -> Person:
    return Person(
        id=c.id, name=c.name, traits=c.traits, mood=label(emotion), pleasure=emotion.pleasure,
        arousal=emotion.arousal, dominance=emotion.dominance, speech=c.speech, tags=c.tags,
    )  # fmt: skip


def _memento(
    m: MemoryState, types: Mapping[str, TypeDefinition], names: Mapping[UUID, str], now: int
) -> Memento:
    """A memory as the voice needs it: of a deed only the claim, never what was quoted for the two alone; a deed of a
    world's own type as the built-in one whose texts it uses."""
    claim, text = m.claim, m.text
    if claim is not None:
        definition = types.get(str(claim.get("deed")))
        if definition is None:
            text = deed_text(types, claim, names)
        elif definition.like is not None:
            claim = {**claim, "deed": definition.like}
    return Memento(
        memory_id=m.id, fact_id=m.fact_id, kind=m.kind, text=text, subject_id=m.subject_id, about=m.about,
        tellers=m.tellers, certainty=m.certainty, importance=m.importance, valence=m.valence,
        age_ms=elapsed(m.at, now), claim=claim, secret=m.secret,
        place_name=claim.get("place") if claim else None,
    )  # fmt: skip


def doer_of(memory: MemoryState | NewMemory) -> UUID | None:
    """Whom a memory speaks well or ill of: who did it, if it is of a deed, else whom it is about."""
    return UUID(str(memory.claim["who"])) if memory.claim else memory.subject_id


def _took_part(who: UUID, m: MemoryState) -> bool:
    """Whether a memory is of a deed that somebody did, or that was done to it: it knows that by itself."""
    return m.claim is not None and str(who) in (str(m.claim.get("who")), str(m.claim.get("whom")))


def _emotion(pad: Pad) -> EmotionView:
    return EmotionView.model_construct(
        pleasure=pad.pleasure, arousal=pad.arousal, dominance=pad.dominance, label=label(pad)
    )
