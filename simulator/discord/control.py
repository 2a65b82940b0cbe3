"""The admin endpoint for who is in another process: `POST /_control` orders, `GET /_control` tells what was seen.

Orders are JSON with the media type `application/json`, which a foreign web page cannot send without being asked first.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from simulator.discord.exchange import json_response
from simulator.discord.faults import Fault
from simulator.discord.refusals import Refusal

if TYPE_CHECKING:
    from simulator.discord.stand_in import DiscordStandIn


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Misbehave(_Order):
    """Order a fault."""

    do: Literal["misbehave"]
    fault: Fault


class Simple(_Order):
    """Drop the faults, or what was recorded."""

    do: Literal["heal", "forget"]


class Down(_Order):
    """Refuse connections for a while."""

    do: Literal["down"]
    for_ms: Annotated[int, Field(ge=0, le=600_000)]


class AddWebhook(_Order):
    """Make one more webhook."""

    do: Literal["add_webhook"]
    channel_id: str | None = None
    forum: bool = False
    threads: Annotated[int, Field(ge=0, le=100)] = 0


class ChangeWebhook(_Order):
    """Delete a webhook (404 from now on), or give it another token (401 for the old one)."""

    do: Literal["delete_webhook", "rotate_token"]
    webhook_id: str


_ORDERS: TypeAdapter[Misbehave | Simple | Down | AddWebhook | ChangeWebhook] = TypeAdapter(
    Annotated[Misbehave | Simple | Down | AddWebhook | ChangeWebhook, Field(discriminator="do")]
)


class Control:
    """Serves `/_control`."""

    def __init__(self, stand_in: "DiscordStandIn") -> None:
        self._stand_in = stand_in

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_post("/_control", self.order)
        app.router.add_get("/_control", self.tell)

    async def order(self, request: web.Request) -> web.Response:
        """Carry out one order; 400 says what is wrong with it."""
        if request.content_type != "application/json":
            return json_response({"message": "Send orders as application/json"}, status=415)
        try:
            order = _ORDERS.validate_json(await request.read())
            return json_response({"ok": True} | self._carry_out(order))
        except ValidationError as error:
            return json_response({"message": "Not an order", "errors": error.errors(include_url=False)}, status=400)
        except Refusal as refusal:
            return json_response(refusal.body, status=refusal.status)

    async def tell(self, request: web.Request) -> web.Response:
        """Return totals, URLs, and the records of requests with a number above `since`."""
        since = request.query.get("since", "0")
        if not since.isdecimal():
            return json_response({"message": "since is a request's number"}, status=400)
        seen = [asdict(record) for record in self._stand_in.requests if record.number > int(since)]
        return json_response({"messages": self._stand_in.message_total, "requests": seen} | self.urls())

    def urls(self) -> dict[str, str]:
        """Return where everything is, as the command line prints it."""
        here = self._stand_in
        return {"url": here.url, "api_base": here.api_base, "webhook_url": here.webhook_url()}

    def _carry_out(self, order: Misbehave | Simple | Down | AddWebhook | ChangeWebhook) -> dict[str, Any]:
        here = self._stand_in
        match order:
            case Misbehave():
                here.misbehave(order.fault)
            case Simple(do="heal"):
                here.heal()
            case Simple():
                here.forget()
            case Down():
                here.go_down_for(order.for_ms)
            case AddWebhook():
                made = here.webhooks.add(channel_id=order.channel_id, forum=order.forum, threads=order.threads)
                return {"webhook_url": here.webhook_url(made), "threads": sorted(made.threads)}
            case ChangeWebhook(do="delete_webhook"):
                here.webhooks.delete(order.webhook_id)
            case ChangeWebhook():
                return {"webhook_url": here.webhook_url(here.webhooks.rotate(order.webhook_id))}
        return {}
