"""Who may ask what: a reader's token reads, an operator's does everything. Tokens come in a header, never in a URL."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from aperture.store.accounts import Role
from api.problems import FORBIDDEN, UNAUTHORIZED, ProblemError
from api.services import Use

_scheme = HTTPBearer(auto_error=False, description="A token that `aperture token create` printed.")
_Given = Annotated[HTTPAuthorizationCredentials | None, Security(_scheme)]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `secret` is there to ask again whether it is still valid, as a live stream does."""

    name: str
    role: Role
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Caller(name={self.name!r}, role={self.role!r})"


async def reader(request: Request, services: Use, given: _Given) -> Caller:
    """Let in who has any valid token.

    Raises:
        ProblemError: 401, no token or none that is valid.
    """
    if given is None:
        raise ProblemError(UNAUTHORIZED, UNAUTHORIZED.example, headers={"WWW-Authenticate": 'Bearer realm="aperture"'})
    token = await services.tokens.find(given.credentials)
    if token is None:
        challenge = 'Bearer realm="aperture", error="invalid_token"'
        raise ProblemError(
            UNAUTHORIZED,
            "the token is unknown or revoked: make one with `aperture token create`",
            headers={"WWW-Authenticate": challenge},
        )
    request.scope["aperture.caller"] = token.name
    return Caller(name=token.name, role=token.role, secret=given.credentials)


Reader = Annotated[Caller, Depends(reader)]


async def operator(caller: Reader) -> Caller:
    """Let in who has an operator's token.

    Raises:
        ProblemError: 401 as `reader`; 403, the token is a reader's.
    """
    if caller.role is not Role.OPERATOR:
        raise ProblemError(FORBIDDEN, f"this needs an operator's token; {caller.name!r} is a {caller.role}'s")
    return caller


READER: list[Any] = [Depends(reader)]
OPERATOR: list[Any] = [Depends(operator)]
