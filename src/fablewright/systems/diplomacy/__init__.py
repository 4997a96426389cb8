"""Diplomacy: what factions are to each other, treaties that execute, negotiations, incidents, sanctions and wars."""

from fablewright.core.system import System

system = System(name="diplomacy")
