"""Reads the settings for a command, and tells where each value comes from."""

import os
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from fablewright.cli.failures import Failure
from fablewright.settings import Settings

PREFIX = "FABLEWRIGHT_"


def load_settings(**options: Any) -> Settings:
    """The settings, with what was given on the command line over them. Raises `Failure` for bad ones."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise Failure("Bad settings: " + "; ".join(_mistake(item) for item in error.errors())) from error
    except SettingsError as error:
        raise Failure(f"Bad settings: {error}") from error


def _mistake(item: Any) -> str:
    name = str(item["loc"][0]) if item["loc"] else ""
    secret = name in Settings.model_fields and "SecretStr" in str(Settings.model_fields[name].annotation)
    got = "" if secret else f" (it is {str(item['input'])[:60]!r})"
    return f"{PREFIX}{name.upper()}: {item['msg']}{got}"


def source_of(name: str) -> str:
    """Where a setting's value comes from: `environment`, `.env` or `default`."""
    variable = (PREFIX + name).upper()
    if any(key.upper() == variable for key in os.environ):
        return "environment"
    if variable in _dotenv():
        return ".env"
    return "default"


def _dotenv() -> set[str]:
    from dotenv import dotenv_values

    return {key.upper() for key in dotenv_values(".env")} if Path(".env").exists() else set()


def shown(value: Any) -> str:
    """A setting's value for the eyes of an operator; secrets stay hidden."""
    if isinstance(value, SecretStr):
        return "(set, hidden)"
    if value is None:
        return "(unset)"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "(none)"
    return str(value)
