"""Settings: what is read, what is refused and how the refusal reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_server.settings import Settings, SettingsError, rows, variable


def findings(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(environ)
    return caught.value.findings


def test_nothing_given_gives_the_defaults() -> None:
    assert Settings.from_environment({}) == Settings()


def test_other_programs_names_are_ignored() -> None:
    assert Settings.from_environment({"PATH": "/bin", "MY_FHIR_PORT": "x"}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("port", "9000", 9000),
        ("port", " 0 ", 0),
        ("mongodb_url", "mongodb+srv://db.example.org", "mongodb+srv://db.example.org"),
        ("data_dir", "/srv/fhir", Path("/srv/fhir")),
        ("cors_origins", "https://a.example, https://b.example,", ("https://a.example", "https://b.example")),
        ("import_hosts", "", ()),
        ("engine", "secantusd-rs", "secantusd-rs"),
        ("base_url", "https://example.org/fhir", "https://example.org/fhir"),
        ("host", "::1", "::1"),
    ],
)
def test_a_value_is_read_as_its_type(name: str, text: str, value: object) -> None:
    assert getattr(Settings.from_environment({variable(name): text}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        ("port", "http", "FHIR_PORT: 'http' (int) must be a whole number; or leave it out for 8000"),
        ("port", "70000", "FHIR_PORT: '70000' (int) must be at least 0 and at most 65535; or leave it out for 8000"),
        ("port", "-1", "FHIR_PORT: '-1' (int) must be at least 0 and at most 65535; or leave it out for 8000"),
        ("workers", "0", "FHIR_WORKERS: '0' (int) must be at least 1 and at most 256; or leave it out for 1"),
        ("log_format", "xml", "FHIR_LOG_FORMAT: 'xml' (str) must be one of json, console; or leave it out for json"),
        ("data_dir", "", "FHIR_DATA_DIR: '' (path) must name a folder; or leave it out for data/server"),
        (
            "base_url",
            "https://example.org/fhir/",
            "FHIR_BASE_URL: 'https://example.org/fhir/' (str) must not end in a slash; or leave it out for empty",
        ),
        (
            "host",
            "0.0.0.0",
            "FHIR_HOST: '0.0.0.0' (str) only loopback (127.0.0.1, ::1, localhost) until there are access rules; "
            "put a proxy that checks access in front; or leave it out for 127.0.0.1",
        ),
        (
            "database_prefix",
            "a/b",
            "FHIR_DATABASE_PREFIX: 'a/b' (str) must be 1 to 24 ASCII letters, digits and underscores, "
            "beginning with a letter; or leave it out for fhir",
        ),
        (
            "package_registry",
            "https://user:secret@registry.example.org",
            "FHIR_PACKAGE_REGISTRY: the value (str) must be an http or https URL without user, password and query; "
            "or leave it out for empty",
        ),
    ],
)
def test_a_wrong_value_names_the_key_the_type_and_the_way_out(name: str, text: str, finding: str) -> None:
    assert findings({variable(name): text}) == (finding,)


def test_a_secret_is_never_quoted() -> None:
    (finding,) = findings({"FHIR_MONGODB_URL": "postgres://admin:hunter2@db"})
    assert finding == "FHIR_MONGODB_URL: the value (str) must start with mongodb://; or leave it out for empty"


def test_headers_and_files_of_the_terminology_server_are_looked_at(tmp_path: Path) -> None:
    good = {"FHIR_TERMINOLOGY_REMOTE_HEADERS": "X-Api-Key: a:b, X-B: c"}
    assert Settings.from_environment(good).terminology_remote_headers == ("X-Api-Key: a:b", "X-B: c")
    for wrong in ("hunter2", "bad name: hunter2", ": hunter2"):
        (finding,) = findings({"FHIR_TERMINOLOGY_REMOTE_HEADERS": wrong})
        assert "must be headers" in finding
        assert "hunter2" not in finding
    (finding,) = findings({"FHIR_TERMINOLOGY_REMOTE_TOKEN_FILE": str(tmp_path / "none")})
    assert "must name a file that can be read" in finding
    assert "must not end in a slash" in findings({"FHIR_TERMINOLOGY_REMOTE": "https://tx.example.org/"})[0]


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    assert findings({"FHIR_MAX_PAGES": "9"}) == (
        "FHIR_MAX_PAGES: no such setting; remove it, or did you mean FHIR_MAX_PAGE?",
    )
    assert findings({"FHIR_ZZZZZZ": ""}) == (
        "FHIR_ZZZZZZ: no such setting; remove it, or see docs/reference/settings.md for the names.",
    )


def test_all_findings_come_together() -> None:
    found = findings({"FHIR_PORT": "x", "FHIR_WORKERS": "-1", "FHIR_NOPE_NOPE": "1"})
    assert [line.split(":")[0] for line in found] == ["FHIR_NOPE_NOPE", "FHIR_PORT", "FHIR_WORKERS"]


def test_a_default_page_above_the_largest_page_is_refused() -> None:
    assert findings({"FHIR_DEFAULT_PAGE": "51", "FHIR_MAX_PAGE": "50"}) == (
        "FHIR_DEFAULT_PAGE: 51 (int) is more than FHIR_MAX_PAGE (50); lower the one or raise the other",
    )


def test_overrides_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_PORT", "9000")
    monkeypatch.setenv("FHIR_WORKERS", "3")
    settings = Settings.load(port=9001, host=None)
    assert (settings.port, settings.workers, settings.host) == (9001, 3, "127.0.0.1")


def test_a_child_process_gets_exactly_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_PORT", "9000")
    settings = Settings(port=1, cors_origins=("https://a.example",), data_dir=Path("x"), metrics_dir="/m")
    environment = settings.environment()
    assert Settings.from_environment(environment) == settings
    assert environment["PROMETHEUS_MULTIPROC_DIR"] == "/m"


def test_every_setting_has_help_and_since() -> None:
    assert [row.name for row in rows() if not (row.help.endswith(".") and row.since)] == []


def test_the_reference_lists_every_setting_as_it_is() -> None:
    text = (Path(__file__).parents[2] / "docs/reference/settings.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("| `FHIR_")]
    assert table == [
        f"| `{variable(row.name)}` | {row.type} | {f'`{row.default}`' if row.default else ''} | {row.help}"
        f"{' One of: ' + ', '.join(f'`{c}`' for c in row.choices if c) + '.' if row.choices else ''} | {row.since} |"
        for row in rows()
    ]
