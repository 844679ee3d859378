"""A kernel family is found in six places under one name, and its backends keep one contract.

The contract is the public functions of ``fastml/kernels/reference/<family>.py``: its ``__all__``, or where it
has none, the functions it defines whose names have no leading underscore. A family that is left out on a
device says so in its reference module: ``LEFT_OUT = {"cuda": "why"}``.
"""

import ast
import copy
import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DEVICES = ("cpu", "cuda")

# Modules of the backends that compute nothing themselves: no C sources of their own, nothing to time.
WITHOUT_ARITHMETIC = {"arrays", "plan"}


def source_of(device: str, family: str) -> Path:
    return ROOT / "fastml" / "kernels" / device / f"{family}.py"


def families_in(device: str) -> list[str]:
    return sorted(file.stem for file in source_of(device, "any").parent.glob("[!_]*.py"))


def parsed(device: str, family: str) -> ast.Module:
    return ast.parse(source_of(device, family).read_text())


def constant(module: ast.Module, name: str, default: object) -> object:
    """The literal that ``module`` assigns to ``name`` at its top level."""
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    return default


def left_out(family: str) -> dict[str, str]:
    """Why ``family`` is left out, by device."""
    return constant(parsed("reference", family), "LEFT_OUT", {})


def functions(module: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}


def contract(module: ast.Module) -> list[str]:
    """The names of the functions that a kernel module offers."""
    defined = [name for name in functions(module) if not name.startswith("_")]
    return sorted(constant(module, "__all__", defined))


def definition(module: str, name: str) -> ast.FunctionDef | None:
    """The function that ``module`` calls ``name``, found through its imports; None where that is compiled."""
    source = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    if not source.exists():
        return None
    tree = ast.parse(source.read_text())
    if name in functions(tree):
        return functions(tree)[name]
    (origin,) = [
        (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if (alias.asname or alias.name) == name
    ]
    return definition(*origin)


def written_parameters(function: ast.FunctionDef) -> str:
    """The parameter list as written, less its annotations."""
    arguments = copy.deepcopy(function.args)
    for node in ast.walk(arguments):
        if isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(arguments)


def parameters(function: Callable) -> list[tuple]:
    """Name, kind and default of each parameter; annotations may differ."""
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def places(family: str) -> list[Path]:
    """Every path that ``family`` must have beside its reference."""
    devices = [device for device in DEVICES if device not in left_out(family)]
    paths = [source_of(device, family) for device in devices]
    paths.append(ROOT / "tests" / "kernels" / f"test_{family}.py")
    if family not in WITHOUT_ARITHMETIC:
        paths.append(ROOT / "benchmarks" / f"bench_{family}.py")
        if "cpu" in devices:
            paths.append(ROOT / "src_ext" / family)
    return paths


FAMILIES = families_in("reference")
each_family = pytest.mark.parametrize("family", FAMILIES)


def each_family_on(device: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "family", [family for family in FAMILIES if device not in left_out(family)]
    )


def test_there_are_families():
    assert set(FAMILIES) > WITHOUT_ARITHMETIC


@each_family
def test_a_family_is_in_all_its_places(family):
    missing = [str(path.relative_to(ROOT)) for path in places(family) if not path.exists()]
    assert not missing, f"{family} lacks {', '.join(missing)}"


@each_family
def test_a_device_is_left_out_with_a_reason(family):
    reasons = left_out(family)
    assert reasons.keys() <= set(DEVICES)
    assert all(reason.strip() for reason in reasons.values())


@each_family
def test_the_contract_is_documented(family):
    reference = parsed("reference", family)
    undocumented = [name for name in contract(reference) if not ast.get_docstring(functions(reference)[name])]
    assert undocumented == []


@pytest.mark.parametrize("device", DEVICES)
def test_a_backend_has_no_family_of_its_own(device):
    kept = {family for family in FAMILIES if device not in left_out(family)}
    assert set(families_in(device)) <= kept


@each_family_on("cpu")
def test_cpu_keeps_the_contract(family):
    names = contract(parsed("reference", family))
    assert contract(parsed("cpu", family)) == names
    # Compared as imported: what is compiled has no Python source.
    reference, cpu = (import_module(f"fastml.kernels.{device}.{family}") for device in ("reference", "cpu"))
    differing = [
        name for name in names if parameters(getattr(cpu, name)) != parameters(getattr(reference, name))
    ]
    assert differing == []


@each_family_on("cuda")
def test_cuda_keeps_the_contract(family):
    names = contract(parsed("reference", family))
    assert contract(parsed("cuda", family)) == names
    # Compared as written: importing it takes Numba's CUDA target. What is compiled is the CPU's own.
    reference = functions(parsed("reference", family))
    cuda = {name: definition(f"fastml.kernels.cuda.{family}", name) for name in names}
    differing = [
        name
        for name, function in cuda.items()
        if function is not None and written_parameters(function) != written_parameters(reference[name])
    ]
    assert differing == []
