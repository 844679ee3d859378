"""The house has floors, and imports go down only.

Read from the sources, not from what happens to be imported: an import inside a function, for type checkers,
by ``import_module`` with a literal name, or a ``cimport`` counts like one at the top of a file.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What is not named here is floor 0 if it is fastml.exceptions or fastml._anything, and else has no floor.
FLOORS = {
    1: ["fastml.kernels"],
    2: ["fastml.solvers"],
    3: ["fastml.linear_model", "fastml.svm", "fastml.neural_network", "fastml.keras"],
    4: [
        *("fastml.accel", "fastml.datasets", "fastml.automl", "fastml.distributed", "fastml.inspection"),
        *("fastml.privacy", "fastml.__main__", "fastml._patch", "fastml._show_versions"),
    ],
}

# Rooms that don't know of each other. Files directly in fastml/kernels are the contract that backends share.
SIBLINGS = [
    FLOORS[3],
    ["fastml.kernels.reference", "fastml.kernels.cpu", "fastml.kernels.cuda"],
]

# (importing module, imported name): work that a GPU fit does on the host, with the CPU's routine; Keras' models as
# scikit-learn's estimators, by their public names.
ALLOWED_SIDEWAYS = {
    ("fastml.neural_network._sequential", "fastml.keras"),
    ("fastml.neural_network._cnn", "fastml.keras"),
    ("fastml.kernels.cuda.sgd", "fastml.kernels.cpu.sgd.shuffle"),
    ("fastml.kernels.cuda.gram", "fastml.kernels.cpu.gram.pair_values"),
    ("fastml.kernels.cuda.gram", "fastml.kernels.cpu.gram.pair_votes"),
}

CYTHON_IMPORT = re.compile(
    r"^\s*from\s+(?P<package>[.\w]+)\s+c?import\s+\(?(?P<names>[^#\n]+)|^\s*c?import\s+(?P<modules>[^#\n]+)",
    re.M,
)


@dataclass(frozen=True)
class Import:
    """One import: of ``name`` (``a.b`` for ``from a import b``), which lies in the module ``imported``."""

    file: Path
    line: int
    importer: str
    imported: str
    name: str

    def __str__(self):
        return f"{self.file}:{self.line}: {self.importer} imports {self.imported}"


def floor(module: str) -> int:
    """The floor that ``module`` is on.

    Raises
    ------
    LookupError
        If the house has no place for it.
    """
    if module == "fastml":
        return 4
    for number, packages in FLOORS.items():
        if any(_is_within(module, package) for package in packages):
            return number
    name = module.split(".")[1]
    if name == "exceptions" or name.startswith("_"):
        return 0
    raise LookupError(f"{module} is on no floor: give it one in FLOORS")


def violations(root: Path) -> list[str]:
    """Every import in the tree at ``root`` that goes up or sideways, told with file, line and floors."""
    return [
        f"{found} {complaint}"
        for found in fastml_imports(root)
        if (complaint := _complaint(found)) is not None
    ]


def _complaint(found: Import) -> str | None:
    upper, lower = floor(found.importer), floor(found.imported)
    if lower > upper:
        return f"(floor {upper} imports floor {lower})"
    rooms = {_room(found.importer), _room(found.imported)}
    are_siblings = len(rooms) == 2 and any(rooms <= set(siblings) for siblings in SIBLINGS)
    is_allowed = (found.importer, found.name) in ALLOWED_SIDEWAYS
    return f"(floor {upper}, sideways)" if are_siblings and not is_allowed else None


def _room(module: str) -> str | None:
    """The one of the siblings, of any floor, that ``module`` lies in."""
    rooms = [room for siblings in SIBLINGS for room in siblings if _is_within(module, room)]
    return rooms[0] if rooms else None


def _is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def fastml_imports(root: Path) -> Iterator[Import]:
    """Every import of one module of fastml by another, in Python and Cython sources."""
    for file in sorted((root / "fastml").rglob("*.py")):
        for line, name in _python_imports(file.read_text(), _package(root, file)):
            yield from _import(root, file, line, name)
    for file in sorted(file for suffix in ("pyx", "pxd", "pxi") for file in root.glob(f"*/**/*.{suffix}")):
        for line, name in _cython_imports(file.read_text(), _package(root, file)):
            yield from _import(root, file, line, name)


def _import(root: Path, file: Path, line: int, name: str) -> Iterator[Import]:
    if _is_within(name, "fastml"):
        yield Import(file.relative_to(root), line, _module(root, file), _existing_module(root, name), name)


def _module(root: Path, file: Path) -> str:
    """The dotted name that ``file`` is imported by; what is built from src_ext is the CPU backend's."""
    if root / "src_ext" in file.parents:
        return f"fastml.kernels.cpu.{file.stem}"
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _package(root: Path, file: Path) -> str:
    """The package that a relative import in ``file`` starts from."""
    module = _module(root, file)
    return module if file.stem == "__init__" else module.rpartition(".")[0]


def _existing_module(root: Path, name: str) -> str:
    """``name`` if it is a module of fastml, else the module that it is an attribute of."""
    path = root.joinpath(*name.split("."))
    is_module = path.is_dir() or path.with_suffix(".py").exists()
    return name if is_module or name == "fastml" else name.rpartition(".")[0]


