"""Every setting: type, default, help, since when; the only reader of the environment. docs/reference/settings.md

A setting `max_page` is the environment variable `FHIR_MAX_PAGE`. Names nobody knows and values that do not fit refuse
to start, all findings at once.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, cast, get_origin, get_type_hints

PREFIX = "FHIR_"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
MEGABYTE = 1024 * 1024
DATA_DIR = Path("data/server")

_T = TypeVar("_T")


class SettingsError(ValueError):
    """One or more settings are wrong; `findings` has one line for each, with its key and the way out."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = tuple(findings)


def setting(
    default: _T,
    text: str,
    *,
    since: str = "0.1",
    choices: tuple[str, ...] = (),
    least: int | None = None,
    most: int | None = None,
    check: Callable[[Any], str] | None = None,
    secret: bool = False,
) -> _T:
    """Declare one setting. `check` returns what is wrong with a value and what to do, or ''."""
    metadata = {"help": text, "since": since, "choices": choices, "least": least, "most": most, "check": check}
    return field(default=default, metadata=metadata | {"secret": secret})


def _loopback_only(host: str) -> str:
    if host in LOOPBACK:
        return ""
    return (
        f"only loopback ({', '.join(LOOPBACK)}) until there are access rules; put a proxy that checks access in front"
    )


def _mongodb_url(url: str) -> str:
    return "" if url == "" or url.startswith(("mongodb://", "mongodb+srv://")) else "must start with mongodb://"


def _base_url(url: str) -> str:
    if url == "":
        return ""
    if not url.startswith(("http://", "https://")) or "?" in url or "#" in url:
        return "must be an http or https URL without a query, such as https://example.org/fhir"
    return "must not end in a slash" if url.endswith("/") else ""


def _registry(url: str) -> str:
    if url and (not url.startswith(("http://", "https://")) or "?" in url or "#" in url or "@" in url):
        return "must be an http or https URL without user, password and query"
    return ""


def _headers(rows: tuple[str, ...]) -> str:
    names = (row.partition(":")[0].strip() for row in rows)
    good = all(":" in row for row in rows) and all(n.replace("-", "").isalnum() and n.isascii() for n in names)
    return "" if good else "must be headers such as `X-Api-Key: abc`"


def _file(path: str) -> str:
    return "" if path == "" or Path(path).is_file() else "must name a file that can be read"


def _database_prefix(prefix: str) -> str:
    if 1 <= len(prefix) <= 24 and prefix[0].isalpha() and prefix.isascii() and prefix.replace("_", "a").isalnum():
        return ""
    return "must be 1 to 24 ASCII letters, digits and underscores, beginning with a letter"


