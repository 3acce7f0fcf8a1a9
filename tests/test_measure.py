"""What the measuring of the source tree allows and what it does not, each rule seen to bite on a small tree."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

PROGRAM = Path(__file__).parents[1] / ".ci" / "measure.py"
SETTINGS = """
[[tool.importlinter.contracts]]
name = "Rows"
type = "layers"
containers = ["hub"]
layers = ["cli", "publishing : dispatch", "stores | telemetry", "errors"]
ignore_imports = ["hub.errors -> hub.cli"]
"""


class Measured(NamedTuple):
    """What the program answered: its status, and what it printed, in full and as rows by name."""

    status: int
    printed: str

    @property
    def rows(self) -> dict[str, str]:
        table = self.printed.partition("\n\n")[0]
        return dict(line.split("  ", 1) for line in table.splitlines())

    @property
    def findings(self) -> list[str]:
        return self.printed.partition("\n\n")[2].splitlines()[:-1]

    def row(self, name: str) -> str:
        return self.rows[name].strip()


Measure = Callable[..., Measured]


@pytest.fixture
def measure(tmp_path: Path) -> Measure:
    """Measures a tree of these files: a hub of one loose module and one room, and what is given by path."""

    def run(files: dict[str, str] | None = None, settings: str = SETTINGS) -> Measured:
        whole = {"hub/errors.py": "", "hub/cli/keys.py": "import hub.errors\n", **(files or {})}
        inits = {str(Path(path).with_name("__init__.py")): "" for path in whole if path.endswith(".py")}
        for name, text in {"pyproject.toml": settings, "hub/__init__.py": "", **inits, **whole}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        command = [sys.executable, str(PROGRAM), "--root", str(tmp_path)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.stderr == ""
        return Measured(ran.returncode, ran.stdout)

    return run


def test_a_tree_that_keeps_the_rules_passes(measure: Measure) -> None:
    measured = measure()
    assert (measured.status, measured.findings) == (0, [])
    assert measured.row("rooms, floors") == "2, 2"
    assert measured.row("arrows") == "1"


def test_sizes_are_counted_over_all_packages(measure: Measure) -> None:
    short, long = "def a():\n    return 1\n", "def b():\n" + "    x = 1\n" * 8 + "    return x\n"
    measured = measure({"channels/base.py": short * 2 + "# why\n", "schedules/jobs.py": long + "\n" * 300})
    assert measured.row("functions: median, 95th, longest") == "2, 10, 10 lines"
    assert measured.row("modules over 300 lines") == "1 of 8 schedules/jobs.py"
    assert measured.row("lines with a comment") == "0.3%"
    assert measured.status == 0


def test_one_loose_module_too_many_is_found(measure: Measure) -> None:
    most = {f"hub/module{number}.py": "" for number in range(11)}
    assert measure(most).status == 0
    measured = measure({"hub/newcomer.py": ""})
    assert measured.status == 1
    assert measured.row("loose modules in hub/") == "13 of at most 12"
    assert "hub/newcomer.py: a loose module: put it into a room" in measured.findings


@pytest.mark.parametrize("line", ["import hub.cli.keys", "from hub.cli import keys", "from hub import cli"])
def test_an_import_from_a_higher_row_is_found(measure: Measure, line: str) -> None:
    measured = measure({"hub/stores/base.py": f"\n{line}\n"})
    assert measured.status == 1
    (finding,) = measured.findings
    assert finding.startswith("hub/stores/base.py:2: hub.stores.base imports hub.cli")


def test_an_import_that_the_contract_excepts_is_an_arrow_up(measure: Measure) -> None:
    measured = measure({"hub/errors.py": "import hub.cli\n", "hub/cli/keys.py": ""})
    assert measured.findings == ["hub/errors.py:1: hub.errors imports hub.cli, which is not in a lower row"]


def test_rooms_of_an_independent_row_do_not_import_each_other(measure: Measure) -> None:
    assert measure({"hub/publishing/a.py": "import hub.dispatch.b\n", "hub/dispatch/b.py": ""}).status == 0
    measured = measure({"hub/stores/a.py": "import hub.telemetry.b\n", "hub/telemetry/b.py": ""})
    assert measured.row("arrows up") == "1"
    assert measured.status == 1


def test_rooms_that_import_each_other_are_found(measure: Measure) -> None:
    measured = measure(
        {"hub/publishing/a.py": "import hub.dispatch.b\n", "hub/dispatch/b.py": "import hub.publishing.c\n"}
    )
    assert measured.findings == ["hub.dispatch ↔ hub.publishing: these rooms import each other in a cycle"]
    assert measured.status == 1


def test_a_package_of_the_stores_is_a_room_of_its_own(measure: Measure) -> None:
    stores = {
        "hub/stores/sqlite/queue.py": "import hub.stores.base.queue\n",
        "hub/stores/base/queue.py": "import hub.stores.sqlite.queue\n",
    }
    measured = measure(stores)
    assert measured.findings == ["hub.stores.base ↔ hub.stores.sqlite: these rooms import each other in a cycle"]
    assert measured.row("rooms, floors") == "4, 2"


def test_modules_of_one_room_may_import_each_other(measure: Measure) -> None:
    measured = measure({"hub/dispatch/a.py": "import hub.dispatch.b\n", "hub/dispatch/b.py": "import hub.dispatch.a\n"})
    assert measured.status == 0


def test_the_fullest_folder_of_a_store_is_counted(measure: Measure) -> None:
    files = {f"hub/stores/redis/m{number}.py": "" for number in range(3)}
    scripts = {f"hub/stores/redis/lua/s{number}.lua": "" for number in range(2)}
    assert measure({**files, **scripts}).row("files in the largest folder of a store") == "4 .py, 2 .lua"


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  # noqa",
        "x = 1  # noqa: S105",
        "x = 1  # noqa: S105, E501",
        "x = 1  # type: ignore",
        "x = 1  # type: ignore[arg-type]",
        "x = 1  # type: ignore[arg-type]  # noqa: S105",
        "x = 1  # pragma: no cover",
        "# ruff: noqa: T201",
        "# mypy: disable-error-code=attr-defined",
    ],
)
def test_an_exception_without_a_reason_is_found(measure: Measure, line: str) -> None:
    measured = measure({"hub/api/module.py": f"\n{line}\n"})
    assert measured.status == 1
    assert set(measured.findings) == {"hub/api/module.py:2: an exception from a lint without a reason"}


@pytest.mark.parametrize("folder", ["channels", "schedules", "tests/hub", "benchmarks", "examples", "docs/site", ".ci"])
def test_exceptions_need_reasons_in_all_python_of_the_tree(measure: Measure, folder: str) -> None:
    measured = measure({f"{folder}/module.py": "x = 1  # noqa: S105\n"})
    assert measured.findings == [f"{folder}/module.py:1: an exception from a lint without a reason"]


@pytest.mark.parametrize(
    "text",
    [
        "x = 1  # noqa: S105 - what secrets begin with",
        "x = 1  # noqa: S105, E501 - an address",
        "x = 1  # type: ignore[arg-type] # as it was written",
        "x = 1  # type: ignore[arg-type]  # noqa: S105 - the stub lacks it",
        "# The stub lacks it.\nx = 1  # type: ignore[arg-type]",
        "x = '# noqa'",
    ],
)
def test_an_exception_with_a_reason_beside_it_is_allowed(measure: Measure, text: str) -> None:
    assert measure({"hub/api/module.py": f"\n{text}\n"}).findings == []


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ('[tool.ruff.lint.per-file-ignores]\n"hub/api/*" = ["A002"]', 2),
        ('[tool.ruff.lint.per-file-ignores]\n"tests/*" = [\n    "S",  # tests assert\n    "SLF",\n]', 4),
        ('[tool.ruff.lint]\nselect = [\n    "A",\n]\nignore = [\n    "A005",\n]', 6),
        ('[tool.ruff.lint]\nignore = ["A005"]', 2),
        ('[[tool.mypy.overrides]]\nmodule = "x.*"\nignore_missing_imports = true', 1),
    ],
)
def test_an_exception_in_the_settings_needs_a_reason(measure: Measure, settings: str, line: int) -> None:
    assert measure(settings=settings).findings == [f"pyproject.toml:{line}: an exception from a lint without a reason"]


@pytest.mark.parametrize(
    "settings",
    [
        '[tool.ruff.lint.per-file-ignores]\n"hub/api/*" = ["A002"]  # the words of the contract',
        '[tool.ruff.lint.per-file-ignores]\n"tests/*" = [  # scenarios\n    "S",\n    "SLF",\n]',
        '[tool.ruff.lint]\nignore = [\n    "A005", # modules are named for their noun\n]',
        '[[tool.mypy.overrides]]\nmodule = "x.*" # has no types\nignore_missing_imports = true',
    ],
)
def test_an_exception_in_the_settings_with_a_reason_is_allowed(measure: Measure, settings: str) -> None:
    assert measure(settings=settings).findings == []


@pytest.mark.parametrize(
    ("text", "better"),
    [
        ("class Tools: ...", "ChannelContext"),
        ("def heed(): ...", "on_signal"),
        ("def _mourn(): ...", "on_exit"),
        ("class Loss:\n    vigil: int", "loss detection"),
        ("class Loss:\n    book = None", "history"),
        ("self = None\nself.book = None", "history"),
        ("def f(reign_seconds): ...", "lead"),
        ("def f():\n    is_resting = True", "open"),
        ("import json as seam", "hand-over cursor"),
        ("class LaneVigil: ...", "loss detection"),
    ],
)
def test_a_name_with_a_replaced_word_is_found(measure: Measure, text: str, better: str) -> None:
    measured = measure({"channels/module.py": text})
    assert measured.status == 1
    (finding,) = measured.findings
    assert finding.startswith("channels/module.py:")
    assert finding.endswith(f": say {better}")


@pytest.mark.parametrize("text", ["def f(file):\n    found = file.tell()\n    return found", "def seamless(): ..."])
def test_a_word_of_a_library_or_of_a_local_variable_is_allowed(measure: Measure, text: str) -> None:
    assert measure({"hub/api/module.py": text}).findings == []


@pytest.mark.parametrize(
    ("path", "better"),
    [
        ("hub/stores/redis/numbers.py", "stats"),
        ("hub/vigil/model.py", "loss detection"),
        ("hub/stores/redis/lua/moving.lua", "transfer"),
    ],
)
def test_a_file_with_a_replaced_word_for_its_name_is_found(measure: Measure, path: str, better: str) -> None:
    measured = measure({path: ""})
    assert measured.status == 1
    assert any(finding.endswith(f": say {better}") for finding in measured.findings)


def test_a_word_with_one_meaning_names_one_thing(measure: Measure) -> None:
    assert measure({"hub/api/a.py": "class Lane: ...\n"}).findings == []
    measured = measure({"hub/dispatch/b.py": "Lane = tuple[str, int]\n"})
    assert measured.findings == [
        "hub/api/a.py:1: `Lane` names more than one thing",
        "hub/dispatch/b.py:1: `Lane` names more than one thing",
    ]
    assert measured.status == 1
