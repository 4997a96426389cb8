"""What falls due in incidents, sanctions, ultimatums, wars and coalitions: the kinds that these bring, in one list."""

from fablewright.systems.diplomacy import coalitions, incidents, sanctions, ultimatums, wars

TIMERS = (*incidents.KINDS, *ultimatums.KINDS, *sanctions.KINDS, *wars.KINDS, *coalitions.KINDS)