def _cursor_key(key: str) -> str:
    return (
        "" if key == "" or len(key) >= 32 else "must have at least 32 characters, such as `openssl rand -hex 32` makes"
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one server, checked. Build it with `load` or `from_environment`, never by hand outside tests."""

    # The database
    mongodb_url: str = setting(
        "", "Where MongoDB is; empty starts the embedded engine in `data_dir`.", check=_mongodb_url, secret=True
    )
    mongodb_driver: str = setting(
        "mongojet",
        "The driver of the hot path; everything else is always pymongo.",
        choices=("mongojet", "pymongo"),
    )
    database_prefix: str = setting(
        "fhir", "Databases are called prefix_tenant; two servers on one MongoDB need two.", check=_database_prefix
    )
    data_dir: Path = setting(DATA_DIR, "Where the embedded engine keeps its files.")  # noqa: RUF009 - a Path does not change
    engine: str = setting(
        "",
        "Which embedded engine; empty takes the first found, in this order.",
        choices=("", "mongod", "secantusd-rs", "secantusd-py"),
    )
    engine_cache_mb: int = setting(1024, "Memory the embedded engine may use to cache data, in MB.", least=64)

    # The address
    host: str = setting("127.0.0.1", "The address to listen on.", check=_loopback_only)
    port: int = setting(8000, "The port to listen on; 0 takes a free one.", least=0, most=65535)
    base_url: str = setting(
        "", "The public URL of the FHIR API; empty derives it from each request's Host header.", check=_base_url
    )
    cors_origins: tuple[str, ...] = setting((), "Origins of web pages that may call the API, comma-separated.")

    # Processes
    workers: int = setting(1, "Worker processes; one per core is right.", least=1, most=256)
    shutdown_seconds: int = setting(10, "How long requests in flight may take to finish at a stop.", least=1, most=600)
    metrics_dir: str = setting("", "Where the workers share their counters; `serve` sets it for them.")

    # Limits
    max_body_bytes: int = setting(64 * MEGABYTE, "The largest request body taken, in bytes.", least=1024)
    default_page: int = setting(50, "Entries on a page of search results when _count is not given.", least=1)
    max_page: int = setting(1000, "The largest _count honoured.", least=1, most=10_000)
    references: str = setting(
        "accept",
        "What to do with a reference to what is not on this server: accept it, or check and refuse the resource.",
        choices=("accept", "check"),
    )
    gzip_level: int = setting(1, "Compression of answers: 0 none, 1 fast, 3 smallest.", least=0, most=3)
    cursor_key: str = setting(
        "",
        "Signs the links to next pages; empty makes one and keeps it in the database.",
        check=_cursor_key,
        secret=True,
    )

    # Search parameters
    reindex_grace_seconds: int = setting(
        10, "How long after a change of search parameters no write by the old ones can be under way.", least=1, most=600
    )

    # Import
    import_hosts: tuple[str, ...] = setting((), "Hosts that $import may fetch from, comma-separated; none by default.")
    import_dir: str = setting("", "The folder that $import may read files from; empty allows none.")

    # Packages
    package_dir: str = setting("", "A folder of package archives (.tgz), where dependencies are looked for first.")
    package_registry: str = setting(
        "",
        "The package registry that packages are fetched from by name; empty fetches none.",
        check=_registry,
        secret=True,  # somebody may try one with a password
    )

    # Plugins
    terminology: str = setting("local", "The terminology service, by the name of its entry point.")
    terminology_remote: str = setting(
        "", "A FHIR terminology server to ask about what is not known here; empty asks none.", check=_base_url
    )
    terminology_remote_headers: tuple[str, ...] = setting(
        (),
        "What to send it with each request, as `Name: value`, comma-separated.",
        check=_headers,
        secret=True,
    )
    terminology_remote_token_file: str = setting(
        "", "A file whose content is sent to it as a bearer token; read at the start.", check=_file
    )
    terminology_remote_timeout_ms: int = setting(
        5000, "How long to wait for its answer, in milliseconds.", least=50, most=60_000
    )
    terminology_remote_cache_seconds: int = setting(
        3600, "How long its answers are remembered.", least=0, most=7 * 24 * 3600
    )
    terminology_remote_systems: tuple[str, ...] = setting(
        (),
        "Beginnings of the URLs of code systems and value sets it may be asked about, comma-separated; none means all.",
    )
    terminology_remote_sends: str = setting(
        "codes",
        "What may be sent to it: codes and URLs alone, or also a tenant's own value sets, which it cannot have.",
        choices=("codes", "value-sets"),
    )

    # Logs
    log_level: str = setting("info", "What is logged.", choices=("debug", "info", "warning", "error"))
    log_format: str = setting("json", "JSON lines, or text for people.", choices=("json", "console"))

    # Development
    test_mongodb_url: str = setting(
        "", "The MongoDB the test suite runs on; empty starts an embedded engine.", check=_mongodb_url, secret=True
    )

    @classmethod
    def load(cls, **overrides: object) -> Settings:
        """Return the settings of this process's environment; `overrides` by name (None: not given) win over it."""
        given = {variable(name): _text(value) for name, value in overrides.items() if value is not None}
        return cls.from_environment({**os.environ, **given})

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Return the settings that the `FHIR_*` names of a mapping say.

        Raises SettingsError with every finding: unknown names, values of the wrong type or outside the range.
        """
        known = {variable(row.name): row for row in rows()}
        findings: list[str] = []
        values: dict[str, object] = {}
        for key in sorted(k for k in environ if k.startswith(PREFIX)):
            if key not in known:
                findings.append(_unknown(key, known))
                continue
            try:
                values[known[key].name] = known[key].read(environ[key])
            except ValueError as error:
                findings.append(f"{key}: {error}")
        if not findings:
            settings = cls(**cast(dict[str, Any], values))
            findings = _cross_checks(settings)
        if findings:
            raise SettingsError(findings)
        return settings

    def environment(self) -> dict[str, str]:
        """Return the environment for a child process that shall have exactly these settings."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        if self.metrics_dir:
            inherited["PROMETHEUS_MULTIPROC_DIR"] = self.metrics_dir
        return inherited | {variable(row.name): _text(getattr(self, row.name)) for row in rows()}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list of settings, for the documentation and for reading values."""

    name: str
    type: str
    default: str
    help: str
    since: str
    choices: tuple[str, ...]
    least: int | None
    most: int | None
    check: Callable[[Any], str] | None
    secret: bool

    def read(self, text: str) -> object:
        """Return the value of a text; ValueError says the type wanted and what is wrong. Secrets are never quoted."""
        value = self._convert(text.strip())
        if self.choices and value not in self.choices:
            raise self._wrong(text, f"must be one of {', '.join(c or '(empty)' for c in self.choices)}")
        if isinstance(value, int) and not (self.least or 0) <= value <= (value if self.most is None else self.most):
            top = "" if self.most is None else f" and at most {self.most}"
            raise self._wrong(text, f"must be at least {self.least or 0}{top}")
        if wrong := self.check(value) if self.check else "":
            raise self._wrong(text, wrong)
        return value

    def _convert(self, text: str) -> object:
        match self.type:
            case "int":
                if not text.removeprefix("-").isdecimal():
                    raise self._wrong(text, "must be a whole number")
                return int(text)
            case "list":
                return tuple(part.strip() for part in text.split(",") if part.strip())
            case "path":
                if not text:
                    raise self._wrong(text, "must name a folder")
                return Path(text)
        return text

    def _wrong(self, text: str, what: str) -> ValueError:
        shown = "the value" if self.secret else repr(text[:100])
        return ValueError(f"{shown} ({self.type}) {what}; or leave it out for {self.default or 'empty'}")


def rows() -> tuple[Row, ...]:
    """Return the list of all settings, in the order they are written."""
    hints = get_type_hints(Settings)
    return tuple(_row(entry, hints[entry.name]) for entry in fields(Settings))


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def _row(entry: Field[Any], hint: type) -> Row:
    kind = "list" if get_origin(hint) is tuple else "path" if hint is Path else hint.__name__
    return Row(entry.name, kind, _text(entry.default), **entry.metadata)


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _unknown(key: str, known: Mapping[str, Row]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "see docs/reference/settings.md for the names."
    return f"{key}: no such setting; remove it, or {hint}"


def _cross_checks(settings: Settings) -> list[str]:
    findings = []
    if settings.default_page > settings.max_page:
        findings.append(
            f"FHIR_DEFAULT_PAGE: {settings.default_page} (int) is more than FHIR_MAX_PAGE ({settings.max_page}); "
            "lower the one or raise the other"
        )
    return findings
