"""JSON Patch: a list of operations on the JSON of a resource. https://www.rfc-editor.org/rfc/rfc6902

https://hl7.org/fhir/R4/http.html#patch. What FHIR forbids in the outcome (an empty array, a null) is for validation to
find; here the RFC is followed to the letter.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.fhir.outcomes import Issue, Json
from fhir_server.fhir.patch.errors import PatchError, PatchTestFailed, Refused, Unmet
from fhir_server.fhir.patch.trees import copy_of, is_same, weight_of

# A patch of few bytes that copies the resource into itself doubles it each time; this many characters are enough.
MAX_COPIED = 1_000_000

_BAD_ESCAPE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]*")


def apply_json_patch(resource: Json, operations: list[Any]) -> Json:
    """Return the resource as the operations leave it: all of them or none.

    Raises PatchTestFailed when a `test` does not hold, PatchError for anything else that is wrong.
    """
    if not isinstance(operations, list):
        raise PatchError(Issue("structure", 'a JSON Patch is an array of operations, as in [{"op": "remove", ...}]'))
    document = _Document(copy_of(resource))
    for number, operation in enumerate(operations):
        try:
            document.apply(operation)
        except Refused as refused:
            issue = Issue(refused.code, refused.diagnostics, location=f"[{number}]{refused.at}")
            failure = PatchTestFailed if isinstance(refused, Unmet) else PatchError
            raise failure(issue) from None
    return document.root


class _Pointer(NamedTuple):
    """A JSON Pointer (RFC 6901) and the member of the operation that holds it, `/path` or `/from`."""

    at: str
    text: str
    tokens: tuple[str, ...]


class _Document:
    """The copy that is being patched."""

    def __init__(self, root: Json) -> None:
        self.root = root
        self.copied = 0

    def apply(self, operation: Any) -> None:
        if not isinstance(operation, dict):
            raise Refused("structure", "an operation is an object with op and path")
        name = _member(operation, "op")
        if not isinstance(name, str) or name not in _OPERATIONS:
            raise Refused("value", f"unknown operation: use one of {', '.join(_OPERATIONS)}", "/op")
        path = _pointer(operation, "path")
        _OPERATIONS[name](self, operation, path)

    def add(self, operation: Json, path: _Pointer) -> None:
        self._put(path, _member(operation, "value"), "/value")

    def remove(self, _operation: Json, path: _Pointer) -> None:
        self._take(path)

    def replace(self, operation: Json, path: _Pointer) -> None:
        value = _member(operation, "value")
        if not path.tokens:
            self._put(path, value, "/value")
            return
        parent = self._container(path)
        key = _key(parent, path)
        parent[key] = _placed(value, path, "/value")

    def move(self, operation: Json, path: _Pointer) -> None:
        source = _pointer(operation, "from")
        if len(path.tokens) > len(source.tokens) and path.tokens[: len(source.tokens)] == source.tokens:
            raise Refused("invalid", "a value cannot be moved into itself: copy it, or choose another path", "/path")
        value = self._value(source)
        if path.tokens != source.tokens:
            self._take(source)
            self._put(path, value, "/from")

    def copy(self, operation: Json, path: _Pointer) -> None:
        source = _pointer(operation, "from")
        value = self._value(source)
        self.copied += weight_of(value)
        if self.copied > MAX_COPIED:
            raise Refused("too-costly", f"the patch copies more than {MAX_COPIED} characters: update instead", "/from")
        self._put(path, value, "/from")

    def test(self, operation: Json, path: _Pointer) -> None:
        expected = _member(operation, "value")
        if not is_same(self._value(path), expected):
            raise Unmet(
                "conflict",
                f"the test of {_shown(path)} does not hold: read the resource again and make the patch anew",
                "/value",
            )

    def _container(self, pointer: _Pointer) -> Any:
        """Return what holds the place that the pointer names."""
        return self._walk(pointer, pointer.tokens[:-1])

    def _value(self, pointer: _Pointer) -> Any:
        return self._walk(pointer, pointer.tokens)

    def _walk(self, pointer: _Pointer, tokens: tuple[str, ...]) -> Any:
        value: Any = self.root
        for depth in range(len(tokens)):
            value = value[_key(value, pointer, depth)]
        return value

    def _put(self, path: _Pointer, value: Any, at: str) -> None:
        placed = _placed(value, path, at)
        if not path.tokens:
            if not isinstance(placed, dict):
                raise Refused("value", "the whole resource can be replaced by an object only", at)
            self.root = placed
            return
        parent = self._container(path)
        if not isinstance(parent, list):
            parent[_key(parent, path, is_new=True)] = placed
        elif path.tokens[-1] == "-":
            parent.append(placed)
        else:
            parent.insert(_key(parent, path, is_new=True), placed)

    def _take(self, pointer: _Pointer) -> None:
        if not pointer.tokens:
            raise Refused("invalid", "the resource itself cannot be removed by a patch: delete it", pointer.at)
        parent = self._container(pointer)
        del parent[_key(parent, pointer)]


_OPERATIONS = {
    "add": _Document.add,
    "remove": _Document.remove,
    "replace": _Document.replace,
    "move": _Document.move,
    "copy": _Document.copy,
    "test": _Document.test,
}


def _member(operation: Json, name: str) -> Any:
    if name not in operation:
        raise Refused("required", f"the operation has no {name}", f"/{name}")
    return operation[name]


def _pointer(operation: Json, name: str) -> _Pointer:
    at = f"/{name}"
    text = _member(operation, name)
    if not isinstance(text, str):
        raise Refused("value", f"{name} is a string that holds a JSON Pointer, as in /name/0/family", at)
    if text and not text.startswith("/"):
        raise Refused("value", f"{name} is a JSON Pointer and starts with /, as in /name/0/family", at)
    if _BAD_ESCAPE.search(text):
        raise Refused("value", f"in {name} write ~ as ~0 and / as ~1; any other ~ has no meaning", at)
    tokens = tuple(token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:])
    return _Pointer(at, text, tokens)


def _key(container: Any, pointer: _Pointer, depth: int = -1, *, is_new: bool = False) -> Any:
    """Return the key or index in the container that the pointer's token at that depth names.

    With `is_new` it need not exist yet: any name in an object, in an array the index after the last one.
    """
    token = pointer.tokens[depth]
    if isinstance(container, list):
        return _index(len(container) + is_new, token, pointer)
    if not isinstance(container, dict):
        raise Refused("not-found", f"{_shown(pointer)} leads through a value that has no members", pointer.at)
    if not is_new and token not in container:
        raise Refused("not-found", f"{_shown(pointer)} does not exist: add what it goes through first", pointer.at)
    return token


def _index(count: int, token: str, pointer: _Pointer) -> int:
    if token == "-":
        raise Refused("not-found", f"{_shown(pointer)}: - is the place after the last, only add can use it", pointer.at)
    if not _INDEX.fullmatch(token):
        raise Refused("value", f"{_shown(pointer)}: an array takes an index such as 0 or 12 here", pointer.at)
    if len(token) > 9 or int(token) >= count:
        raise Refused("not-found", f"{_shown(pointer)}: the index is past the end of the array", pointer.at)
    return int(token)


def _placed(value: Any, path: _Pointer, at: str) -> Any:
    try:
        return copy_of(value, MAX_DEPTH - len(path.tokens))
    except Refused as refused:
        raise Refused(refused.code, refused.diagnostics, at) from None


def _shown(pointer: _Pointer) -> str:
    return (pointer.text[:100] + "…" if len(pointer.text) > 100 else pointer.text) or "the whole resource"
