"""Style as tests: the rules that no linter knows, each with the place where it is broken."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("schemas", "strategies", "streams")
HIDDEN_BUT_OURS = {".ci", ".github"}
NOT_OURS = {"out", "build", "dist", "__pycache__"}
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".yml",
    ".yaml",
    ".avsc",
    ".sh",
    ".xml",
    ".json",
    ".cfg",
    ".txt",
    ".properties",
    "",
}
FILE_LINES = 400
FUNCTION_LINES = 70

# typing names a tuple's fields; at run time it is as good as nothing.
KERNELS_MAY_IMPORT = re.compile(
    r"(__future__|math|numba|numpy|typing|schemas\.reasons|strategies\.kernels)(\.|$)"
)
COMPILERS = {"njit", "jit", "vectorize", "guvectorize", "cfunc", "stencil"}
CLOCKS = {"now", "utcnow", "today", "time_ns", "monotonic_ns", "perf_counter_ns"}
# Joined here, so that this file does not hold what it forbids.
ELSEWHERE = [
    "".join(parts)
    for parts in (
        (r"(?<![\w.])/", r"(root|work|home|Users|opt/wheels)/"),
        ("py", r"pi\.org"),
        ("python", "hosted"),
        ("repo1?", r"\.maven"),
        ("registry", r"\.npmjs"),
        (r"\b(docker|ghcr|quay)", r"\.io\b"),
    )
]
CHAINS = (
    "gas|chain|fee|fees|block|blocks|sequencer|settle|settlement|bridge|finality|rollup|base|network|venue"
)
CHAIN_LEVEL = re.compile(
    rf"\blayer_?[12]\b|layer_[12]_|(?<![a-z])l[12]_({CHAINS})(?![a-z])|(?<![a-z])({CHAINS})_l[12](?![a-z0-9])",
    re.I,
)


@cache
def files() -> tuple[Path, ...]:
    """Every text file of the project; what git ignores is left out by its folder."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [
            name
            for name in sorted(folders)
            if (not name.startswith(".") or name in HIDDEN_BUT_OURS)
            and name not in NOT_OURS
            and not name.endswith(".egg-info")
        ]
        found += [Path(folder) / name for name in sorted(names)]
    return tuple(path for path in found if path.suffix in TEXT and not path.is_symlink())


def python_files(*tops: str) -> Iterator[Path]:
    for path in files():
        if path.suffix == ".py" and (not tops or path.relative_to(ROOT).parts[0] in tops):
            yield path


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def at(path: Path, line: int, what: str) -> str:
    return f"{path.relative_to(ROOT)}:{line}: {what}"


def name_of(node: ast.expr) -> str:
    """The last name of `numba.njit`, `njit`, `njit(...)`."""
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


# --- the rules: each takes a parsed module and says what breaks it ---------------------------------------


