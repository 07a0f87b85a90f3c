"""Archives that are broken or mean harm are refused before anything is made of them."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from fhir_server.api import Unprocessable
from terminology.loaders import files as files_module
from terminology.loaders.files import Files
from tests.unit.terminology.loaders.releases import load, zipped


def opened(content: bytes, name: str = "x.zip") -> Files:
    return Files(io.BytesIO(content), name)


@pytest.mark.parametrize("name", ["../x.csv", "/etc/passwd", "a/../../x", "C:\\x", "..\\x", "a/..", "x\0.csv"])
def test_names_that_lead_outside_are_refused(name: str) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name.replace("\0", "?"), "x")
    content = made.getvalue().replace(b"x?.csv", b"x\0.csv")
    with pytest.raises(Unprocessable, match="outside of it"):
        opened(content)


def test_dots_in_names_are_no_harm() -> None:
    assert opened(zipped({"a..b/c..csv": "x"})).names() == ["a..b/c..csv"]


def test_a_bomb_is_known_before_it_goes_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "ALWAYS_ALLOWED", 1000)
    bomb = zipped({"zeros.csv": b"0" * 1_000_000})
    with pytest.raises(Unprocessable, match=r"zeros\.csv unpacks to more than 250 times its size"):
        opened(bomb)
    monkeypatch.setattr(files_module, "MAX_BYTES", 10)
    with pytest.raises(Unprocessable, match="unpacks to more than"):
        opened(zipped({"a": "12345", "b": "123456"}))
    monkeypatch.setattr(files_module, "MAX_FILES", 2)
    with pytest.raises(Unprocessable, match="more than 2 files"):
        opened(zipped({"a": "1", "b": "1", "c": "1"}))


def test_a_size_that_lies_gives_no_more_than_it_says() -> None:
    content = bytearray(zipped({"terms.csv": b"code\n" + b"x" * 5000}))
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<L", 10)
    with (
        pytest.raises(Unprocessable, match=r"terms\.csv: the archive is damaged here"),
        opened(bytes(content)).open("terms.csv") as file,
    ):
        assert len(file.read()) <= 10


def test_a_directory_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "MAX_DIRECTORY", 10)
    with pytest.raises(Unprocessable, match="lists its files in more than"):
        opened(zipped({"a": "1"}))


def test_broken_and_encrypted_archives() -> None:
    whole = zipped({"terms.csv": "code\n" + "x\n" * 5000})
    with pytest.raises(Unprocessable, match="breaks off before the end"):
        opened(whole[:-30])
    with pytest.raises(Unprocessable, match="no whole zip archive"):
        opened(whole[:4] + whole[-22:])
    damaged = bytearray(whole)
    damaged[60:70] = b"\xff" * 10
    files = opened(bytes(damaged))
    with pytest.raises(Unprocessable, match=r"terms\.csv: the archive is damaged here"):
        list(files.lines("terms.csv"))
    secret = bytearray(whole)
    at = secret.rindex(b"PK\x01\x02")
    secret[at + 8] |= 1
    with pytest.raises(Unprocessable, match=r"terms\.csv is encrypted"):
        opened(bytes(secret))


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "MAX_LINE", 100)
    files = opened(b"short\n" + b"x" * 1000, "x.csv")
    with pytest.raises(Unprocessable, match=r"x\.csv, line 2: the line has more than 100 bytes"):
        list(files.lines("x.csv"))


def test_two_files_that_could_be_meant_are_named() -> None:
    twice = zipped({"a/Loinc.csv": "x", "b/Loinc.csv": "x"})
    with pytest.raises(Unprocessable, match=r"2 files that could be LoincTable/Loinc\.csv: a/Loinc\.csv, b/Loinc\.csv"):
        load("loinc", twice, "Loinc_1.0.zip")
