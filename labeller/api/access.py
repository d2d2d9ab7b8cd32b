"""No token, no data: the dependency that every route but health and docs has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from labeller import tokens
from labeller.errors import TokenError
from labeller.tokens import Grant, Scope

_bearer = HTTPBearer(
    auto_error=False, description="A project's token: Settings page, or `POST /token` to renew."
)
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def require(scope: Scope) -> Callable[[HTTPAuthorizationCredentials | None], Grant]:
    """Return a dependency that gives what the request's bearer token allows.

    It raises `TokenError` when there is no token or it is not good, and `ScopeError` when it does
    not go as far as `scope`.
    """

    def check(credentials: _Credentials) -> Grant:
        if credentials is None:
            raise TokenError("A token is missing. Send it as: Authorization: Bearer <token>")
        grant = tokens.check(credentials.credentials)
        grant.require(scope)
        return grant

    return check


ReadAccess = Annotated[Grant, Depends(require("read"))]
LabelAccess = Annotated[Grant, Depends(require("label"))]
FullAccess = Annotated[Grant, Depends(require("all"))]
