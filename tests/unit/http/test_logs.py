"""Logs: one line a request, no health data, no forged lines."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator

import pytest
import structlog

from fhir_server.http.logs import configure_logging, request_id, request_log
from fhir_server.settings import Settings

Lines = Callable[[], list[str]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield lambda: capsys.readouterr().err.splitlines()
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def a_request(settings: Settings, **more: str) -> None:
    values = {"method": "GET", "route": "/{type}/{id}", "request_id": "r1", "tenant": "default"} | more
    request_log(settings)(status=200, seconds=0.00123, **values)


def test_a_request_is_one_json_line(lines: Lines) -> None:
    configure_logging(Settings())
    a_request(Settings())
    (line,) = lines()
    row = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row.pop("timestamp"))
    assert row == {
        "event": "request",
        "level": "info",
        "method": "GET",
        "route": "/{type}/{id}",
        "status": 200,
        "ms": 1.23,
        "request_id": "r1",
        "tenant": "default",
    }


def test_a_request_is_one_line_of_text_for_people(lines: Lines) -> None:
    settings = Settings(log_format="console")
    configure_logging(settings)
    a_request(settings)
    (line,) = lines()
    assert "method=GET ms=1.23 request_id=r1 route=/{type}/{id} status=200 tenant=default" in line


@pytest.mark.parametrize("level", ["warning", "error"])
def test_above_info_a_request_writes_nothing(lines: Lines, level: str) -> None:
    configure_logging(Settings(log_level=level))
    a_request(Settings(log_level=level))
    assert lines() == []


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_text_cannot_begin_a_line_of_its_own(lines: Lines, form: str) -> None:
    settings = Settings(log_format=form)
    configure_logging(settings)
    a_request(settings, tenant="a\r\nforged\u2028\x1b[2J")
    structlog.get_logger().warning("said", by="a\nforged\x85")
    written = lines()
    assert len(written) == 2
    assert "\x1b[2J" not in "".join(written)


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_is_logged_by_type_and_place_never_by_message(lines: Lines, form: str) -> None:
    configure_logging(Settings(log_format=form))
    for log in (logging.getLogger("uvicorn.error").exception, structlog.get_logger().exception):
        try:
            int("Mrs Miller")
        except ValueError:
            log("Exception in the app\n")
    said = "\n".join(lines())
    assert said.count("builtins.ValueError") == 2
    assert said.count("test_logs.py") == 2
    assert "Miller" not in said


def test_only_the_first_line_of_a_library_s_message_is_kept(lines: Lines) -> None:
    configure_logging(Settings())
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <ValueError('Mrs Miller')>")
    (line,) = lines()
    row = json.loads(line)
    assert (row["event"], row["logger"], row["level"]) == ("Task exception was never retrieved", "asyncio", "error")
    assert "Miller" not in line


def test_libraries_below_warning_are_silent(lines: Lines) -> None:
    configure_logging(Settings(log_level="debug"))
    logging.getLogger("pymongo.command").info("Command started")
    assert lines() == []


@pytest.mark.parametrize("header", [b"abc-DEF_1.2", b"x" * 64])
def test_a_harmless_request_id_is_taken(header: bytes) -> None:
    assert request_id(header) == header.decode()


@pytest.mark.parametrize("header", [None, b"", b"x" * 65, b"a b", b"a\r\nb", b"a\n", b"\xff", b"<script>"])
def test_any_other_request_id_is_replaced_by_a_new_one(header: bytes | None) -> None:
    first, second = request_id(header), request_id(header)
    assert re.fullmatch(r"[0-9a-f]{16}", first)
    assert first != second
