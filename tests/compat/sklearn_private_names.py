"""Which private names of scikit-learn a test reads: the only ground on which it may be excepted."""

import ast
from collections.abc import Iterable, Iterator

# Calls that take an attribute's name as a string: ``hasattr(clf, "_average_coef")`` reads it too.
# ``object`` is mock's ``patch.object``.
CALLS_BY_STRING = frozenset({"getattr", "hasattr", "setattr", "delattr", "object"})


def private_reads(source: str, test: str) -> list[str]:
    """The private names of scikit-learn that the function ``test`` in the module text ``source`` reads.

    A read is an attribute with a leading underscore, by dot or by string, or a name that the module (or the
    test) imports from scikit-learn by a path with such a part. ``sklearn.utils`` and the ``tests`` packages
    are no ground: their private modules are the tools that scikit-learn's tests are written with, and fastml
    replaces none of them.
    """
    module = ast.parse(source)
    function = _find_function(module, test)
    imported = {**_imported_paths(module.body), **_imported_paths(ast.walk(function))}
    return sorted({name for node in ast.walk(function) for name in _reads_of(node, imported)})


def _find_function(module: ast.Module, test: str) -> ast.FunctionDef:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and node.name == test:
            return node
    raise LookupError(f"no test function {test!r}")


def _imported_paths(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """The dotted path behind every name that the import statements among ``nodes`` bind."""
    paths = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            paths.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
        elif isinstance(node, ast.Import):
            aliases = {alias.asname: alias.name for alias in node.names if alias.asname}
            roots = {alias.name.split(".")[0] for alias in node.names if not alias.asname}
            paths.update(aliases, **{root: root for root in roots})
    return paths


def _reads_of(node: ast.AST, imported: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield from _private_import(imported.get(node.id, ""))
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        yield from _private_attribute(node.value, node.attr, imported)
    elif isinstance(node, ast.Call) and _called_name(node) in CALLS_BY_STRING and len(node.args) > 1:
        owner, name = node.args[:2]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield from _private_attribute(owner, name.value, imported)


def _private_import(path: str) -> Iterator[str]:
    if not _is_foreign(path) and any(map(_is_private, path.split("."))):
        yield path


def _private_attribute(owner: ast.expr, name: str, imported: dict[str, str]) -> Iterator[str]:
    """``name``, unless ``owner`` is known to come from elsewhere than scikit-learn's estimators."""
    path = _dotted_path(owner, imported)
    if _is_private(name) and (path is None or not _is_foreign(f"{path}.{name}")):
        yield name


def _dotted_path(value: ast.expr, imported: dict[str, str]) -> str | None:
    """``sklearn.svm.SVC`` for ``svm.SVC``; None for what is not imported, such as a fitted estimator."""
    attributes = []
    while isinstance(value, ast.Attribute):
        attributes.append(value.attr)
        value = value.value
    if not isinstance(value, ast.Name) or value.id not in imported:
        return None
    return ".".join([imported[value.id], *reversed(attributes)])


def _is_foreign(path: str) -> bool:
    return not path.startswith("sklearn.") or path.startswith("sklearn.utils.") or ".tests." in path


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def _called_name(call: ast.Call) -> str:
    """``f`` for ``f(...)`` and for ``anything.f(...)``."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))
