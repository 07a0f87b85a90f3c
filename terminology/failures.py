"""What goes wrong inside the terminology service, before it is known who asked.

TerminologyError
├── Unknown       a value set or code system that nobody has
├── Contentless   a code system whose codes the server was not given
├── Unsupported   a filter or a meaning that this service does not know
├── Broken        a resource that contradicts itself; `expression` says where in it
├── Unreachable   the terminology server that would know does not answer
├── TooMany       more codes than were asked for
└── TooHard       more work than one request may make
"""

from __future__ import annotations

from fhir_server.api import Failure, NotFound, NotSupported, TooCostly, Unavailable, Unprocessable


class TerminologyError(Exception):
    """A question about codes that has no answer; `failure` is what a caller of the server gets to see."""

    def failure(self) -> Failure:
        """Return the failure as it crosses into the server."""
        return Unprocessable(str(self))


class Unknown(TerminologyError):
    """Nobody knows this canonical URL, or nobody has this version of it; `versions` are those there are."""

    def __init__(self, kind: str, url: str, version: str = "", versions: tuple[str, ...] = ()) -> None:
        self.kind, self.url, self.version, self.versions = kind, url, version, versions
        known = f"; there is {', '.join(versions)}" if versions else ""
        super().__init__(f"The {kind} {canonical(url, version)} is not known here{known}.")

    def failure(self) -> Failure:
        """Return not-found."""
        return NotFound(str(self))


def is_missing(error: BaseException | None) -> bool:
    """Whether a question failed for want of a resource or of its codes, which another server may have.

    A supplement that is named must be used: an answer of a server that knows nothing of it would be wrong.
    """
    return (isinstance(error, Unknown) and error.kind != "supplement") or isinstance(error, Contentless)


class Contentless(TerminologyError):
    """The code system is known by name alone."""

    def __init__(self, url: str, version: str = "") -> None:
        self.url, self.version = url, version
        super().__init__(
            f"The codes of {canonical(url, version)} are not on this server (content is not-present); load the code "
            "system, or list the codes in the value set."
        )

    def failure(self) -> Failure:
        """Return not-supported."""
        return NotSupported(str(self))


class Unsupported(TerminologyError):
    """The value set asks for something that this service does not know how to do."""

    def failure(self) -> Failure:
        """Return not-supported."""
        return NotSupported(str(self))


class Broken(TerminologyError):
    """The value set or code system is wrong in itself."""

    def __init__(self, text: str, expression: str = "", reason: str = "") -> None:
        self.expression, self.reason = expression, reason
        super().__init__(text)

    def failure(self) -> Failure:
        """Return invalid, with the place."""
        return Unprocessable(str(self), expression=self.expression)


class Unreachable(TerminologyError):
    """The terminology server of the settings gave no answer that can be used; `what` says how it failed."""

    def __init__(self, what: str) -> None:
        super().__init__(f"It is not known here, and the terminology server that is asked then {what}.")

    def failure(self) -> Failure:
        """Return transient: to ask again later may help."""
        return Unavailable(str(self), retry_after=10)


class TooMany(TerminologyError):
    """The expansion is larger than the limit."""

    def __init__(self, url: str, limit: int) -> None:
        self.url, self.limit = url, limit
        super().__init__(f"The value set {url} has more than {limit} codes. Narrow it with a filter, or ask for pages.")

    def failure(self) -> Failure:
        """Return too-costly."""
        return TooCostly(str(self))


class TooHard(TerminologyError):
    """Answering would take seconds of work: too many includes, excludes and imports over too many codes."""

    def __init__(self, url: str) -> None:
        super().__init__(f"The value set {url or 'sent'} takes too much work: it combines too many codes too often.")

    def failure(self) -> Failure:
        """Return too-costly."""
        return TooCostly(str(self))


def canonical(url: str, version: str = "") -> str:
    """Return `url|version`, or the URL where there is no version."""
    return f"{url}|{version}" if version else url
