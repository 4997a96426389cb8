"""Progress: how far everybody has come, counted from what happens. Achievements use it, and later quests.

Nouns: *measure* (what is counted of each subject: how many events, the sum or best of a number, different values, days
in a row), its *value* for a *subject*, *use* (a definition of another system that needs it), *backfill* (counting
the log from its beginning), *to settle* (to tell who listens how far each subject has come).

Invariants:

- equal measures are one, however many use them; what nobody uses is not kept;
- each event counts once in each measure, whether live or from the log, also on several nodes;
- the value of a measure of different values is the number of them;
- it follows: its failure never costs a player what they did.
"""

from fablewright.core.system import System
from fablewright.systems.progress import backfill
from fablewright.systems.progress.checks import CHECKS
from fablewright.systems.progress.events import CaughtUp
from fablewright.systems.progress.reactions import COUNT

system = System(
    name="progress",
    events=(CaughtUp,),
    following=(COUNT,),
    workers=(backfill.run,),
    checks=CHECKS,
)
