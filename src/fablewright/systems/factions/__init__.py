"""Factions: those who hold regions, bargain and fight, with members, ranks and a treasury.

Nouns: *faction* (a realm, a guild, a cult), *member* (a character that belongs to it), *rank* (its place in the
order), *role* (what it may do in the faction's name: ruler, ambassador, general, spymaster, …), *act* (one such
thing), *leader* (the ruler), *treasury* (the faction's account of the ledger), *ideology* (its stands on axes of the
world's own choosing), *traits*, *reputation* (what the world thinks of it; fades), *power* (military and economic, as a
list of parts).

Invariants:

- a character belongs to one faction at a time, with a rank and at most one role that the faction knows;
- the leader belongs to its faction and is its ruler, and nobody else is;
- what was dissolved keeps its row, and has no members, no leader and no regions; only factions hold regions;
- all that goes into a treasury or out of it is a transfer of the ledger;
- a power is the sum of its parts.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.factions import members, service, treasury
from fablewright.systems.factions.checks import CHECKS
from fablewright.systems.factions.commands import (
    AddMember,
    ChangeFaction,
    DissolveFaction,
    FoundFaction,
    GrantTreasury,
    Leave,
    Muster,
    RemoveMember,
    SetLeader,
    SetRank,
    SetStrength,
    SpendTreasury,
)
from fablewright.systems.factions.events import (
    Changed,
    Dissolved,
    Founded,
    LeaderChanged,
    MemberJoined,
    MemberLeft,
    RankChanged,
    ReputationChanged,
    StrengthChanged,
    TreasuryMoved,
)
from fablewright.systems.factions.pack import PACK
from fablewright.systems.factions.reactions import FORGET_DELETED, HOLDING, UNSEATED
from fablewright.systems.factions.router import router

system = System(
    name="factions",
    handlers=(
        Handler(FoundFaction, one=service.found_faction),
        Handler(ChangeFaction, one=service.change_faction),
        Handler(DissolveFaction, one=service.dissolve_faction),
        Handler(AddMember, one=members.add_member),
        Handler(RemoveMember, one=members.remove_member),
        Handler(SetRank, one=members.set_rank),
        Handler(Leave, one=members.leave),
        Handler(SetLeader, one=members.set_leader),
        Handler(GrantTreasury, one=treasury.grant),
        Handler(SpendTreasury, one=treasury.spend),
        Handler(SetStrength, one=service.set_strength),
        Handler(Muster, one=service.muster),
    ),
    events=(
        Founded, Changed, Dissolved, MemberJoined, MemberLeft, RankChanged, LeaderChanged, TreasuryMoved,
        ReputationChanged, StrengthChanged,
    ),
    guarding=(FORGET_DELETED, HOLDING, UNSEATED),
    routers=(router,),
    checks=CHECKS,
    principals=service.principals,
    principals_change_on=(
        Founded.message_type, MemberJoined.message_type, MemberLeft.message_type,
    ),
    extra={"pack": PACK, "allegiance": service.allegiance},
)  # fmt: skip
