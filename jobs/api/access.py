"""Which routes need a key, and whether the one that came along may do what is asked."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Security
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from jobs import database
from jobs.access import service as access
from jobs.api.requests import is_public
from jobs.settings import get_settings

READING = frozenset({"GET", "HEAD"})
BEARER = HTTPBearer(auto_error=False, scheme_name="API key", description="`python -m jobs.keys create NAME` prints one")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
PROBLEM = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
REFUSED = {
    "401": {"description": "No key, or one that is none of ours", "content": PROBLEM},
    "403": {"description": "The key is not for this", "content": PROBLEM},
}


def scope_of(route: APIRoute, method: str) -> str:
    """What a key needs for this route: ``leads:read``, ``leads:write``."""
    return f"{route.tags[0]}:{'read' if method in READING else 'write'}"


def scopes(routers: Iterable[APIRouter]) -> set[str]:
    """All scopes that there are."""
    return {scope_of(route, method) for route, method in _closed(routers)}


async def allowed(request: Request, credentials: Credentials) -> None:
    """Let the request in, or answer 401 or 403.

    The key is looked up in a transaction of its own, which ends before that of the request begins.
    """
    route = request.scope["route"]
    if is_public(route.endpoint) or get_settings().api_keys == "off":
        return
    if credentials is None:
        raise _unknown("this needs a key: Authorization: Bearer wrk_…")
    try:
        async with database.session() as session, session.begin():
            key = await access.check(session, credentials.credentials, scope_of(route, request.method))
            request.state.actor = f"key:{key.name}"
    except access.BadKey as error:
        raise _unknown(str(error)) from None
    except access.NotAllowed as error:
        raise HTTPException(403, str(error)) from None


def describe(api: FastAPI, routers: Iterable[APIRouter]) -> dict[str, Any]:
    """The OpenAPI of the service, in which public routes need no key."""
    if api.openapi_schema is None:
        api.openapi_schema = get_openapi(title=api.title, version=api.version, routes=api.routes)
        closed = {(route.path_format, method.lower()) for route, method in _closed(routers)}
        for path, operations in api.openapi_schema["paths"].items():
            for method, operation in operations.items():
                if (path, method) in closed:
                    operation["responses"] = REFUSED | operation["responses"]
                else:
                    operation.pop("security", None)
    return api.openapi_schema


def _closed(routers: Iterable[APIRouter]) -> list[tuple[APIRoute, str]]:
    """Each route that needs a key, with each of its methods."""
    routes = [each for router in routers for each in router.routes if isinstance(each, APIRoute)]
    return [(route, method) for route in routes if not is_public(route.endpoint) for method in route.methods or ()]


def _unknown(words: str) -> HTTPException:
    return HTTPException(401, words, headers={"WWW-Authenticate": "Bearer"})
