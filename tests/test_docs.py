"""What the documents say is so: tables, commands, variables, links, settings files, the executor's code."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from schemas import codec
from strategies.markets import Group, GroupLimits, Instrument, Limits, Markets, Venue
from streams.cli import main as cli
from streams.cli.demo import rows
from streams.config import OTHER_VARIABLES, Settings, load_markets, load_settings
from streams.demo.run import Result
from streams.demo.score import Score
from streams.demo.view import Picture, headline
from tests import docs
from tests.strategies.test_risk_types import signal

ROOT = docs.ROOT
DOCUMENTS = sorted(p.relative_to(ROOT).as_posix() for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
WITH_COMMENTS = [*DOCUMENTS, "docker-compose.yml", "streams/markets/recordings.toml"]
CONFIGURED = [*DOCUMENTS, "docker-compose.yml", "Dockerfile", "Makefile"]


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def blocks(name: str, language: str) -> list[str]:
    """Fenced blocks of one language ("" for those that name none)."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", read(name), re.M | re.S)
    return [text for said, text in fenced if said == language]


def lines(name: str) -> Iterator[str]:
    """Every command line: of shell blocks, and of comments that show one."""
    for block in [*blocks(name, "sh"), *blocks(name, "")]:
        yield from (line for line in block.replace("\\\n", " ").splitlines() if re.match(r"\w+ ", line))
    if not name.endswith(".md"):
        text = re.sub(r"\\\n# *", " ", read(name))
        yield from re.findall(r"^#   (.*)$", text, re.M)


def command_lines(names: list[str], word: str) -> list[tuple[str, list[str]]]:
    found = []
    for name in names:
        split = (shlex.split(line, comments=True) for line in lines(name))
        found += [(name, words[1:]) for words in split if words and words[0] == word]
    return found


# ---- tables


@pytest.mark.parametrize("name", docs.TABLES)
def test_tables_are_those_of_the_code(name: str) -> None:
    document, make = docs.TABLES[name]
    found = docs.between(name).search(read(document))
    assert found, f"{document} has no table {name}"
    assert found[2] == make(), "run make docs"


@pytest.mark.parametrize("model", [Limits, Venue, Instrument])
def test_every_key_of_a_markets_file_is_explained_with_its_default(model: Any) -> None:
    table = re.search(rf"<!-- keys of {model.__name__} -->\n(.*?)<!-- end -->", read("docs/guide.md"), re.S)
    assert table
    told = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", table[1], re.M))
    wanted = {name: docs.default_of(field.default) for name, field in model.model_fields.items()}
    if model is Instrument:  # told in words
        wanted |= {"groups": "the base asset", "channels": "l1, l2"}
    assert told == wanted


def test_the_rest_of_a_markets_file_is_as_the_guide_says() -> None:
    assert set(GroupLimits.model_fields) == set(Limits.model_fields)
    assert set(Group.model_fields) == {"limits"}
    assert set(Markets.model_fields) == {"limits", "venues", "instruments", "groups"}


def test_the_glossary_holds_the_words_of_the_project() -> None:
    glossary = read("README.md").split("## Glossary\n")[1].split("\n## ")[0].lower()
    words = "l1 l2 base rollup group product batch step session sequence epoch opportunity episode signal"
    phrases = ("control input", "key frame", "stream time", "net edge", "tick", "lot", "guard", "gate")
    bold = " ".join(re.findall(r"\*\*(.*?)\*\*", glossary))
    assert [word for word in (*words.split(), *phrases) if not re.search(rf"\b{word}\b", bold)] == []


# ---- commands


def parse(words: list[str]) -> None:
    """Parse as the command line would, down to every option; runs nothing."""
    command: Any = typer.main.get_command(cli.app)
    context = command.make_context("interlayer", list(words))
    while hasattr(command, "resolve_command"):
        left = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, left)
        context = command.make_context(name, rest, parent=context)


SHOWN = command_lines(WITH_COMMENTS, "interlayer")


@pytest.mark.parametrize("words", [words for _, words in SHOWN], ids=" ".join)
def test_command_lines_parse(words: list[str]) -> None:
    parse(words)


def test_documents_show_the_main_commands() -> None:
    shown = {words[0] for _, words in SHOWN}
    assert shown >= {"worker", "simulate", "play", "topics", "tail", "risk", "broker", "check", "config"}


@pytest.mark.parametrize("words", [["frob"], ["topics", "diff", "--prefixx", "a"], ["tail"], ["worker", "x"]])
def test_a_wrong_command_line_is_seen(words: list[str]) -> None:
    with pytest.raises(Exception, match=r"No such|Missing|unexpected|extra"):
        parse(words)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_named_in_a_sentence_exist(name: str) -> None:
    known = {path for path, _ in docs.commands()} | {path.split()[0] for path, _ in docs.commands()}
    for text in re.findall(r"`(?:\.venv/bin/)?interlayer ([a-z][^`]*)`", read(name)):
        if "|" in text:  # every command of a family
            continue
        words = re.findall(r"^[a-z]+(?: [a-z]+)?", text)[0].split()
        assert " ".join(words) in known or words[0] in known, text


def test_make_targets_and_variables_exist() -> None:
    makefile = read("Makefile")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    variables = set(re.findall(r"^([A-Z]+) \?=", makefile, re.M)) | {"UPGRADE"}
    shown = command_lines(DOCUMENTS, "make")
    for name in DOCUMENTS:
        shown += [(name, text.split()) for text in re.findall(r"`make ([^`]*)`", read(name))]
    assert len(shown) > 8
    for name, words in shown:
        assert words[0] in targets, f"{name}: make {' '.join(words)}"
        assert {w.split("=")[0] for w in words[1:]} <= variables, f"{name}: make {' '.join(words)}"


