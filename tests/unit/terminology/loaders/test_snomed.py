"""SNOMED CT: a snapshot of our own, in Release Format 2."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fhir_server.api import InvalidRequest, Unprocessable
from terminology.loaders import rf2
from terminology.loaders.release import Asked
from tests.unit.terminology.loaders.releases import (
    CONCEPT,
    CONCRETE,
    DEPENDENCY,
    DESCRIPTION,
    LANGUAGE,
    RELATIONSHIP,
    SIMPLE,
    by_code,
    load,
    tabbed,
    values,
    zipped,
)

CORE, EXTENSION = "900000000000207008", "99000009107"
PRIMITIVE, DEFINED = "900000000000074008", "900000000000073002"
FSN, SYNONYM, DEFINITION = "900000000000003001", "900000000000013009", "900000000000550004"
US, GB, NORSE = "900000000000509007", "900000000000508004", "99000009104"
PREFERRED, ACCEPTABLE = "900000000000548007", "900000000000549004"
IS_A, SITE, INFERRED, STATED = "116680003", "99100009100", "900000000000011006", "900000000000010007"
ROOT, SPARK, BIG, GONE = "138875005", "99200009100", "99300009100", "99400009100"
FOLDER = "SnomedCT_Ours/Snapshot"
ENDING = "OURS_20300131.txt"


def concept(code: str, active: str = "1", status: str = PRIMITIVE, module: str = CORE) -> Sequence[str]:
    return code, "20300131", active, module, status


def named(number: int, code: str, term: str, kind: str = SYNONYM, language: str = "en", on: str = "1") -> Sequence[str]:
    return f"9{number}", "20300131", on, CORE, code, language, kind, term, "900000000000448009"


def related(source: str, target: str, kind: str = IS_A, how: str = INFERRED, on: str = "1") -> Sequence[str]:
    return "9", "20300131", on, CORE, source, target, "0", kind, how, "900000000000451002"


def member(refset: str, target: str, *more: str, on: str = "1", module: str = CORE) -> Sequence[str]:
    return "80000000-0000-0000-0000-000000000000", "20300131", on, module, refset, target, *more


MEMBERS: dict[str, str | bytes] = {
    f"{FOLDER}/Terminology/sct2_Concept_Snapshot_{ENDING}": tabbed(
        CONCEPT,
        concept(ROOT),
        concept(SPARK, status=DEFINED),
        concept(BIG, module=EXTENSION),
        concept(GONE, active="0"),
        concept(SITE),
    ),
    f"{FOLDER}/Terminology/sct2_Description_Snapshot-en_{ENDING}": tabbed(
        DESCRIPTION,
        named(1, ROOT, "SNOMED CT Concept (SNOMED RT+CTV3)", FSN),
        named(2, SPARK, "Spark (finding)", FSN),
        named(3, SPARK, "Spark colour"),
        named(4, SPARK, "Spark color"),
        named(5, SPARK, "Sprak", on="0"),
        named(6, BIG, "Big spark (finding)", FSN),
        named(7, BIG, "Big spark"),
        named(8, GONE, "Gone"),
    ),
    f"{FOLDER}/Terminology/sct2_Description_Snapshot-no_{ENDING}": tabbed(
        DESCRIPTION, named(11, SPARK, "Gnist", language="no")
    ),
    f"{FOLDER}/Terminology/sct2_TextDefinition_Snapshot-en_{ENDING}": tabbed(
        DESCRIPTION, named(21, SPARK, "What sparks when it is struck.", DEFINITION)
    ),
    f"{FOLDER}/Terminology/sct2_Relationship_Snapshot_{ENDING}": tabbed(
        RELATIONSHIP,
        related(SPARK, ROOT),
        related(BIG, SPARK),
        related(BIG, ROOT, on="0"),
        related(BIG, GONE, how=STATED),
        related(BIG, ROOT, SITE),
        related(SITE, ROOT),
    ),
    f"{FOLDER}/Terminology/sct2_RelationshipConcreteValues_Snapshot_{ENDING}": tabbed(
        CONCRETE, related(BIG, "#2.50", SITE)
    ),
    f"{FOLDER}/Refset/Language/der2_cRefset_LanguageSnapshot-en_{ENDING}": tabbed(
        LANGUAGE,
        member(US, "94", PREFERRED),
        member(GB, "93", PREFERRED),
        member(GB, "94", ACCEPTABLE),
        member(US, "97", PREFERRED),
        member(GB, "97", PREFERRED),
        member(NORSE, "911", PREFERRED),
    ),
    f"{FOLDER}/Refset/Content/der2_Refset_SimpleSnapshot_{ENDING}": tabbed(
        SIMPLE, member("99500009100", BIG), member("99500009100", SPARK, on="0")
    ),
    f"{FOLDER}/Refset/Metadata/der2_ssRefset_ModuleDependencySnapshot_{ENDING}": tabbed(
        DEPENDENCY,
        member("900000000000534007", "900000000000012004", "20300131", "20300101", module=CORE),
        member("900000000000534007", CORE, "20300131", "20300101", module=EXTENSION),
    ),
    f"SnomedCT_Ours/Full/Terminology/sct2_Concept_Full_{ENDING}": "not read",
}


def test_the_edition_and_its_date_are_the_version() -> None:
    head, found, _ = load("snomed-ct", zipped(MEMBERS), "ours.zip")
    assert head["url"] == "http://snomed.info/sct"
    assert head["version"] == f"http://snomed.info/sct/{EXTENSION}/version/20300131"
    assert {row["code"] for row in head["property"]} == {
        "inactive", "sufficientlyDefined", "moduleId", "effectiveTime", "memberOf", SITE,
    }  # fmt: skip
    assert [one.code for one in found] == [ROOT, SPARK, BIG, GONE, SITE]


def test_a_concept_has_its_relationships_and_reference_sets() -> None:
    _, found, _ = load("snomed-ct", zipped(MEMBERS), "ours.zip")
    big = by_code(found)[BIG]
    assert big.parents == (SPARK,)
    assert values(big, SITE) == [ROOT, "2.50"]
    assert values(big, "memberOf") == ["99500009100"]
    assert (values(big, "moduleId"), values(big, "sufficientlyDefined")) == ([EXTENSION], [False])
    spark = by_code(found)[SPARK]
    assert (spark.definition, values(spark, "sufficientlyDefined")) == ("What sparks when it is struck.", [True])
    assert values(spark, "memberOf") == []
    assert by_code(found)[GONE].inactive
    assert not big.inactive


@pytest.mark.parametrize(
    ("languages", "display"),
    [((), "Spark color"), (("en-GB",), "Spark colour"), (("no",), "Gnist"), (("fi",), "Spark color")],
)
def test_the_display_is_the_preferred_term_of_the_language(languages: tuple[str, ...], display: str) -> None:
    _, found, _ = load("snomed-ct", zipped(MEMBERS), "ours.zip", Asked(languages=languages))
    assert by_code(found)[SPARK].display == display
    assert by_code(found)[ROOT].display == "SNOMED CT Concept (SNOMED RT+CTV3)"


def test_every_active_name_is_a_designation() -> None:
    _, found, _ = load("snomed-ct", zipped(MEMBERS), "ours.zip")
    names = {(row["language"], row["use"]["code"], row["value"]) for row in by_code(found)[SPARK].designations}
    assert names == {
        ("en", FSN, "Spark (finding)"),
        ("en-GB", SYNONYM, "Spark colour"),
        ("en-US", SYNONYM, "Spark color"),
        ("no", SYNONYM, "Gnist"),
    }


def test_an_edition_that_cannot_be_told_is_asked_for() -> None:
    without = {name: text for name, text in MEMBERS.items() if "ModuleDependency" not in name}
    with pytest.raises(Unprocessable, match="give the parameter module"):
        load("snomed-ct", zipped(without), "ours.zip")
    head, _, _ = load("snomed-ct", zipped(without), "ours.zip", Asked(module="99000009107"))
    assert head["version"].startswith("http://snomed.info/sct/99000009107/version/")
    with pytest.raises(InvalidRequest, match="concept id"):
        load("snomed-ct", zipped(without), "ours.zip", Asked(module="../x"))


MODEL, MAP, OTHER_MAP = "900000000000012004", "449080006", "99600009102"


@pytest.mark.parametrize(
    ("pairs", "edition"),
    [
        ([(CORE, MODEL), (MAP, CORE)], CORE),
        ([(CORE, MODEL), ("449081005", CORE)], "449081005"),
        ([(EXTENSION, CORE)], EXTENSION),
        ([(EXTENSION, CORE), (OTHER_MAP, EXTENSION)], EXTENSION),
        ([("99700009109", EXTENSION), (EXTENSION, CORE), ("99700009109", OTHER_MAP)], EXTENSION),
        ([("99700009109", OTHER_MAP), ("99700009109", "99800009106")], "99700009109"),
        ([("99700009109", CORE), ("99800009106", CORE)], ""),
    ],
)
def test_the_edition_is_told_by_its_modules(
    monkeypatch: pytest.MonkeyPatch, pairs: list[tuple[str, str]], edition: str
) -> None:
    monkeypatch.setattr(rf2, "FEW", 0)
    name = f"{FOLDER}/Refset/Metadata/der2_ssRefset_ModuleDependencySnapshot_{ENDING}"
    rows = [member("900000000000534007", needed, "20300131", "20300131", module=module) for module, needed in pairs]
    content = zipped({**MEMBERS, name: tabbed(DEPENDENCY, *rows)})
    if edition:
        assert load("snomed-ct", content, "ours.zip")[0]["version"].split("/")[4] == edition
    else:
        with pytest.raises(Unprocessable, match="edition of 99700009109, 99800009106: say which"):
            load("snomed-ct", content, "ours.zip")


def test_another_layout_is_refused_by_its_header() -> None:
    name = f"{FOLDER}/Terminology/sct2_Concept_Snapshot_{ENDING}"
    with pytest.raises(Unprocessable, match=r"sct2_Concept_Snapshot_OURS_20300131\.txt, line 1: the header is not id"):
        load("snomed-ct", zipped({**MEMBERS, name: tabbed(CONCEPT[:4])}), "ours.zip")


def test_a_parent_that_is_not_there_is_an_extension_without_its_edition() -> None:
    name = f"{FOLDER}/Terminology/sct2_Concept_Snapshot_{ENDING}"
    only = tabbed(CONCEPT, concept(BIG, module=EXTENSION))
    with pytest.raises(Unprocessable) as refused:
        load("snomed-ct", zipped({**MEMBERS, name: only}), "ours.zip")
    assert (
        refused.value.issues[0].diagnostics == f"{name}, line 2: the parent '{SPARK}' of '{BIG}' is not in the release."
    )
