"""Laws of the project that imports do not show: one commit, one clock, one source of chance, small parts."""

import ast
from pathlib import Path

from tests.architecture.source import CHECKOUT, EXAMPLE, PACKAGE, Function, Source, sources

MOST_LINES = 500
MOST_FUNCTION_LINES = 70
SYSTEM_FILES = {
    "__init__.py", "router.py", "commands.py", "service.py", "rules.py", "events.py", "tables.py", "views.py",
    "reactions.py", "timers.py", "checks.py", "pack.py", "data", "py.typed", "__pycache__",
}  # fmt: skip
EXTRA_FILES = {
    "accounts": {"passwords.py", "sign_in.py", "tokens.py"},
    "worlds": {"advance.py"},
    "characters": {"emotions.py"},
    "relationships": {"graph.py", "graphml.py"},
    "memory": {"rumours.py", "reflections.py", "recall.py"},
    "dialogue": {
        "content.py",
        "effects.py",
        "exchange.py",
        "grammar.py",
        "moments.py",
        "scene.py",
        "sentiment.py",
        "stage.py",
        "voice.py",
    },
    "ledger": {"book.py"},
    "regions": {"bans.py", "lands.py"},
    "progress": {"backfill.py"},
    "points": {"guards.py", "verdicts.py", "reviews.py", "awards.py", "standings.py"},
    "leaderboards": {"ranks.py", "reads.py", "removals.py", "seasons.py"},
    "factions": {"roster.py", "members.py", "treasury.py"},
    "markets": {"dealing.py", "flows.py", "restraints.py", "trade.py"},
    "diplomacy": {
        "relations.py",
        "renown.py",
        "matrix.py",
        "homefront.py",
        "clauses.py",
        "treaties.py",
        "watching.py",
        "treaty_tables.py",
        "treaty_commands.py",
        "treaty_events.py",
        "treaty_pack.py",
        "treaty_effects.py",
        "spying.py",
        "treaty_views.py",
        "treaty_router.py",
        "treaty_timers.py",
        "treaty_acts.py",
        "treaty_history.py",
        "treaty_states.py",
        "treaty_changes.py",
        "evaluator.py",
        "negotiations.py",
        "nego_tables.py",
        "nego_commands.py",
        "nego_events.py",
        "nego_views.py",
        "nego_router.py",
        "nego_timers.py",
        "nego_sittings.py",
        "nego_states.py",
        "bargaining.py",
        "perspectives.py",
        "stakes.py",
        "breaches.py",
        "peace.py",
        "persuasion.py",
        "incidents.py",
        "ultimatums.py",
        "sanctions.py",
        "wars.py",
        "campaigns.py",
        "coalitions.py",
        "ladder.py",
        "battle.py",
        "war_tables.py",
        "war_commands.py",
        "war_events.py",
        "war_views.py",
        "war_router.py",
        "war_timers.py",
        "threats.py",
        "threat_views.py",
        "threat_router.py",
        "bearing.py",
        "persons.py",
        "person_events.py",
        "person_router.py",
        "person_tables.py",
        "person_views.py",
        "causes.py",
        "decrees.py",
        "gifts.py",
        "war_checks.py",
        "history_commands.py",
        "restrictions.py",
        "quarrel_commands.py",
        "quarrel_history.py",
        "quarrel_pack.py",
        "war_history.py",
        "war_pack.py",
    },
    "quests": {"counting.py", "endings.py", "takings.py", "templates.py"},
    "director": {
        "arcs.py",
        "options.py",
        "scene.py",
        "story.py",
        "why.py",
        "realms.py",
        "statecraft.py",
        "policies.py",
        "warcraft.py",
        "mishaps.py",
        "court.py",
        "envoys.py",
        "councils.py",
        "chronicle.py",
        "tellings.py",
    },
    "fablewright_weather": {"migrations"},
}
"""What a system needs beside the usual files: its reason stands in that file's docstring."""
COMMITTERS = {"core/engine.py"}
NO_COMMITS = {
    ("core/database.py", "engine.begin"),  # migrations, before there is an engine
    (
        "core/transaction.py",
        "self._session.commit",
    ),  # releases the session's savepoint inside the transaction
}
CLOCKS = {"core/clock.py"}
CHANCE = {"core/dice.py"}
PRINTERS = ("cli/",)
PURE = (
    "rules.py", "commands.py", "events.py", "emotions.py", "effects.py", "exchange.py", "stage.py",
    "voice.py", "moments.py", "grammar.py", "arcs.py", "options.py", "rumours.py", "reflections.py",
    "guards.py", "book.py", "flows.py", "templates.py", "realms.py", "statecraft.py", "policies.py", "warcraft.py",
    "mishaps.py", "relations.py", "clauses.py", "evaluator.py", "stakes.py", "bargaining.py", "ladder.py", "battle.py",
    "threats.py", "bearing.py",
)  # fmt: skip
PURE_CORE = tuple(
    f"fablewright.core.{name}." for name in ("actors", "clock", "conditions", "dice", "refusal", "messages")
)
PURE_STANDARD = {
    "bisect", "collections", "dataclasses", "enum", "functools", "heapq", "itertools", "json", "math", "operator",
    "re", "statistics", "typing", "uuid",
}  # fmt: skip
READS_TIME = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.localtime",
    "time.gmtime", "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now",
    "datetime.datetime.utcnow", "datetime.date.today",
}  # fmt: skip
IS_CHANCE = {"random", "secrets", "uuid.uuid1", "uuid.uuid4", "uuid4", "os.urandom", "numpy.random"}
CHANCE_CALLS = ("np.random.", "numpy.random.")


