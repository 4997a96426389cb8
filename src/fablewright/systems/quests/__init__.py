"""Quests: what somebody is asked to do, with objectives over events, deadlines and rewards."""

from fablewright.core.system import System

system = System(name="quests")
