"""Archives as strangers send them: read whole, or refused with what is wrong; never half, and never for long."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from fhir_server.api.errors import Failure, Malformed, TooLarge, Unprocessable
from fhir_server.packaging.archive import MEGABYTE, Bounds, files, keep
from fhir_server.packaging.tar import MAX_DESCRIPTION
from tests.archives import tgz

SMALL = Bounds(packed=MEGABYTE, unpacked=4 * MEGABYTE, entries=50, file=64 * 1024, ratio=100)


def read(tmp_path: Path, raw: bytes, bounds: Bounds = SMALL) -> dict[str, bytes]:
    path = tmp_path / "x.tgz"
    path.write_bytes(raw)
    return {file.path: file.raw for file in files(path, lambda name: name.endswith(".json"), bounds)}


def refused(tmp_path: Path, raw: bytes, bounds: Bounds = SMALL) -> Failure:
    with pytest.raises(Failure) as caught:
        read(tmp_path, raw, bounds)
    return caught.value


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, target, size
    return made


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar_is_read(tmp_path: Path, form: int) -> None:
    long, deep = (
        f"package/{'n' * 90}/{'m' * 80}.json",
        "package/übung.json" if form != tarfile.USTAR_FORMAT else "b.json",
    )
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", format=form) as tar:
        tar.addfile(entry("package", tarfile.DIRTYPE))
        for name, raw in (("./package/a.json", b"x" * 512), (long, b"y" * 513), (deep, b""), ("package/z.txt", b"z")):
            made = entry(name, size=len(raw))
            made.mtime = 1.5 if form == tarfile.PAX_FORMAT else 1
            tar.addfile(made, io.BytesIO(raw))
    assert read(tmp_path, target.getvalue()) == {"package/a.json": b"x" * 512, long: b"y" * 513, deep: b""}


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "is empty"),
        (gzip.compress(b""), "is empty"),
        (b"\x1f\x8b", "no gzip file|breaks off"),
        (b"PK\x03\x04 zip", "no gzip file"),
        (gzip.compress(b"no tar" * 200), "no tar archive"),
        (gzip.compress(b"x" * 100), "breaks off"),
        (gzip.compress(b"\xff" * 512), "no tar archive"),
    ],
)
def test_what_is_no_archive_is_malformed(tmp_path: Path, raw: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read(tmp_path, raw)


def test_an_archive_that_is_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    raw = tgz(*((f"package/{n}.json", os.urandom(400)) for n in range(5)))
    assert len(read(tmp_path, raw)) == 5
    for length in range(0, len(raw) - 1, 37):
        assert isinstance(refused(tmp_path, raw[:length]), Malformed)


def test_a_damaged_byte_is_found(tmp_path: Path) -> None:
    whole = gzip.decompress(tgz(*((f"package/{n}.json", b"{}") for n in range(5))))
    for place in (1024, 1024 + 130, 1024 + 150):  # the second header: its name, its size, its checksum
        damaged = whole[:place] + b"9" + whole[place + 1 :]
        assert isinstance(refused(tmp_path, gzip.compress(damaged)), Malformed)
    packed = tgz(("package/a.json", b"{}" * 9))
    broken = packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:]  # the checksum of gzip
    assert isinstance(refused(tmp_path, broken), Malformed)


@pytest.mark.parametrize(
    "made",
    [
        entry("/etc/passwd"),
        entry("../outside.json"),
        entry("package/../../outside.json"),
        entry("package//a.json"),
        entry("package/./a.json/.."),
        entry("package\\a.json"),
        entry("C:/a.json"),
        entry("package/a\nb.json"),
        entry("package/" + "n" * 2000),
        entry("package/link.json", tarfile.SYMTYPE, "/etc/passwd"),
        entry("package/link.json", tarfile.LNKTYPE, "package/a.json"),
        entry("package/pipe", tarfile.FIFOTYPE),
        entry("package/disk", tarfile.BLKTYPE),
        entry("package/tty", tarfile.CHRTYPE),
        entry("package/sparse", tarfile.GNUTYPE_SPARSE),
        entry("package/a.json"),
    ],
    ids=lambda made: f"{made.name[:20]!r} {made.type!r}",
)
def test_entries_that_no_package_has_are_refused_by_name(tmp_path: Path, made: tarfile.TarInfo) -> None:
    failure = refused(tmp_path, tgz(("package/a.json", b"{}"), made))
    assert isinstance(failure, Unprocessable)
    assert failure.issues[0].location == made.name[:200].encode("unicode_escape").decode()
    assert failure.issues[0].location in failure.issues[0].diagnostics


def test_bombs_do_not_go_off(tmp_path: Path) -> None:
    began = time.perf_counter()
    wide = tgz(entry("package/a.bin", size=300 * MEGABYTE))
    assert len(wide) < 2 * MEGABYTE
    assert "100 times its size" in str(refused(tmp_path, wide, Bounds(ratio=100)))
    assert "unpacks to more than 4194304" in str(refused(tmp_path, tgz(entry("package/a.bin", size=5 * MEGABYTE))))
    many = tgz(*(entry(f"package/{n}") for n in range(60)))
    assert "more than 50 entries" in str(refused(tmp_path, many))
    large = refused(tmp_path, tgz(entry("package/a.json", size=65 * 1024)))
    assert isinstance(large, TooLarge)
    assert large.issues[0].location == "package/a.json"
    assert read(tmp_path, tgz(entry("package/a.bin", size=65 * 1024), ("package/b.json", b"1"))) == {
        "package/b.json": b"1"
    }
    assert time.perf_counter() - began < 10


def test_a_description_that_does_not_end_is_not_read(tmp_path: Path) -> None:
    made = entry("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=MAX_DESCRIPTION + 1)
    assert "longer than any package needs" in str(refused(tmp_path, tgz(made)))
    for records in (b"9999999 path=x\n", b"5 a=b", b"-4 x=\n", b"0 path=\n", b"18 size=-1\n", b"x"):
        header = entry("./PaxHeaders/a", b"x")
        raw = gzip.decompress(tgz(header))
        size = f"{len(records):011o}".encode()
        block = bytearray(raw[:512])
        block[124:136] = size + b"\0"
        block[148:156] = b" " * 8
        block[148:156] = f"{sum(block):06o}\0 ".encode()
        body = records.ljust(-(-len(records) // 512) * 512, b"\0")
        assert isinstance(refused(tmp_path, gzip.compress(bytes(block) + body + raw[512:])), Malformed), records


async def _chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_an_archive_is_kept_as_it_comes_with_its_checksum(tmp_path: Path) -> None:
    kept = await keep(_chunks(b"ab", b"", b"c"), tmp_path / "a")
    assert (kept.path.read_bytes(), kept.sha256) == (b"abc", sha256(b"abc").hexdigest())
    with pytest.raises(TooLarge, match="more than 4 bytes"):
        await keep(_chunks(b"abc", b"de"), tmp_path / "b", Bounds(packed=4))


def test_whatever_is_changed_in_an_archive_it_is_read_or_refused(tmp_path: Path) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("package/package.json", f"package/{'é' * 60}/{'m' * 90}.json"):
            made = entry(name, size=2)
            made.mtime = 1.5
            tar.addfile(made, io.BytesIO(b"{}"))
    random, whole, outcomes = Random(7), target.getvalue(), set()
    for _ in range(600):
        raw = bytearray(whole)
        for _ in range(random.randint(1, 4)):
            raw[random.randrange(5 * 512)] = random.choice((0, 0x20, 0x2F, 0x37, 0x38, 0xFF, random.randrange(256)))
        for start in range(0, len(raw) - 512, 512):
            if raw[start + 257 : start + 262] == b"ustar":  # mostly, only the checksum would be found wrong
                raw[start + 148 : start + 156] = b" " * 8
                raw[start + 148 : start + 156] = f"{sum(raw[start : start + 512]):06o}\0 ".encode()
        try:
            read(tmp_path, gzip.compress(bytes(raw), 1))
            outcomes.add("read")
        except Failure as failure:
            outcomes.add(type(failure).__name__)
    assert {"read", "Malformed", "Unprocessable"} <= outcomes
