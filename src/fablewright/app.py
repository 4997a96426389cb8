"""The composition root: collects the systems and wires everything together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from functools import partial
from importlib.metadata import entry_points
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fablewright import __version__
from fablewright.core.consumers import ConsumerWorker
from fablewright.core.database import Database
from fablewright.core.doorbell import Doorbell
from fablewright.core.engine import Engine
from fablewright.core.housekeeping import keep_house
from fablewright.core.messages import CatalogueError
from fablewright.core.refusal import INVALID, NOT_FOUND, Refusal, Refused
from fablewright.core.system import System
from fablewright.core.timers import TimerWorker
from fablewright.gateway import commands as generic_door
from fablewright.gateway import events as log_routes
from fablewright.gateway import live, metrics, openapi
from fablewright.gateway.front import Front
from fablewright.gateway.problems import problem_response
from fablewright.gateway.runtime import Runtime
from fablewright.integration import dashboard, documents, health
from fablewright.settings import Settings
from fablewright.systems import (
    accounts,
    achievements,
    characters,
    custom_events,
    dialogue,
    diplomacy,
    director,
    factions,
    leaderboards,
    ledger,
    markets,
    memory,
    points,
    progress,
    quests,
    regions,
    relationships,
    travel,
    worlds,
)
from fablewright.systems.accounts import tokens

ENTRY_POINTS = "fablewright.systems"
API = "/api/v1"
BUILT_IN: tuple[System, ...] = (
    accounts.system, worlds.system, ledger.system, custom_events.system, regions.system, characters.system,
    relationships.system, memory.system, factions.system, points.system, progress.system, markets.system,
    travel.system, dialogue.system, diplomacy.system, quests.system, achievements.system, leaderboards.system,
    director.system,
)  # fmt: skip
"""In the order in which they react: points lock accounts before `progress` locks what it counts."""

ROUTE_NOT_FOUND = Refusal("route_not_found", NOT_FOUND, "There is nothing at this address. See /docs.")
METHOD_NOT_ALLOWED = Refusal(
    "method_not_allowed", INVALID, "This address does not take that method. See /docs."
)

DESCRIPTION = (
    "A server for living role-playing worlds. Refusals are RFC 9457 problems with a stable `code`. "
    "`/ws/worlds/{world_id}` is the WebSocket: send `auth`, `subscribe`, `command` and `ping`; receive events "
    "as they happen."
)

log = structlog.get_logger(__name__)


def installed_systems() -> list[System]:
    """The built-in systems, and those that installed packages offer as entry points. Raises `CatalogueError`."""
    found = list(BUILT_IN)
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda e: e.name):
        system = entry.load()
        if not isinstance(system, System):
            raise CatalogueError(f"the entry point {entry.name} of {ENTRY_POINTS} is not a System")
        found.append(system)
    names = [system.name for system in found]
    if len(set(names)) != len(names):
        raise CatalogueError(f"two systems have the same name: {sorted(names)}")
    return found


def migration_folders(systems: Sequence[System]) -> list[str]:
    """The Alembic version folders of systems from other packages."""
    return [system.migrations for system in systems if system.migrations]


@asynccontextmanager
async def open_runtime(
    settings: Settings, database_url: str, systems: Sequence[System] | None = None, *, work: bool = True
) -> AsyncIterator[Runtime]:
    """One process of the server, without HTTP: for `create_app`, the command line and tests.

    With `work`, it also fires timers, feeds consumers and advances worlds.
    """
    systems = installed_systems() if systems is None else systems
    database = Database(database_url, settings)
    doorbell = Doorbell(database, gather_ms=settings.doorbell_ms, poll_seconds=settings.poll_seconds)
    engine = Engine(database, systems, doorbell, settings)
    engine.after_commit.append(metrics.count_commit)
    authenticator = tokens.build(settings, database)

    async def ready() -> list[str]:
        return await health.problems(database, doorbell)

    runtime = Runtime(settings, database, engine, systems, authenticator, ready, {"accounts": authenticator})
    await doorbell.start()
    begun = _workers(engine) if work else []
    workers = [asyncio.create_task(_keep_running(settings, name, run), name=name) for name, run in begun]
    try:
        yield runtime
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await engine.close()
        await doorbell.stop()
        await database.close()


def _workers(engine: Engine) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
    own: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        ("timers", TimerWorker(engine).run),
        ("consumers", ConsumerWorker(engine).run),
        ("housekeeping", partial(keep_house, engine)),
    ]
    return own + [
        (f"{s.name} worker", partial(worker, engine)) for s in engine.systems for worker in s.workers
    ]


async def _keep_running(settings: Settings, name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run a worker. One that dies has a bug: say so loudly, and begin anew rather than let the worlds stand."""
    while True:
        try:
            await run()
        except Exception:
            log.critical("worker_died", worker=name, exc_info=True)
            await asyncio.sleep(settings.poll_seconds)
        else:
            return


