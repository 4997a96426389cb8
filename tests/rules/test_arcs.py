"""Rules of arcs: how quarrels, feuds, courtships and friendships start, rise, spread and end."""

from dataclasses import replace
from itertools import count
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.clock import DAY
from fablewright.systems.director import arcs
from fablewright.systems.director.arcs import ArcState, Board, Change, Feeling, Happening, Kind

A, B, C, D = (UUID(int=n) for n in range(1, 5))
numbers = count(100)


def happening(
    kind: str, there: tuple[float, float] = (0.0, 0.0), back: tuple[float, float] = (0.0, 0.0),
    *, who: tuple[UUID, UUID] = (A, B), at: int = 0, familiarity: float = 0.5, trust: float = 0.5,
    accepted: bool | None = None, subject: UUID | None = None,
    swayed: tuple[tuple[UUID, UUID, float], ...] = (), wishes: frozenset[str] = frozenset(),
) -> Happening:  # fmt: skip
    return Happening(
        UUID(int=next(numbers)), at, who[0], who[1], kind,
        Feeling(*there, trust=trust, familiarity=familiarity),
        Feeling(*back, trust=trust, familiarity=familiarity), accepted, subject, swayed, wishes,
    )  # fmt: skip


def arc(kind: Kind, tension: float = 0.4, **fields: object) -> ArcState:
    return replace(ArcState(UUID(int=9), kind, A, B, tension, 0, 0), **fields)  # type: ignore[arg-type]


def board(*open_: ArcState, room: int = arcs.MOST_PER_WORLD) -> Board:
    ids = count(1000)
    return Board(open_, lambda: UUID(int=next(ids)), room)


DONE = "resolved"


def told(changes: list[Change]) -> list[tuple[str, str, str | None]]:
    return [(c.what, c.arc.kind, c.arc.outcome) for c in changes]


CLASH = ((0.1, -0.05), (0.1, -0.15))
KIND = ((0.2, 0.25), (0.2, 0.25))


@pytest.mark.parametrize(
    ("h", "begins"),
    [
        (happening("conflict", *CLASH), "quarrel"),
        (happening("tease", *CLASH), "quarrel"),
        (happening("conflict", (0.0, -0.02), (0.0, -0.02)), None),
        (happening("chat", *KIND), None),
        (happening("chat", (0.29, 0.31), (0.3, 0.32)), "friendship"),
        (happening("chat", (0.29, 0.31), (0.3, 0.32), familiarity=0.05), None),
        (happening("chat", (0.35, 0.4), (0.31, 0.32)), None),
        (happening("gift", *KIND, wishes=frozenset({"win_heart"})), "courtship"),
        (happening("gift", *KIND, wishes=frozenset({"win_heart"}), accepted=False), None),
        (happening("gift", (-0.4, -0.3), (0.2, 0.3), wishes=frozenset({"win_heart"})), None),
        (happening("gift", (0.6, 0.6), (0.5, 0.6), wishes=frozenset({"win_heart"})), None),
        (happening("greeting", *KIND, wishes=frozenset({"win_heart"})), None),
    ],
)
def test_what_begins(h: Happening, begins: str | None) -> None:
    changes = board().tell(h)
    assert [c.arc.kind for c in changes] == ([begins] if begins else [])
    if begins:
        assert (changes[0].what, changes[0].arc.stage, changes[0].event_id) == (
            "started",
            "started",
            h.event_id,
        )
        assert (changes[0].arc.first_id, changes[0].arc.turns) == (A, (h.event_id,))


@pytest.mark.parametrize(
    ("open_", "h", "expected"),
    [
        (arc("quarrel"), happening("apology", *KIND, accepted=True), (DONE, "quarrel", "made_up")),
        (arc("quarrel"), happening("apology", *KIND, accepted=False), ("changed", "quarrel", None)),
        (arc("quarrel"), happening("conflict", *CLASH), ("rose", "quarrel", None)),
        (arc("quarrel", 0.1), happening("chat", *KIND), (DONE, "quarrel", "blew_over")),
        (arc("quarrel", 0.4), happening("chat", *KIND), ("changed", "quarrel", None)),
        (arc("feud", 0.7), happening("apology", *KIND, accepted=True), ("changed", "feud", None)),
        (arc("feud", 0.5), happening("apology", *KIND, accepted=True), (DONE, "feud", "reconciled")),
        (arc("courtship"), happening("gift", *KIND), ("rose", "courtship", None)),
        (arc("courtship", 0.5), happening("gift", (0.5, 0.6), (0.48, 0.52)), (DONE, "courtship", "hearts_won")),
        (arc("courtship", turned_down=2), happening("gift", accepted=False), (DONE, "courtship", "broken_heart")),
        (arc("courtship"), happening("chat", (0.4, 0.4), (-0.1, -0.2)), (DONE, "courtship", "broken_heart")),
        (arc("friendship", 0.6), happening("chat", (0.5, 0.6), (0.5, 0.55)), (DONE, "friendship", "fast_friends")),
        (arc("friendship"), happening("conflict", (0.3, 0.1), (0.3, 0.1)), (DONE, "friendship", "fell_out")),
        (arc("friendship"), happening("conflict", (0.9, 0.8), (0.9, 0.8)), ("changed", "friendship", None)),
    ],
)  # fmt: skip
def test_turns(open_: ArcState, h: Happening, expected: tuple[str, str, str | None]) -> None:
    assert told(board(open_).tell(h))[0] == expected


