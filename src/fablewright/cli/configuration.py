"""Reads the settings for a command, and tells where each value comes from."""

import json
import os
import textwrap
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


EXAMPLE_HEAD = """\
# Every setting of Fablewright, with its default. Copy this file to `.env` in the folder where you start the server,
# and take the # away from what you change; or set environment variables of these names, which go first.
# `fablewright settings` shows what is in force and where it comes from; with --example it writes this file.
"""


def example() -> str:
    """A file of settings to begin from: every one with its description and default."""
    paragraphs = [EXAMPLE_HEAD]
    for name, field in Settings.model_fields.items():
        described = textwrap.wrap(field.description or "", 108, initial_indent="# ", subsequent_indent="# ")
        default = _written(field.get_default(call_default_factory=True))
        paragraphs.append("\n".join([*described, f"#{PREFIX}{name.upper()}={default}"]) + "\n")
    return "\n".join(paragraphs)


def _written(default: Any) -> str:
    if default is None:
        return ""
    return json.dumps(default) if isinstance(default, list | bool) else str(default)
