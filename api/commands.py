"""Commands: how far one is, and taking back one that was not sent."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from aperture.clock import now_ms
from aperture.store.mailbox import CommandState, Stored
from api import examples
from api.auth import OPERATOR, READER
from api.documents import CommandDocument, document
from api.problems import CONFLICT, FORBIDDEN, INVALID, NOT_FOUND, ProblemError, responses
from api.services import Use

router = APIRouter(prefix="/api/v1/commands", tags=["commands"])

CommandId = Annotated[str, Path(pattern=r"^[a-z0-9]{1,32}$", examples=[examples.COMMAND_ID])]


@router.get(
    "/{command}",
    dependencies=READER,
    response_model=CommandDocument,
    responses={200: examples.json(examples.COMMAND), **responses(NOT_FOUND, INVALID)},
)
async def get_command(services: Use, command: CommandId) -> Response:
    """Return how far a command is."""
    return document(_document(await services.commands.get(command)))


@router.delete(
    "/{command}",
    dependencies=OPERATOR,
    response_model=CommandDocument,
    responses={200: examples.json(examples.CANCELLED), **responses(FORBIDDEN, NOT_FOUND, CONFLICT, INVALID)},
)
async def cancel_command(services: Use, command: CommandId) -> Response:
    """Take back a command that was not sent yet. One that was may have been done: 409 says how far it is."""
    known = await services.commands.cancel(command, now_ms=now_ms())
    if known.state is not CommandState.CANCELLED:
        raise ProblemError(
            CONFLICT, f"the command can't be taken back: it is {known.state}", more={"state": known.state}
        )
    return document(_document(known))


def _document(command: Stored) -> CommandDocument:
    return CommandDocument.model_construct(**asdict(command))