def test_a_quarrel_grows_into_a_feud() -> None:
    changes = board(arc("quarrel", 0.75)).tell(happening("conflict", (-0.4, -0.5), (-0.5, -0.6)))
    assert told(changes) == [("resolved", "quarrel", "became_feud"), ("started", "feud", None)]


def test_a_quarrel_spreads_to_bystanders_and_listeners() -> None:
    table = board()
    (_, joined) = table.tell(happening("conflict", *CLASH, swayed=((C, B, -0.05), (D, B, -0.001))))
    assert (joined.what, joined.joined_id, joined.arc.others, dict(joined.arc.sides)) == (
        "rose",
        C,
        (C,),
        {C: B},
    )
    (listened,) = table.tell(happening("gossip", *KIND, who=(C, D), subject=B))
    assert (listened.joined_id, dict(listened.arc.sides)) == (D, {C: B, D: B})
    (third,) = table.tell(happening("conflict", (-0.1, -0.1), (-0.1, -0.15), who=(D, B)))
    assert third.what in ("rose", "changed") and third.arc.tension > listened.arc.tension


@pytest.mark.parametrize("trust", [0.2, 0.9])
def test_only_those_who_trust_the_teller_take_sides(trust: float) -> None:
    changes = board(arc("quarrel")).tell(happening("gossip", *KIND, who=(A, D), subject=B, trust=trust))
    assert bool(changes) == (trust >= 0.5)


def test_gossip_from_outside_draws_nobody_in() -> None:
    assert board(arc("quarrel")).tell(happening("gossip", *KIND, who=(C, D), subject=B)) == []


def test_open_arcs_are_bounded() -> None:
    assert board(room=0).tell(happening("conflict", *CLASH)) == []
    mine = [replace(arc("quarrel"), id=UUID(int=50 + n), second_id=UUID(int=60 + n)) for n in range(2)]
    assert board(*mine).tell(happening("conflict", *CLASH)) == []
    crowd = ArcState(UUID(int=9), "quarrel", A, C, 0.4, 0, 0)
    sides = {UUID(int=70 + n): C for n in range(arcs.MOST_OTHERS)}
    full = replace(crowd, others=tuple(sides), sides=sides)
    assert not [c for c in board(full).tell(happening("gossip", *KIND, who=(A, D), subject=C)) if c.joined_id]


@pytest.mark.parametrize("kind", ["quarrel", "feud", "courtship", "friendship"])
def test_quiet_arcs_end_by_themselves(kind: Kind) -> None:
    assert arcs.faded(arc(kind), arcs.QUIET_MS[kind] - 1) is None
    change = arcs.faded(arc(kind), arcs.QUIET_MS[kind])
    assert change is not None and change.arc.outcome == arcs.FADED[kind]
    assert change.arc.resolved_at == arcs.QUIET_MS[kind] and change.arc.stage == "resolved"


feelings = st.tuples(st.floats(-1, 1), st.floats(-1, 1))
shares = st.floats(0, 1)
happenings = st.builds(
    lambda kind, there, back, pair, at, accepted, subject, swayed, wishes: happening(
        kind, there, back, who=pair, at=at, accepted=accepted, subject=subject, swayed=swayed, wishes=wishes
    ),
    st.sampled_from(["conflict", "threaten", "chat", "gift", "apology", "gossip", "praise", "confide"]),
    feelings, feelings, st.sampled_from([(A, B), (B, A), (A, C), (C, D), (D, B)]), st.integers(0, 30 * DAY),
    st.none() | st.booleans(), st.none() | st.sampled_from([A, B, C, D]),
    st.lists(st.tuples(st.sampled_from([A, C, D]), st.sampled_from([A, B]), st.floats(-1, 1)), max_size=3).map(tuple),
    st.sampled_from([frozenset(), frozenset({"win_heart"})]),
)  # fmt: skip


@given(st.lists(happenings, max_size=40))
def test_no_story_leaves_the_bounds(story: list[Happening]) -> None:
    table, open_ = board(), dict[UUID, ArcState]()
    for h in sorted(story, key=lambda h: h.at):
        for change in table.tell(h):
            state = change.arc
            assert 0.0 <= state.tension <= 1.0
            assert len(state.others) <= arcs.MOST_OTHERS and len(state.turns) <= arcs.MOST_TURNS
            assert not set(state.others) & state.pair and set(state.sides) == set(state.others)
            assert set(state.sides.values()) <= state.pair
            assert (
                (state.stage == "resolved") == (state.outcome is not None) == (state.resolved_at is not None)
            )
            assert (change.what == "started") == (state.id not in open_)
            if state.stage == "resolved":
                open_.pop(state.id)
            else:
                open_[state.id] = state
        for who in (A, B, C, D):
            mine = [a for a in open_.values() if who in a.pair]
            assert len(mine) <= arcs.MOST_PER_CHARACTER
            assert all(sum(a.kind == kind for a in mine) <= most for kind, most in arcs.MOST_OF.items())


@given(
    shares,
    st.sampled_from(["quarrel", "feud", "courtship", "friendship"]),
    st.integers(0, DAY),
    st.integers(0, DAY),
)
def test_tension_only_falls_by_itself(tension: float, kind: Kind, t: int, more: int) -> None:
    state = arc(kind, tension)
    assert 0.0 <= state.tension_now(t + more) <= state.tension_now(t) <= tension


def test_what_is_worth_telling() -> None:
    changes = board(arc("quarrel")).tell(happening("chat", *KIND))
    assert changes and arcs.worth_telling(changes) == []
    assert set(arcs.latest(changes)) == {UUID(int=9)}
