"""JSON Schemas of the files of a pack, for editors: they complete names and mark mistakes while one types."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fablewright.core.system import System
from fablewright.packs.sections import Section, sections_of

FOLDER: Final = "schemas"
"""Where an export puts them, inside the pack."""
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema_file(section: Section) -> str:
    """The name of the schema of a section's files."""
    return f"{section.name}.schema.json"


def schemas_of(systems: Sequence[System]) -> dict[str, str]:
    """The text of each schema by file name, generated from the models that an import checks with."""
    found = {}
    for section in sections_of(systems):
        schema: dict[str, Any] = section.model.model_json_schema(by_alias=True)
        files = " or ".join(section.own.files)
        whole = {"$schema": DIALECT, "title": f"{section.name} of a world ({files})"}
        found[schema_file(section)] = json.dumps(
            {**schema, **whole}, indent=2, ensure_ascii=False, sort_keys=True
        ) + "\n"  # fmt: skip
    return found


def header(section: Section, file: str) -> str:
    """The line by which an editor finds the schema of a file."""
    up = "../" * file.count("/")
    return f"# yaml-language-server: $schema={up}{FOLDER}/{schema_file(section)}\n"


def write_schemas(folder: Path, systems: Sequence[System]) -> list[Path]:
    """Write all schemas into a folder, which is made if need be; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in schemas_of(systems).items():
        path = folder / name
        path.write_text(text, encoding="utf-8", newline="\n")
        written.append(path)
    return written