@pytest.mark.parametrize("name", CONFIGURED)
def test_variables_exist(name: str) -> None:
    known = {f"INTERLAYER_{field.upper()}" for field in Settings.model_fields} | OTHER_VARIABLES
    assert set(re.findall(r"INTERLAYER_[A-Z_]+", read(name))) <= known


@pytest.mark.kafka
def test_the_steps_of_the_readme_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All but the worker, which does not end; the market is shorter."""
    (steps,) = (block for block in blocks("README.md", "sh") if "broker start --kind embedded" in block)
    monkeypatch.chdir(tmp_path)
    try:
        for line in steps.splitlines():
            words = shlex.split(line, comments=True)
            assert words[0] == "interlayer"
            if words[1] != "worker":
                assert cli.main([w if w != "20" else "1" for w in words[1:]]) == 0, line
        said = capsys.readouterr()
        assert "episodes and" in said.out
        assert said.err == ""
        assert cli.main(["broker", "status"]) == 1
    finally:
        cli.main(["broker", "stop"])


# ---- files, links, output


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", read(name)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / name).parent / path if path else ROOT / name
        assert found.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", found.read_text("utf-8"), re.M)
            assert anchor in [re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in heads], target


@pytest.mark.parametrize("name", ["docs/guide.md", "docs/operations.md"])
def test_settings_files_load(name: str, tmp_path: Path) -> None:
    shown = blocks(name, "toml")
    assert shown
    for text in shown:
        path = tmp_path / "interlayer.toml"
        path.write_text(text)
        assert load_settings(path).broker.startswith("kafka://")


@pytest.mark.parametrize("name", ["demo", "recordings"])
def test_the_markets_files_that_ship_load(name: str) -> None:
    load_markets(ROOT / "streams" / "markets" / f"{name}.toml")


def test_the_output_shown_is_the_demos() -> None:
    (shown,) = (block for block in blocks("README.md", "text") if "\nmeasured" in block)
    result = Result("embedded", 1, 1.0, [1.0], Score(0, 0, (), ()), 1, 1, 0, {})
    told = [re.split(r"  +", line)[0] for line in shown.split("\n...\n")[1].splitlines()[:-1]]
    assert told == ["measured", *(name for name, _ in rows(result))]
    watch: Any = type("W", (), {"latencies_ms": [], "open": {}, "counts": dict.fromkeys(
        ("signal", "risk.event", "book.reject"), 0)})  # fmt: skip
    words = re.sub(r"[0-9.,-]+", "", headline(Picture("the embedded broker", 1, 2), watch)).replace(" ms", "")
    line = re.sub(r"[0-9.,-]+", "", shown.splitlines()[2]).replace(" ms", "")
    assert line == words


# ---- the executor


@pytest.fixture
def executor() -> dict[str, Any]:
    (code,) = blocks("README.md", "python")
    space: dict[str, Any] = {}
    exec(compile(code.replace('"schemas/', f'"{ROOT}/schemas/'), "README.md", "exec"), space)
    return space


def encoded(**more: Any) -> bytes:
    return codec.encode("Signal", signal().record() | more)


def test_the_executors_code_keeps_its_rules(executor: dict[str, Any]) -> None:
    take, orders = executor["take"], executor["orders"]
    first = take(encoded(epoch=3, sequence=7, recorded=False, valid_until_ns=100), 100)
    assert first["sequence"] == 7
    leg = first["legs"][0]
    venue, symbol, side, size, price = next(iter(orders(first)))
    assert (venue, symbol, side) == (leg["venue"], leg["symbol"], leg["side"])
    assert float(price) == pytest.approx(leg["limit_price_ticks"] * 10.0 ** leg["price_exponent"])
    assert float(size) == pytest.approx(leg["size_lots"] * 10.0 ** leg["size_exponent"])
    repeat = {"recorded": False, "valid_until_ns": 100}
    assert take(encoded(epoch=3, sequence=7, **repeat), 50) is None
    assert take(encoded(epoch=2, sequence=9, **repeat), 50) is None
    assert take(encoded(epoch=3, sequence=8, **repeat), 101) is None  # too late
    assert take(encoded(epoch=3, sequence=9, recorded=True, valid_until_ns=100), 50) is None
    close = take(encoded(epoch=4, sequence=1, action="close", cause="stale", legs=[], **repeat), 999)
    assert list(orders(close)) == []
    with pytest.raises(ValueError, match="another version"):
        take(b"\xc3\x01" + bytes(40), 0)


def test_both_languages_compare_the_same_header(executor: dict[str, Any]) -> None:
    (script,) = blocks("README.md", "js")
    assert re.findall(r"Buffer\.from\('([0-9a-f]+)', 'hex'\)", script) == [executor["HEADER"].hex()]
    fields = {f["name"] for f in codec.schema("Signal")["fields"]}
    assert set(re.findall(r"\bs\.(\w+)", script)) <= fields
    leg = json.loads(read("schemas/Signal.avsc"))["fields"]
    (legs,) = (f["type"]["items"]["fields"] for f in leg if f["name"] == "legs")
    assert set(re.findall(r"\bleg\.(\w+)", script)) <= {f["name"] for f in legs}
