"""How friendly a text is: the one thing here that needs a heavy library, so the service asks and rules receive
a number."""

from functools import cache, lru_cache
from typing import Any


@cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


@lru_cache(maxsize=4_096)
def sentiment(text: str) -> float:
    """-1 (hostile) to 1 (kind), by VADER (Hutto & Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment
    Analysis of Social Media Text", 2014). English; other languages read as about 0."""
    return float(_analyzer().polarity_scores(text)["compound"])