class Application(FastAPI):
    """The web application: `Front` around what FastAPI serves."""

    front: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        await self.front(scope, receive, send)

    async def inner(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What FastAPI serves."""
        await super().__call__(scope, receive, send)


def create_app(settings: Settings, database_url: str, systems: Sequence[System] | None = None) -> Application:
    """The web application of one process. The runtime opens with its lifespan."""
    systems = installed_systems() if systems is None else systems

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_runtime(settings, database_url, systems) as runtime, live.open_hub(runtime) as hub:
            app.state.runtime = runtime
            app.state.hub = hub
            yield

    app = Application(
        title="Fablewright", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url=None, redirect_slashes=False, generate_unique_id_function=lambda route: route.name,
        description=DESCRIPTION,
    )  # fmt: skip
    hot = add_routes(app, systems)
    app.front = Front(app.inner, settings, lambda: app.state.runtime, hot)
    if settings.cors_origins:
        app.front = CORSMiddleware(
            app.front, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"],
            expose_headers=["ETag", "Retry-After", "X-Correlation-Id", "Idempotency-Replayed"],
        )  # fmt: skip
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Exception, _bug)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    return app


def add_routes(app: FastAPI, systems: Sequence[System]) -> list[Route]:
    """Mount every router; returns the hot routes, which `Front` serves."""
    found = [router for system in systems for router in system.routers]
    hot = [generic_door.route, *(route for route in found if isinstance(route, Route))]
    for router in (*(r for r in found if not isinstance(r, Route)), log_routes.router, dashboard.router):
        app.include_router(router, prefix=API)
    app.include_router(health.router)
    app.state.document = lambda: document_of(app, systems)
    app.include_router(documents.router)
    return [Route(API + route.path, route.endpoint, methods=sorted(route.methods or ())) for route in hot]


def document_of(app: FastAPI, systems: Sequence[System]) -> dict[str, Any]:
    """The OpenAPI document of a running application, made when it is first asked for."""
    if app.openapi_schema is None:
        app.openapi_schema = build_openapi(app, app.state.runtime.engine, systems)
    return app.openapi_schema


def build_openapi(app: FastAPI, engine: Engine, systems: Sequence[System]) -> dict[str, Any]:
    """The OpenAPI document: FastAPI's own, the generic door, and the plain routes that systems document."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    parts = [generic_door.openapi(engine)]
    parts += [
        {"paths": {API + path: item for path, item in system.extra.get("openapi", {}).items()}}
        for system in systems
    ]
    for part in parts:
        for path, item in deepcopy(part["paths"]).items():
            document["paths"].setdefault(path, {}).update(item)
        schemas.update(part.get("components", {}).get("schemas", {}))
    openapi.complete(document, (accounts.rules.TOKEN_INVALID, accounts.rules.TOKEN_EXPIRED))
    return document


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return problem_response(error)


async def _bug(_request: Request, error: Exception) -> Response:
    """Let bugs through to `Front`, which answers and logs them."""
    raise error


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    if any(e["type"] == "json_invalid" for e in errors):
        return problem_response(generic_door.MALFORMED("The body is not JSON."))
    return problem_response(generic_door.validation_refused(errors))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, Refused):  # refused while the body was read
        return problem_response(error.__cause__)
    if error.status_code in (404, 405):
        path = request.url.path
        methods = openapi.methods_at(request.app.state.document(), path)
        if methods:
            refused = METHOD_NOT_ALLOWED(f"This address takes {', '.join(methods)}.")
            return problem_response(refused, status=405, headers={"Allow": ", ".join(methods)})
        return problem_response(ROUTE_NOT_FOUND(f"There is nothing at {path[:200]}."))
    return problem_response(generic_door.MALFORMED("The body cannot be read."))
