"""Is this the name of the code? In the languages asked for, else in the code system's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from terminology.issues import Finding
from terminology.languages import Languages, Name, names
from terminology.statuses import STANDARDS_STATUS, extension_value
from terminology.valueset import Entry

OUTDATED = ("withdrawn", "deprecated")


def check_display(entry: Entry, given: str, languages: Languages, where: str, is_lenient: bool) -> Iterator[Finding]:
    """Yield what is wrong with a name that was given for a concept; letters may be of any case."""
    known = [name for name in names(entry) if name.value]
    if not known:
        return
    valid = [n for n in known if not _is_outdated(n)]
    fitting = _in_language(valid, languages)
    if any(_is_same(n, given) for n in fitting):
        return
    severity = "warning" if is_lenient else "error"
    said = f"{entry.system}#{entry.code}"
    if fitting and any(_is_same(n, given) for n in known if _is_outdated(n)):
        yield _outdated(entry, given, fitting, where)
    elif fitting:
        text = _wrong(given, said, fitting, languages)
        yield Finding(severity, "invalid", "invalid-display", text, where, _wrong_name(given, fitting))
    elif any(_is_same(n, given) for n in valid):
        text = (
            f"There are no valid display names found for the code {said} for language(s) '{languages.text}'. The "
            f"display is '{given}' which is a valid display for the default language"
        )
        yield Finding(
            "information", "invalid", "invalid-display", text, where, "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_OK"
        )
    else:
        text = (
            f"Wrong Display Name '{given}' for {said}. There are no valid display names found for language(s) "
            f"'{languages.text}'. Default display is '{entry.display}'"
        )
        yield Finding(severity, "invalid", "invalid-display", text, where, "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_ERR")


def _in_language(known: Sequence[Name], languages: Languages) -> list[Name]:
    """Return the names in the languages wanted; all of them where none is, and those in no language always."""
    if not languages or "*" in languages.tags:
        return list(known)
    return [n for n in known if not n.language or languages.rank(n.language) is not None]


def _is_same(name: Name, given: str) -> bool:
    return name.value.casefold() == given.casefold()


def _is_outdated(name: Name) -> bool:
    rows = (name.designation or {}).get("extension", ())
    return extension_value(rows, STANDARDS_STATUS) in OUTDATED


def _outdated(entry: Entry, given: str, fitting: Sequence[Name], where: str) -> Finding:
    right = ", ".join(f'"{n.value}"' for n in fitting)
    text = (
        f"'{given}' is no longer considered a correct display for code '{entry.code}' (status = deprecated). The "
        f"correct display is one of {right}."
    )
    return Finding("warning", "invalid", "display-comment", text, where, "INACTIVE_DISPLAY_FOUND", is_said=False)


def _wrong_name(given: str, fitting: Sequence[Name]) -> str:
    """Return what tools know the message by; spaces alone have one of their own."""
    spaced = " ".join(given.split()).casefold()
    only_spaces = any(" ".join(n.value.split()).casefold() == spaced for n in fitting)
    return f"Display_Name_{'WS_' if only_spaces else ''}for__should_be_one_of__instead_of"


def _wrong(given: str, said: str, fitting: Sequence[Name], languages: Languages) -> str:
    choices = [f"'{n.value}' ({n.language})" if n.language else f"'{n.value}'" for n in fitting]
    if len(choices) == 1:
        right = f"Valid display is {choices[0]}"
    else:
        right = f"Valid display is one of {len(choices)} choices: {', '.join(choices[:-1])} or {choices[-1]}"
    return f"Wrong Display Name '{given}' for {said}. {right} (for the language(s) '{languages.text or '--'}')"
