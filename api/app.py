"""The application: every route, what they share, and what OpenAPI says of them."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware

from aperture.commands import Commands
from aperture.contract.links import Links
from aperture.hints import Hints
from aperture.settings import Settings
from aperture.store.blobs import Blobs
from aperture.store.database import Database
from api import cameras, commands, health, live, metrics, photos, public, sweep, telemetry
from api.auth import READER
from api.feed import Feed
from api.problems import HANDLERS, INTERNAL, UNAUTHORIZED, UNAVAILABLE, Problem, responses
from api.services import Probe, Services
from api.shield import Shield
from api.thumbnails import Thumbnails
from api.tokens import Tokens

_GUARDED = (cameras.router, telemetry.router, commands.router, photos.router, live.router, metrics.router)
_OPEN = (public.router, health.router)
_TAGS = [
    {"name": "cameras", "description": "What is known of each camera, and what can be asked of it."},
    {"name": "telemetry", "description": "A camera's numbers over time."},
    {"name": "commands", "description": "What was asked, and how far it is."},
    {"name": "photos", "description": "The archive."},
    {"name": "events", "description": "What happens, as it happens."},
    {"name": "public", "description": "Photos for those who were given their link. No token."},
    {"name": "health", "description": "For who watches over the server."},
]
_DESCRIPTION = (
    "Photos, telemetry and commands of your cameras. Times are integers in milliseconds; instants (`*_at_ms`, "
    "`from`, `to`, `stages`) are Unix time, UTC. Errors are problem documents (RFC 9457). Everything but health and "
    "public links wants `Authorization: Bearer TOKEN`; a reader's token reads, an operator's does everything."
)


def create_app(
    *,
    settings: Settings,
    database: Database,
    blobs: Blobs,
    commands: Commands,
    hints: Hints,
    version: str,
    health: Probe = dict,
) -> FastAPI:
    """Make the application. Whoever made the database and the blobs closes them, after it.

    Args:
        settings: `api.public_url` is the base of links, `data_dir` where thumbnails are kept.
        database: the rows.
        blobs: the photos' bytes.
        commands: makes what is asked of cameras.
        hints: wakes live streams at once when rows were written in this process.
        version: shown by `/healthz` and in OpenAPI.
        health: tells how the other parts are (see `services.Probe`); by default none is known.
    """
    services = Services(
        settings=settings,
        database=database,
        blobs=blobs,
        commands=commands,
        hints=hints,
        feed=Feed(database=database, hints=hints),
        tokens=Tokens(database=database),
        thumbnails=Thumbnails(root=settings.data_dir / "thumbnails", blobs=blobs),
        probe=health,
        version=version,
        links=Links((settings.api.public_url or "").rstrip("/")),
    )
    app = FastAPI(
        title="Aperture Archive",
        version=version,
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        openapi_url=None,  # served below, to who has a token
        docs_url=None,  # the usual pages load from other people's hosts
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat whatever `Host` the asker sent
        lifespan=_lifespan,
        middleware=[Middleware(Shield)],
        exception_handlers=HANDLERS,
        generate_unique_id_function=_operation_id,
        telemetry={"tracing": False, "metrics": False},
    )
    app.state.services = services
    for router in _GUARDED:
        app.include_router(router, responses=responses(UNAUTHORIZED, UNAVAILABLE, INTERNAL))
    for router in _OPEN:
        app.include_router(router, responses=responses(INTERNAL))
    _serve_openapi(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    services: Services = app.state.services
    async with sweep.running(services):
        try:
            yield
        finally:
            services.feed.close()
            services.thumbnails.close()


def _operation_id(route: APIRoute) -> str:
    return route.name


def _serve_openapi(app: FastAPI) -> None:
    """Add `/openapi.json`, which tells of problem documents where FastAPI would tell of its own form of errors."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        schema = make()
        schemas = schema["components"]["schemas"]
        if "Problem" not in schemas:
            schemas["Problem"] = Problem.model_json_schema()
            _drop_own_errors(schema)
        return schema

    async def get_openapi() -> Mapping[str, Any]:
        return app.openapi()

    app.openapi = openapi
    app.add_api_route("/openapi.json", get_openapi, dependencies=READER, include_in_schema=False, response_model=None)


def _drop_own_errors(schema: dict[str, Any]) -> None:
    for operations in schema["paths"].values():
        for operation in operations.values():
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
