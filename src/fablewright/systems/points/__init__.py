"""Points: what characters earn, spend and give, and how high they have risen by it.

Nouns: *award* (points or another currency for an action, an event, or by a game master's word), *award rule* (what an
action or an event is worth), *multiplier* (level, streak, bonus event), *standing* (what was earned over a life, the
level, the streak), *curve* (how levels rise), *title*, *verdict* (what a check against abuse found).

Invariants:

- every award, spending, gift and adjustment is one transfer of the ledger and one event, in one commit;
- a reference gives once: the same one again changes nothing;
- levels follow what was earned by the world's curve; spending and gifts do not change them;
- limits count exactly, also when many ask at once at many nodes;
- rules never listen to what awards themselves bring about.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.points import reviews, service
from fablewright.systems.points.checks import CHECKS
from fablewright.systems.points.commands import (
    Adjust,
    Award,
    AwardMany,
    ConfigurePoints,
    DefineAwardRule,
    EndBonus,
    Give,
    GrantTitle,
    RemoveAwardRule,
    RestoreStandings,
    ReverseAward,
    ReviewVerdict,
    RevokeTitle,
    Spend,
    StartBonus,
)
from fablewright.systems.points.events import (
    AbuseSuspected,
    Adjusted,
    Awarded,
    BonusEnded,
    BonusStarted,
    Configured,
    Given,
    LevelReached,
    Reversed,
    RuleDefined,
    RuleRemoved,
    Spent,
    StandingsRestored,
    TitleGranted,
    TitleRevoked,
    VerdictReviewed,
)
from fablewright.systems.points.pack import PACK
from fablewright.systems.points.reactions import AWARD
from fablewright.systems.points.router import OPENAPI, award_many_route, award_route, router

system = System(
    name="points",
    handlers=(
        Handler(DefineAwardRule, one=service.define_rule),
        Handler(RemoveAwardRule, one=service.remove_rule),
        Handler(StartBonus, one=service.start_bonus),
        Handler(EndBonus, one=service.end_bonus),
        Handler(ConfigurePoints, one=service.configure),
        Handler(Award, many=service.award),
        Handler(AwardMany, one=service.award_list),
        Handler(Spend, many=service.spend),
        Handler(Give, many=service.give),
        Handler(Adjust, one=service.adjust),
        Handler(GrantTitle, one=service.grant_title),
        Handler(RevokeTitle, one=service.revoke_title),
        Handler(RestoreStandings, one=service.restore_standings),
        Handler(ReverseAward, one=reviews.reverse_award),
        Handler(ReviewVerdict, one=reviews.review_verdict),
    ),
    events=(
        Awarded, Spent, Given, Adjusted, Reversed, LevelReached, TitleGranted, TitleRevoked, RuleDefined, RuleRemoved,
        BonusStarted, BonusEnded, Configured, StandingsRestored, AbuseSuspected, VerdictReviewed,
    ),
    following=(AWARD,),
    routers=(award_route, award_many_route, router),
    checks=CHECKS,
    extra={"pack": PACK, "openapi": OPENAPI},
)  # fmt: skip