def _python_imports(source: str, package: str) -> Iterator[tuple[int, str]]:
    """The line and the absolute dotted name of every import; ``a.b`` for ``from a import b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _is_import_by_name(node):
            yield node.lineno, resolve_name(node.args[0].value, package)


def _is_import_by_name(call: ast.Call) -> bool:
    called = getattr(call.func, "attr", getattr(call.func, "id", ""))
    literal = (
        bool(call.args) and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    )
    return called in ("import_module", "__import__") and literal


def _cython_imports(source: str, package: str) -> Iterator[tuple[int, str]]:
    """As `_python_imports`, for Cython, which ``ast`` can't parse."""
    for match in CYTHON_IMPORT.finditer(source):
        line = source.count("\n", 0, match.start()) + 1
        if match["modules"]:
            yield from ((line, name) for name in _imported_names(match["modules"]))
        else:
            origin = resolve_name(match["package"], package)
            yield from ((line, f"{origin}.{name}") for name in _imported_names(match["names"]))


def _imported_names(text: str) -> list[str]:
    """``a`` and ``c`` of ``a as b, c)``."""
    return [part.split()[0] for part in text.strip(" ()\\").split(",") if part.strip()]


def test_imports_go_down_only():
    found = violations(ROOT)
    assert not found, "\n".join(found)


def test_every_file_has_a_floor():
    files = list((ROOT / "fastml").rglob("*.py"))
    assert files
    assert {floor(_module(ROOT, file)) for file in files} <= set(range(5))


def test_no_allowance_is_left_over():
    assert {(found.importer, found.name) for found in fastml_imports(ROOT)} >= ALLOWED_SIDEWAYS


@pytest.fixture
def house(tmp_path):
    """A small tree with one module in every room that the tests below import from."""
    for module in (
        *("_config", "exceptions", "_patch", "kernels/shapes", "kernels/cpu/sgd", "kernels/cuda/sgd"),
        *("solvers/sgd", "linear_model/_sgd", "svm/_classes", "datasets/_mnist"),
    ):
        file = tmp_path / "fastml" / f"{module}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        (file.parent / "__init__.py").touch()
    (tmp_path / "src_ext" / "sgd").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("fastml/_config.py", "import fastml.kernels.cpu.sgd", "(floor 0 imports floor 1)"),
        ("fastml/kernels/cpu/sgd.py", "from fastml.solvers import sgd", "(floor 1 imports floor 2)"),
        ("fastml/kernels/cpu/sgd.py", "from ...solvers.sgd import run", "(floor 1 imports floor 2)"),
        ("fastml/solvers/sgd.py", "def f():\n    from .. import linear_model", "(floor 2 imports floor 3)"),
        ("fastml/solvers/__init__.py", "from .. import svm", "(floor 2 imports floor 3)"),
        ("fastml/solvers/sgd.py", "from fastml import set_config", "(floor 2 imports floor 4)"),
        ("fastml/linear_model/_sgd.py", "from fastml._patch import patch", "(floor 3 imports floor 4)"),
        ("fastml/_config.py", "import_module('fastml.datasets')", "(floor 0 imports floor 4)"),
        ("fastml/svm/_classes.py", "from fastml.linear_model import _sgd", "(floor 3, sideways)"),
        ("fastml/kernels/cuda/sgd.py", "from fastml.kernels import cpu", "(floor 1, sideways)"),
        ("fastml/kernels/cuda/sgd.py", "from fastml.kernels.cpu.sgd import epoch", "(floor 1, sideways)"),
        ("src_ext/sgd/_sgd.pyx", "cimport numpy, fastml.solvers.sgd as s", "(floor 1 imports floor 2)"),
        ("src_ext/sgd/_sgd.pyx", "from fastml.kernels.cuda cimport sgd  # why", "(floor 1, sideways)"),
        ("fastml/kernels/cpu/_sgd.pxd", "from ...solvers cimport sgd", "(floor 1 imports floor 2)"),
    ],
)
def test_an_import_that_goes_up_or_sideways_is_caught(house, file, source, complaint):
    (house / file).write_text(f"\n{source}\n")
    (violation,) = violations(house)
    assert violation.startswith(f"{file}:")
    assert violation.endswith(complaint)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("fastml/__init__.py", "from fastml._config import set_config\nfrom fastml._patch import patch"),
        ("fastml/_patch.py", "from fastml import svm"),
        ("fastml/linear_model/_sgd.py", "from fastml.solvers import sgd\nfrom fastml import exceptions"),
        ("fastml/kernels/cpu/sgd.py", "from fastml.kernels.shapes import Rule\nfrom . import _sgd"),
        ("fastml/kernels/cuda/sgd.py", "import numpy.kernels.cpu"),
        ("fastml/kernels/cuda/sgd.py", "from fastml.kernels.cpu.sgd import shuffle"),
        ("src_ext/sgd/_sgd.pyx", "from fastml.kernels.cpu cimport _runtime\nfrom fastml._config import x"),
    ],
)
def test_an_import_that_goes_down_is_let_through(house, file, source):
    (house / file).write_text(source)
    assert violations(house) == []


def test_a_file_outside_the_house_is_an_error(house):
    (house / "fastml" / "attic.py").write_text("import fastml._config")
    with pytest.raises(LookupError, match="attic"):
        violations(house)
