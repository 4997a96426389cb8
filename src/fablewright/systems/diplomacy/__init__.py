"""Diplomacy: what factions are to each other, treaties that execute, negotiations, incidents, sanctions and wars."""

from fablewright.core.system import System
from fablewright.systems.diplomacy.events import RelationshipChanged, StatusChanged, TensionChanged
from fablewright.systems.diplomacy.timers import TRUCES

system = System(
    name="diplomacy",
    events=(RelationshipChanged, TensionChanged, StatusChanged),
    timers=(TRUCES,),
)
