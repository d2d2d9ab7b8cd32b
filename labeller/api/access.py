"""No token, no data: the dependency that every route but health and docs has."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from labeller import tokens
from labeller.errors import TokenError
from labeller.tokens import Grant

_bearer = HTTPBearer(
    auto_error=False, description="A project's token: Settings page, or `POST /token` to renew."
)


def granted(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Grant:
    """Return what the request's bearer token allows.

    Raises
    ------
    TokenError
        When there is no token, or it is not good.
    """
    if credentials is None:
        raise TokenError("A token is missing. Send it as: Authorization: Bearer <token>")
    return tokens.check(credentials.credentials)


Access = Annotated[Grant, Depends(granted)]
