"""The nouns of the game: one folder per system, all of the same shape."""
