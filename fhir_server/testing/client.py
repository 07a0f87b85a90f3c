"""An in-process client: the whole server on a database of its own, without a socket. https://www.python-httpx.org/"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx

from fhir_server.app import App, create_app
from fhir_server.settings import Settings
from fhir_server.testing.engine import test_engine_url

Json = dict[str, Any]
FHIR_JSON = {"content-type": "application/fhir+json"}


class FhirClient:
    """Speaks FHIR to one server in this process; answers are httpx responses."""

    def __init__(self, app: App, http: httpx.AsyncClient) -> None:
        self.app = app
        self.http = http

    async def get(self, path: str = "", **headers: str) -> httpx.Response:
        """GET a path below the base URL."""
        return await self.http.get(_url(path), headers=_headers(headers))

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """POST JSON."""
        return await self.http.post(_url(path), json=body, headers={**FHIR_JSON, **_headers(headers)})

    async def put(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """PUT JSON."""
        return await self.http.put(_url(path), json=body, headers={**FHIR_JSON, **_headers(headers)})

    async def patch(self, path: str, body: Any, content_type: str, **headers: str) -> httpx.Response:
        """PATCH with a patch of the given content type."""
        return await self.http.patch(_url(path), json=body, headers={"content-type": content_type, **_headers(headers)})

    async def delete(self, path: str, **headers: str) -> httpx.Response:
        """DELETE a path."""
        return await self.http.delete(_url(path), headers=_headers(headers))

    async def send(self, method: str, path: str, content: bytes = b"", **headers: str) -> httpx.Response:
        """Send bytes as they are."""
        return await self.http.request(method, _url(path), content=content, headers=_headers(headers))


@asynccontextmanager
async def fhir_client(**settings: str) -> AsyncIterator[FhirClient]:
    """Start a server on the test database, under a prefix nobody else has; drop its data at the end.

    `settings` are names of settings.py in lower case with their text values.
    """
    prefix = f"t{uuid4().hex[:12]}"
    environment = {"FHIR_MONGODB_URL": test_engine_url(), "FHIR_DATABASE_PREFIX": prefix, "FHIR_LOG_LEVEL": "error"}
    environment |= {f"FHIR_{name.upper()}": value for name, value in settings.items()}
    app = create_app(Settings.from_environment(environment))
    await app.start()
    try:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver", timeout=60) as http:
            yield FhirClient(app, http)
    finally:
        await app.drop_all_data()
        await app.stop()


def _url(path: str) -> str:
    return (
        f"/fhir/{path}"
        if path and not path.startswith(("/", "?"))
        else f"/fhir{path}"
        if path[:1] == "?"
        else path or "/fhir"
    )


def _headers(given: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in given.items()}