def offending(found: list[str]) -> None:
    """Fail with a list that names every place."""
    assert not found, "\n" + "\n".join(found)


def test_there_is_something_to_look_at() -> None:
    assert len(sources()) > 60


def test_only_the_engine_commits() -> None:
    offending([
        f"{s.at(call)} calls {name}" for s in sources() if s.name not in COMMITTERS
        for name, call in s.calls()
        if name.endswith((".commit", ".begin")) and (s.name, name) not in NO_COMMITS
    ])  # fmt: skip


def test_no_sql_text_commits_elsewhere() -> None:
    offending([
        s.at(node) for s in sources() if s.name not in COMMITTERS
        for node in s.walk(ast.Constant)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        and node.value.strip().rstrip(";").upper() in ("COMMIT", "BEGIN")
    ])  # fmt: skip


def test_only_the_clock_reads_the_time() -> None:
    offending([
        f"{s.at(call)} calls {name}" for s in sources() if s.name not in CLOCKS
        for name, call in s.calls() if name in READS_TIME
    ])  # fmt: skip


def test_only_the_dice_are_random() -> None:
    offending([
        f"{s.at(node)} imports {name}" for s in sources() if s.name not in CHANCE
        for name, node in s.imports() if name.split(".")[0] in IS_CHANCE or name in IS_CHANCE
    ] + [
        f"{s.at(call)} calls {name}" for s in sources() if s.name not in CHANCE
        for name, call in s.calls() if name in IS_CHANCE or name.startswith(CHANCE_CALLS)
    ])  # fmt: skip


def test_rules_commands_and_events_import_only_what_is_pure() -> None:
    offending([
        f"{s.at(node)} imports {name}" for s in sources()
        if s.name.startswith("systems/") and Path(s.name).name in PURE
        for name, node in s.imports() if not _pure(name)
    ])  # fmt: skip


def _pure(name: str) -> bool:
    if name.startswith("fablewright.systems."):
        parts = name.split(".")
        return f"{parts[3]}.py" in PURE or (len(parts) > 4 and f"{parts[4]}.py" in PURE)
    top = name.split(".")[0]
    return name.startswith(PURE_CORE) or top == "pydantic" or top in PURE_STANDARD


def test_only_the_command_line_prints() -> None:
    offending([
        s.at(call) for s in sources() if not s.name.startswith(PRINTERS)
        for name, call in s.calls() if name == "print"
    ])  # fmt: skip


def test_systems_use_of_other_systems_only_what_these_offer() -> None:
    """Service, views and events of other systems may be used, and the pure files that speak for themselves."""
    offered = {
        "service", "views", "events", "rules", "commands", "emotions", "rumours", "book",
        # what the parts of diplomacy offer, and its pure files
        "war_commands", "war_events", "war_views", "treaty_commands", "treaty_events", "nego_commands", "relations",
        "clauses", "ladder", "battle", "threats", "evaluator", "perspectives", "bargaining", "persuasion",
    }  # fmt: skip
    offending([
        f"{s.at(node)} imports {name}" for s in sources()
        if s.name.startswith("systems/") and s.name.count("/") == 2
        for name, node in s.imports()
        if name.startswith("fablewright.systems.") and name.split(".")[2] != s.name.split("/")[1]
        and name.split(".")[3] not in offered
    ])  # fmt: skip


def test_files_of_systems_have_the_known_names() -> None:
    folders = [p for p in (PACKAGE / "systems").iterdir() if p.is_dir() and p.name != "__pycache__"]
    offending([
        f"{folder.name}/{path.name}" for folder in (*folders, EXAMPLE) for path in folder.iterdir()
        if path.name not in SYSTEM_FILES | EXTRA_FILES.get(folder.name, set())
    ])  # fmt: skip


def test_files_are_small() -> None:
    offending([
        f"{s.name} has {lines} lines" for s in sources() if (lines := s.text.count("\n")) > MOST_LINES
    ])  # fmt: skip


def test_functions_are_small() -> None:
    offending([
        f"{s.at(node)} {node.name} has {lines} lines" for s in sources()
        for node in s.walk(ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, Function) and (lines := node.end_lineno - node.lineno + 1) > MOST_FUNCTION_LINES  # type: ignore[operator]
    ])  # fmt: skip


def test_everything_public_is_documented() -> None:
    offending([place for s in sources() for place in _undocumented(s)])


def _undocumented(source: Source) -> list[str]:
    found = (
        [] if ast.get_docstring(source.tree) or not source.text.strip() else [f"{source.name} (the module)"]
    )
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                found.append(f"{source.at(node)} {node.name}")
            if isinstance(node, ast.ClassDef):
                found += [
                    f"{source.at(inner)} {node.name}.{inner.name}" for inner in node.body
                    if isinstance(inner, Function) and not inner.name.startswith("_")
                    and not ast.get_docstring(inner) and len(inner.body) > 2
                ]  # fmt: skip
    return found


def test_nothing_is_left_to_do() -> None:
    words = ("TO" + "DO", "FIX" + "ME", "X" * 3)
    places = [p for folder in ("src", "tests", "examples", "docs") for p in (CHECKOUT / folder).rglob("*.*")]
    offending([
        f"{path.relative_to(CHECKOUT)}:{number}" for path in places if path.suffix in (".py", ".md", ".toml")
        for number, line in enumerate(path.read_text().splitlines(), 1) if any(word in line for word in words)
    ])  # fmt: skip


def test_no_except_is_bare_or_silent() -> None:
    offending([
        s.at(node) for s in sources() for node in s.walk(ast.ExceptHandler)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (
            ast.unparse(node.type) in ("Exception", "BaseException")
            and len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
        ))
    ])  # fmt: skip
