"""How the sky turns. Pure."""

from collections.abc import Mapping
from typing import Final, Literal

from fablewright.core.clock import HOUR
from fablewright.core.dice import Dice

Sky = Literal["clear", "cloudy", "rain", "storm"]

NEXT: Final[Mapping[Sky, Mapping[Sky, float]]] = {
    "clear": {"clear": 3.0, "cloudy": 2.0},
    "cloudy": {"clear": 2.0, "cloudy": 1.0, "rain": 2.0},
    "rain": {"cloudy": 3.0, "rain": 1.0, "storm": 1.0},
    "storm": {"rain": 1.0},
}
"""How likely each sky follows, in proportion. Our own numbers: no clear sky straight after a storm."""
SHORTEST_MS: Final = HOUR
LONGEST_MS: Final = 6 * HOUR


def next_sky(sky: Sky, dice: Dice) -> Sky:
    """The sky that follows this one."""
    options = NEXT[sky]
    return dice.weighted(list(options), list(options.values()))


def lasts_ms(dice: Dice) -> int:
    """How long a sky lasts, in ms of world time: one to six hours."""
    return dice.whole(SHORTEST_MS, LONGEST_MS)
