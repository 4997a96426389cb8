"""Fablewright: a server for living role-playing worlds."""

from importlib.metadata import version

__version__ = version("fablewright")
