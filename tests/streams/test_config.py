"""Settings: where they come from, what is refused and how, and that secrets are never shown."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import logs, out, toml
from streams.config import Settings, config_file, load_markets, load_settings, sources, unknown_variables
from streams.errors import RunError, UserError

SECRET = "correct-horse"
MARKETS = """\
[venues.binance]
layer = "base"
taker_fee_bps = 10

[venues.kraken]
layer = "base"
taker_fee_bps = 26

[[instruments]]
venue = "binance"
symbol = "BTCUSDT"
kind = "spot"
base = "BTC"
quote = "USDT"
tick = "0.01"
lot = "0.00001"

[[instruments]]
venue = "kraken"
symbol = "BTC/USDT"
kind = "spot"
base = "BTC"
quote = "USDT"
tick = "0.1"
lot = "0.0001"
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("INTERLAYER_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def refusal(path: Path | None = None, **flags: object) -> str:
    with pytest.raises(UserError) as caught:
        load_settings(path, **flags)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_flags_before_environment_before_file_before_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert load_settings().linger_ms == 5
    (tmp_path / "interlayer.toml").write_text("linger_ms = 6\npartitions = 16\nstart = 'latest'\n")
    monkeypatch.setenv("INTERLAYER_LINGER_MS", "7")
    monkeypatch.setenv("INTERLAYER_PARTITIONS", "32")
    found = load_settings(linger_ms=8, prefix=None)
    assert (found.linger_ms, found.partitions, found.start, found.prefix) == (8, 32, "latest", "")
    named = sources(linger_ms=8, prefix=None)
    assert [named[k] for k in ("linger_ms", "partitions", "start", "prefix")] == [
        "flag",
        "INTERLAYER_PARTITIONS",
        "interlayer.toml",
        "default",
    ]


def test_which_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert config_file() is None
    (tmp_path / "interlayer.toml").touch()
    assert config_file() == Path("interlayer.toml")
    monkeypatch.setenv("INTERLAYER_CONFIG", "other.toml")
    assert config_file() == Path("other.toml")
    assert config_file(Path("given.toml")) == Path("given.toml")


def test_paths_in_a_file_are_meant_from_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    file = tmp_path / "deep" / "x.toml"
    file.write_text("markets = 'm.toml'\nout = '/elsewhere'\n")
    found = load_settings(file)
    assert found.markets == tmp_path / "deep" / "m.toml"
    assert found.out == Path("/elsewhere")


def test_a_file_is_refused_with_line_key_and_reason(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("# limits\nlinger_ms = 5\npartitons = 4\n")
    assert refusal(file) == f"{file}:3: partitons: unknown key; did you mean partitions?"
    file.write_text("linger_ms = 5\n\npartitions = 0\n")
    assert refusal(file).startswith(f"{file}:3: partitions: ")
    file.write_text("linger_ms = = 5\n")
    assert "line 1" in refusal(file)
    file.write_text("session_timeout_ms = 10\nlinger_ms = -1\n")
    assert refusal(file).endswith("(and 1 more)")
    assert refusal(tmp_path / "none.toml") == f"{tmp_path}/none.toml: there is no such file"
    assert refusal(tmp_path).startswith(f"{tmp_path}: cannot be read: ")


def test_variables_and_flags_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(web_port=70_000).startswith("--web-port: ")
    monkeypatch.setenv("INTERLAYER_PARTITIONS", "many")
    assert refusal().startswith("INTERLAYER_PARTITIONS: ")
    monkeypatch.delenv("INTERLAYER_PARTITIONS")
    monkeypatch.setenv("INTERLAYER_KAFKA", "security.protocol=SSL")
    assert "JSON" in refusal()


def test_a_misspelt_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLAYER_CONFIG", "x")
    monkeypatch.setenv("INTERLAYER_PREFIX", "x.")
    monkeypatch.setenv("INTERLAYER_PREFIKS", "x.")
    assert unknown_variables() == ("INTERLAYER_PREFIKS",)


@pytest.mark.parametrize(
    "key", ["group.id", "acks", "enable.auto.commit", "partitioner", "bootstrap.servers"]
)
def test_what_keeps_records_safe_cannot_be_passed_through(key: str) -> None:
    assert key in refusal(kafka={key: "1"})


def test_pass_through_reaches_the_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("[kafka]\n'security.protocol' = 'SASL_SSL'\n'sasl.mechanism' = 'SCRAM-SHA-512'\n")
    monkeypatch.setenv("INTERLAYER_KAFKA", '{"sasl.username": "ana"}')
    monkeypatch.setenv("INTERLAYER_SASL_PASSWORD", SECRET)
    assert load_settings(file).kafka_config() == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ana",
        "sasl.password": SECRET,
    }


SECRET_WAYS = [
    {"sasl_password": SECRET},
    {"ssl_key_password": SECRET},
    {"schema_registry_auth": f"me:{SECRET}"},
    {"kafka": {"sasl.password": SECRET}},
    {
        "kafka": {
            "ssl.key.pem": SECRET,
            "ssl.keystore.password": SECRET,
            "sasl.oauthbearer.client.secret": SECRET,
        }
    },
]


@pytest.mark.parametrize("way", SECRET_WAYS, ids=lambda way: next(iter(way)))
def test_secrets_are_never_shown(way: dict[str, object]) -> None:
    found = load_settings(**way)
    shown = (repr(found), str(found), json.dumps(found.shown()), found.model_dump_json(), str(vars(found)))
    assert not [text for text in shown if SECRET in text]
    for bad in ({"linger_ms": -1}, {"no_such": 1}, {"kafka": {"acks": SECRET}}, {"sasl_password": [SECRET]}):
        assert SECRET not in refusal(**{**way, **bad})


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().partitions = 3


def test_every_setting_is_described_and_every_number_has_its_unit() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        if name.endswith("_ms"):
            assert "ms" in field.description, name


def test_prefix_goes_before_names() -> None:
    assert load_settings(prefix="test.").named("book.l1") == "test.book.l1"
    assert "prefix" in refusal(prefix="a b")


def test_markets_are_read(tmp_path: Path) -> None:
    file = tmp_path / "markets.toml"
    file.write_text(MARKETS)
    assert [i.symbol for i in load_markets(file).members("BTC")] == ["BTCUSDT", "BTC/USDT"]


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        (
            "taker_fee_bps = 26",
            "taker_fee = 26",
            7,
            "venues.kraken.taker_fee: unknown key; did you mean taker_fee_bps?",
        ),
        ('lot = "0.0001"', 'lot = "-1"', 25, "instruments.1.lot"),
        ('tick = "0.01"\n', "", 9, "instruments.0.tick: is missing"),
        ('layer = "base"', 'layer = "l1"', 2, "venues.binance.layer"),
        (
            'venue = "kraken"',
            'venue = "krakken"',
            None,
            "instruments.1: venue 'krakken' is not under [venues]",
        ),
        ("[venues.binance]", "[limits]\nmax_notionl = 5\n[venues.binance]", 2, "did you mean max_notional?"),
        ('kind = "spot"', "kind = spot", None, "line 12"),
    ],
)
def test_a_wrong_markets_file_is_refused(
    tmp_path: Path, old: str, new: str, line: int | None, told: str
) -> None:
    file = tmp_path / "markets.toml"
    file.write_text(MARKETS.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        load_markets(file)
    text = str(caught.value)
    assert text.startswith(f"{file}:{line}: " if line else f"{file}: ")
    assert told in text


KEY = st.from_regex(r"[a-z]{1,3}", fullmatch=True)
TABLES = st.lists(
    st.tuples(st.sampled_from(["table", "array"]), KEY, st.lists(KEY, min_size=1, max_size=3, unique=True)),
    max_size=6,
    unique_by=lambda table: table[1],
)


@settings(max_examples=40)
@given(TABLES, st.integers(1, 3))
def test_lines_are_found(tables: list[tuple[str, str, list[str]]], copies: int) -> None:
    lines: list[str] = []
    places: dict[tuple[str | int, ...], int] = {}
    for kind, name, keys in tables:
        for copy in range(copies if kind == "array" else 1):
            lines.append(f"[[{name}]]" if kind == "array" else f"[ {name} ] # a comment")
            base: tuple[str | int, ...] = (name, copy) if kind == "array" else (name,)
            for key in keys:
                lines.append(f"  {key}=1")
                places[(*base, key)] = len(lines)
    text = "\n".join(lines)
    assert {place: toml.line_of(text, place) for place in places} == places


def test_results_are_written_whole(tmp_path: Path) -> None:
    path = out.write_json(tmp_path / "out", "demo", {"updates": 5})
    assert json.loads(path.read_text()) == {"updates": 5}
    with pytest.raises(TypeError):
        out.write_json(tmp_path / "out", "demo", {"updates": object()})
    assert json.loads(path.read_text()) == {"updates": 5}
    assert [p.name for p in path.parent.iterdir()] == ["demo.json"]
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"):
        out.write_json(tmp_path / "file", "demo", {})


@pytest.fixture
def _logging() -> Iterator[None]:
    """Give back how this process logs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logging")
def test_log_lines_carry_their_fields() -> None:
    stream = io.StringIO()
    logs.set_up(load_settings(log_level="info"), stream)
    logs.logger("streams.x").warning("gap", topic="book.l2", offset=7)
    logs.logger("streams.x").debug("unseen")
    logging.getLogger("faust.y").error("lost %s", "it")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["event"], first["topic"], first["offset"], first["level"]) == (
        "gap",
        "book.l2",
        7,
        "warning",
    )
    assert (first["logger"], second["logger"]) == ("streams.x", "faust.y")
    assert (second["event"], second["level"]) == ("lost it", "error")


@pytest.mark.usefixtures("_logging")
@pytest.mark.parametrize("form", ["console", "json"])
def test_a_logged_traceback_shows_no_local_variable(form: str) -> None:
    stream = io.StringIO()
    logs.set_up(load_settings(log_format=form), stream)

    def fail(password: str) -> None:
        raise ValueError(f"{len(password)} characters were wrong")

    try:
        fail(SECRET)
    except ValueError:
        logs.logger("streams.x").exception("failed")
        logging.getLogger("faust.y").exception("failed too")
    assert stream.getvalue().count(f"{len(SECRET)} characters were wrong") == 2
    assert SECRET not in stream.getvalue()


@pytest.mark.usefixtures("_logging")
def test_commands_log_warnings_to_standard_error_alone(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up()
    logs.logger("streams.x").info("unseen")
    logs.logger("streams.x").warning("seen")
    said = capsys.readouterr()
    assert (said.out, json.loads(said.err)["event"]) == ("", "seen")
