"""Leaderboards: who is best, at what, when, among whom.

Nouns: *board* (what is counted), *metric* (points earned, what a field of events amounts to, or what a game server
submits), *window* (all time, a day, week, month or season of world time), *scope* (the world, or who has a tag),
*entry* (a character's score in a window), *rank* (from 1; of equal scores the earlier is higher), *season* (ends by a
timer, is frozen, rewards its best), *removal* (the trace of a cheater's entries).

Invariants:

- the ranges of a window together hold its entries, each in the range of its place;
- a character stands on a board in a window once, and no two at the same place;
- a season that has ended changes no more, except that cheaters may be removed from it; each of its rewards is paid
  once, to whom stands there when it is paid;
- who is banned, deleted or lacks the board's tag does not come onto it.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.leaderboards import removals, service
from fablewright.systems.leaderboards.checks import CHECKS
from fablewright.systems.leaderboards.commands import (
    DefineBoard,
    LiftBan,
    RemoveBoard,
    RemoveEntries,
    RestoreEntries,
    SubmitScore,
)
from fablewright.systems.leaderboards.events import (
    BanLifted,
    BoardDefined,
    BoardRemoved,
    EntriesRemoved,
    EntriesRestored,
    ScoreSubmitted,
    SeasonEnded,
    SeasonOpened,
    SeasonRewarded,
)
from fablewright.systems.leaderboards.pack import PACK
from fablewright.systems.leaderboards.reactions import COUNT, FOLLOW
from fablewright.systems.leaderboards.router import (
    OPENAPI,
    get_leaderboard_route,
    router,
    submit_score_route,
)
from fablewright.systems.leaderboards.timers import SEASON_ENDS, SEASON_PAYS

system = System(
    name="leaderboards",
    handlers=(
        Handler(DefineBoard, one=service.define),
        Handler(RemoveBoard, one=service.remove_board),
        Handler(SubmitScore, many=service.submit),
        Handler(RemoveEntries, one=removals.remove_entries),
        Handler(LiftBan, one=removals.lift_ban),
        Handler(RestoreEntries, one=removals.restore),
    ),
    events=(
        BoardDefined, BoardRemoved, ScoreSubmitted, SeasonOpened, SeasonEnded, SeasonRewarded, EntriesRemoved,
        BanLifted, EntriesRestored,
    ),
    guarding=(FOLLOW,),
    following=(COUNT,),
    timers=(SEASON_ENDS, SEASON_PAYS),
    routers=(router, get_leaderboard_route, submit_score_route),
    checks=CHECKS,
    extra={"openapi": OPENAPI, "pack": PACK},
)  # fmt: skip
