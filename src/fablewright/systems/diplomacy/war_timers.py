"""What falls due in incidents, sanctions, ultimatums and wars: the kinds that these bring, in one list."""

from fablewright.systems.diplomacy import incidents, sanctions, wars

TIMERS = (*incidents.KINDS, *sanctions.KINDS, *wars.KINDS)
