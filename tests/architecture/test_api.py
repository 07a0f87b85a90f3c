"""The published surface is what it says it is."""

from __future__ import annotations

from pkgutil import iter_modules

import fhir_server.api as api


def test_all_is_sorted_and_complete() -> None:
    public = [name for name in vars(api) if not name.startswith("_")]
    modules = {"annotations", *(module.name for module in iter_modules(api.__path__))}
    assert sorted(set(public) - modules) == sorted(api.__all__)
    assert list(api.__all__) == sorted(api.__all__)
