"""What two element definitions must agree in, and how they differ. https://hl7.org/fhir/R4/elementdefinition.html"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Json = dict[str, Any]

_VALUES = ("fixed", "pattern", "minValue", "maxValue", "maxLength")


def facts(element: Json) -> Json:
    """Return what an element definition rules, in a form that does not depend on the order of names and defaults."""
    found: Json = {name: element.get(name) for name in ("path", "sliceName", "min", "max")}
    found |= {name: element.get(name, False) for name in ("mustSupport", "isModifier")}
    found |= {name: value for name, value in element.items() if name.startswith(_VALUES)}
    # Newer tools write the structure before the #, older ones do not.
    found["contentReference"] = element.get("contentReference", "").rpartition("#")[2]
    found["type"] = [
        (row["code"], sorted(row.get("profile", ())), sorted(row.get("targetProfile", ())))
        for row in element.get("type", ())
    ]
    found["constraint"] = sorted(row["key"] for row in element.get("constraint", ()))
    binding = element.get("binding", {})
    found["binding"] = (binding.get("strength"), binding.get("valueSet"))
    slicing = element.get("slicing")
    found["slicing"] = slicing and (
        [(row["type"], row["path"]) for row in slicing.get("discriminator", ())],
        slicing["rules"],
        slicing.get("ordered", False),
    )
    return found


def differing(made: Json, published: Json, keys_of_type: Callable[[Json], set[str]]) -> list[str]:
    """Return the names of the facts that differ.

    Newer tools repeat the invariants of its type at an element: they hold there anyway, so they may be missing.
    """
    ours, theirs = facts(made), facts(published)
    if set(theirs["constraint"]) - keys_of_type(published) <= set(ours["constraint"]) <= set(theirs["constraint"]):
        ours["constraint"] = theirs["constraint"]
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def compare(
    made: Sequence[Json], published: Sequence[Json], keys_of_type: Callable[[Json], set[str]]
) -> dict[str, list[str]]:
    """Return {element id: facts that differ}; `id` where one has no such element, `order` under the id that moved."""
    ours, theirs = ({element["id"]: element for element in elements} for elements in (made, published))
    found = {identity: ["id"] for identity in ours.keys() ^ theirs.keys()}
    both = [identity for identity in ours if identity in theirs]
    for identity, other in zip(both, (i for i in theirs if i in ours), strict=True):
        if identity != other:
            found[identity] = ["order"]
            break
        if names := differing(ours[identity], theirs[identity], keys_of_type):
            found[identity] = names
    return found