def prints(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield node.lineno, "print; use typer.echo or rich in the command line, structlog elsewhere"


def compiled_without_policy(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Every compiled function names cache and nogil, and nothing that changes a result's bits."""
    calls = [n for n in ast.walk(module) if isinstance(n, ast.Call) and name_of(n.func) in COMPILERS]
    for call in calls:
        policy = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
        if policy.get("nogil") is not True or policy.get("cache") is not True:
            yield call.lineno, "compiled without cache=True, nogil=True"
        if "fastmath" in policy or "parallel" in policy:
            yield call.lineno, "fastmath and parallel change results from machine to machine"
    for node in ast.walk(module):
        for decorator in getattr(node, "decorator_list", []):
            if not isinstance(decorator, ast.Call) and name_of(decorator) in COMPILERS:
                yield decorator.lineno, "compiled without a policy: write @njit(cache=True, nogil=True)"


def long_functions(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines >= FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {lines} lines, the limit is {FUNCTION_LINES - 1}"


def foreign_imports(module: ast.Module) -> Iterator[tuple[int, str]]:
    """What a kernel may not import."""
    for node in ast.walk(module):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.level == 0 else ["relative"]
            )
        for name in names:
            if not KERNELS_MAY_IMPORT.match(name):
                yield node.lineno, f"a kernel imports {name}"


def clocks(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            yield node.lineno, f"{node.func.attr}() reads a clock; time enters as an input"


Rule = Callable[[ast.Module], Iterator[tuple[int, str]]]
RULES: list[tuple[Rule, tuple[str, ...]]] = [
    (prints, PACKAGES),
    (compiled_without_policy, (*PACKAGES, "bench")),
    (long_functions, (*PACKAGES, "scripts", "bench", "tests")),
    (clocks, ("schemas", "strategies")),
]


@pytest.mark.parametrize(("rule", "tops"), RULES, ids=lambda v: getattr(v, "__name__", ""))
def test_rule(rule: Rule, tops: tuple[str, ...]) -> None:
    checked = list(python_files(*tops))
    assert len(checked) > 5
    assert [at(path, line, what) for path in checked for line, what in rule(tree(path))] == []


def test_kernels_import_numpy_numba_math_and_each_other() -> None:
    kernels = [path for path in python_files("strategies") if path.parent.name == "kernels"]
    assert len(kernels) > 1
    assert [at(path, line, what) for path in kernels for line, what in foreign_imports(tree(path))] == []


BROKEN = [
    (prints, "print(1)"),
    (compiled_without_policy, "@njit\ndef f(): pass"),
    (compiled_without_policy, "@numba.njit(cache=True)\ndef f(): pass"),
    (compiled_without_policy, "f = njit(cache=True, nogil=True, fastmath=False)(g)"),
    (compiled_without_policy, "@njit(cache=True, nogil=False)\ndef f(): pass"),
    (long_functions, "def f():\n" + "    1\n" * 69),
    (foreign_imports, "from schemas import batch"),
    (foreign_imports, "import os"),
    (foreign_imports, "from . import book"),
    (clocks, "datetime.now(UTC)"),
]
SOUND = [
    (prints, "console.print(1)"),
    (compiled_without_policy, "@njit(cache=True, nogil=True)\ndef f(): pass"),
    (long_functions, "def f():\n" + "    1\n" * 68),
    (foreign_imports, "import math\nfrom numba import njit\nfrom strategies.kernels import book"),
    (clocks, "row.now"),
]  # fmt: skip  # a case a line


@pytest.mark.parametrize(("rule", "source"), BROKEN)
def test_the_rule_sees_what_breaks_it(rule: Rule, source: str) -> None:
    assert list(rule(ast.parse(source)))


@pytest.mark.parametrize(("rule", "source"), SOUND)
def test_the_rule_lets_pass_what_is_sound(rule: Rule, source: str) -> None:
    assert list(rule(ast.parse(source))) == []


# --- the rules on text ------------------------------------------------------------------------------------


def test_files_are_short() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in python_files()}
    assert [at(p, n, f"over {FILE_LINES} lines") for p, n in lengths.items() if n > FILE_LINES] == []


def lines_matching(wrong: Callable[[str], object], suffixes: set[str]) -> list[str]:
    found = []
    for path in files():
        if path.suffix in suffixes and path != Path(__file__).resolve() and path.name != "requirements.lock":
            lines = enumerate(path.read_text("utf-8").splitlines(), 1)
            found += [at(path, n, line.strip()) for n, line in lines if wrong(line)]
    return found


@pytest.mark.parametrize("pattern", ELSEWHERE)
def test_no_place_of_one_machine_and_no_registry_is_named(pattern: str) -> None:
    assert lines_matching(re.compile(pattern).search, TEXT) == []


def test_nothing_is_left_to_do() -> None:
    assert lines_matching(re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b").search, TEXT) == []


def test_l1_and_l2_are_levels_of_market_data() -> None:
    assert lines_matching(CHAIN_LEVEL.search, {".py", ".avsc", ".toml", ".yml"}) == []


@pytest.mark.parametrize("wrong", ["l1_gas", "L2_FEES", "layer1", "layer_2", "bridge_l2", "my_l1_chain"])
def test_levels_used_for_chains_are_seen(wrong: str) -> None:
    assert CHAIN_LEVEL.search(wrong)


@pytest.mark.parametrize(
    "right", ["book.l1", "l1_quote", "l2_depth", "layer", "BOOK_L2", "l1", "l2_snapshot"]
)
def test_levels_of_market_data_are_let_pass(right: str) -> None:
    assert CHAIN_LEVEL.search(right) is None


IGNORED = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:\s*no cover)(.*)")
CODES_AND_REASON = re.compile(r"(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|\[[a-z-]+(?:,\s*[a-z-]+)*\])[\s#-]+\w+")


def ignored_without_reason(line: str) -> bool:
    found = IGNORED.search(line)
    return found is not None and CODES_AND_REASON.match(found[1]) is None


def test_every_ignored_rule_has_its_code_and_reason_on_the_line() -> None:
    """As in `# noqa: BLE001  it belongs to whoever asked`, `# type: ignore[misc]  # untyped base`."""
    assert lines_matching(ignored_without_reason, {".py"}) == []


@pytest.mark.parametrize(
    ("line", "bare"),
    [
        ("x  # noqa", True),
        ("x  # noqa: E501", True),
        ("x  # noqa: BLE001  it is theirs", False),
        ("x  # type: ignore  # why", True),
        ("x  # type: ignore[misc]", True),
        ("x  # type: ignore[misc, arg-type]  # an untyped base", False),
        ("x  # a comment", False),
    ],
)
def test_a_rule_ignored_without_reason_is_seen(line: str, bare: bool) -> None:
    assert ignored_without_reason(line) is bare


def test_every_rule_ignored_in_the_project_file_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    ignored = re.search(r"^ignore = \[\n(.*?)^\]", text, re.M | re.S)
    per_file = re.search(r"^\[tool\.ruff\.lint\.per-file-ignores\]\n(.*?)\n\n", text, re.M | re.S)
    assert ignored
    assert per_file
    lines = ignored[1].splitlines() + per_file[1].splitlines()
    for override in re.findall(r"^\[\[tool\.mypy\.overrides\]\]\n(.*?)(?=\n\n|\n\[|\Z)", text, re.M | re.S):
        lines += [line for line in override.splitlines() if re.match(r"[a-z_]+ = (true|false|\")", line)]
    assert len(lines) > 4
    assert [line for line in lines if not re.search(r"\S\s+#\s+\S", line)] == []


# --- schemas ----------------------------------------------------------------------------------------------


def undocumented(schema: Any, where: str) -> Iterator[str]:
    """Records, enums and fields without a doc, nested ones included."""
    if isinstance(schema, list):
        for branch in schema:
            yield from undocumented(branch, where)
    elif isinstance(schema, dict):
        if schema.get("type") in {"record", "enum"} and not schema.get("doc", "").strip():
            yield f"{where}: {schema['type']} {schema.get('name')}"
        for field in schema.get("fields", []):
            if not field.get("doc", "").strip():
                yield f"{where}.{field['name']}"
            yield from undocumented(field["type"], f"{where}.{field['name']}")
        for part in ("items", "values", "type"):
            if isinstance(schema.get(part), dict | list):
                yield from undocumented(schema[part], where)


def test_every_field_of_every_schema_has_a_doc() -> None:
    schemas = [path for path in files() if path.suffix == ".avsc"]
    assert len(schemas) >= 7
    assert [
        hole for path in schemas for hole in undocumented(json.loads(path.read_text("utf-8")), path.stem)
    ] == []


def test_a_field_without_a_doc_is_seen() -> None:
    inner = {"type": "record", "name": "I", "doc": "d", "fields": [{"name": "x", "type": "int"}]}
    outer = {"type": "record", "name": "O", "doc": "d", "fields": []}
    outer["fields"] = [{"name": "a", "doc": "d", "type": ["null", {"type": "array", "items": inner}]}]
    assert list(undocumented(outer, "O")) == ["O.a.x"]
