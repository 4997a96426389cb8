"""Factions: those who hold regions, bargain and fight, with members, ranks and a treasury."""

from fablewright.core.system import System

system = System(name="factions")
