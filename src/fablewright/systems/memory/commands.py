"""What may be asked about memories, and by whom."""

from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.memory.rules import (
    MEMORY_CHARACTER_NOT_FOUND,
    MEMORY_EXISTS,
    MEMORY_IN_THE_FUTURE,
    MEMORY_NOT_FOUND,
    MEMORY_PLACE_NOT_FOUND,
    MOST_ABOUT,
    MOST_HEARD,
    MOST_TEXT,
    TELLERS_INVALID,
    MemoryKind,
)

MOST_TELLERS: Final = 16
MOST_RESTORED: Final = 300
"""Memories in one `RestoreMemories`, so that it stays small."""

WorldMs = Annotated[int, Field(gt=-(2**52), lt=2**52)]

MemoryText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_TEXT, pattern=r"^[^\x00]*$")
]
Deed = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
Words = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Signed = Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]
Degree = Annotated[int, Field(ge=1, le=3)]


class Claim(BaseModel):
    """What is claimed to have happened, in a form that can be retold, exaggerated and compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deed: Deed = Field(description="A type of interaction, such as `conflict`.")
    who: UUID = Field(description="Who did it.")
    whom: UUID = Field(description="To whom.")
    degree: Degree = Field(2, description="How bad or good it was, as it is told: 1 mild, 3 strong.")
    was: Degree | None = Field(None, description="What it was in truth, if that is not `degree`.")
    quality: Signed = Field(0.0, description="-1 (harm) to 1 (a good deed).")
    topic: Words | None = None
    accepted: bool | None = None
    place: Words | None = None

    def value(self) -> dict[str, Any]:
        """The claim as memories keep it."""
        return self.model_dump(mode="json", exclude={"was"} if self.was is None else None)


class PlantMemory(Command):
    """Give a character something to know or remember: true or not, from somebody or by itself.

    If `truth` says what really is, the character is wrong. With `fact_id`, several characters know of the same
    thing; who knows of it already is made surer, or better informed (see the rules of hearing something again).
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "character_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "text": "Mira buried something under the mill.",
                    "about_ids": ["01890a5d-ac96-774b-bcce-b302099a8058"],
                    "importance": 0.8,
                    "is_secret": True,
                }
            ]
        }
    )
    message_type = "memory.plant_memory"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (MEMORY_CHARACTER_NOT_FOUND, MEMORY_PLACE_NOT_FOUND, TELLERS_INVALID, MEMORY_IN_THE_FUTURE)

    character_id: UUID
    text: MemoryText = Field(description="In the third person, so that it can be told: “Mira owes me money.”")
    about_ids: list[UUID] = Field([], max_length=MOST_ABOUT, description="Whom it is about, mainly first.")
    importance: Share = 0.5
    certainty: Share = Field(1.0, description="How sure the character is.")
    valence: Signed = Field(
        0.0,
        description="How well it speaks of whom it is about; 0 for what is nobody's doing, such as a misfortune.",
    )
    is_secret: bool = Field(False, description="It is confided at most, never gossiped about.")
    at: WorldMs | None = Field(
        None, description="World time (ms) when it happened or was learned; now if left out."
    )
    fact_id: UUID | None = Field(None, description="The piece of knowledge that it is; left out, a new one.")
    truth: MemoryText | None = Field(None, description="What really is, if the character is wrong.")
    tellers: list[UUID] = Field(
        [], max_length=MOST_TELLERS, description="Through whom it came, first one first."
    )
    kind: Literal["did", "saw", "told", "knows"] = Field(
        "knows", description="`told` if there are tellers, and only then."
    )
    claim: Claim | None = None
    place_id: UUID | None = None


class ForgetMemory(Command):
    """Let a character forget something. Others who know of it still do."""

    message_type = "memory.forget_memory"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (MEMORY_NOT_FOUND,)

    memory_id: UUID


class MemoryValue(BaseModel):
    """A memory as it was; see `tables.Memory` for what the fields mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fact_id: UUID
    kind: MemoryKind
    text: MemoryText
    at: WorldMs
    subject_id: UUID | None = None
    about_ids: list[UUID] = Field([], max_length=MOST_ABOUT)
    place_id: UUID | None = None
    importance: Share = 0.5
    certainty: Share = 1.0
    valence: Signed = 0.0
    secret: bool = False
    tellers: list[UUID] = Field([], max_length=64)
    heard_from: list[UUID] = Field([], max_length=MOST_HEARD)
    claim: Claim | None = None
    truth: MemoryText | None = None
    evidence: list[UUID] = Field([], max_length=200, description="The memories it was concluded from.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.kind == "told") != bool(self.tellers):
            raise ValueError("a memory of kind `told` has tellers, and no other has")
        if (self.kind == "reflection") != bool(self.evidence):
            raise ValueError("a reflection has evidence, and no other memory has")
        if self.kind == "reflection" and self.subject_id is None:
            raise ValueError("a reflection is about somebody: send `subject_id`")
        if len(set(self.tellers)) < len(self.tellers):
            raise ValueError("name each teller once")
        return self


class RestoreMemories(Command):
    """Give a character memories back as they were, for copies of worlds: nothing is concluded or merged over it."""

    message_type = "memory.restore_memories"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        MEMORY_CHARACTER_NOT_FOUND, MEMORY_PLACE_NOT_FOUND, MEMORY_IN_THE_FUTURE, MEMORY_EXISTS,
    )  # fmt: skip

    character_id: UUID
    memories: list[MemoryValue] = Field([], max_length=MOST_RESTORED)
    unreflected: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="What was not thought over."
    )
    reflected_at: WorldMs | None = None

    @model_validator(mode="after")
    def _told_by_others(self) -> Self:
        if any(self.character_id in m.tellers for m in self.memories):
            raise ValueError("nobody is told something by oneself")
        return self
