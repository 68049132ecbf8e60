"""The house's budgets, measured on every Python file: size, shape, documentation, tests.

    python tools/budgets.py

prints what is over budget and exits 1 if anything is.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILE_LINES, FUNCTION_LINES, PARAMETERS, CLASS_DEPTH = 600, 80, 7, 2
MEDIAN_BODY, P90_BODY, ROOT_EXPORTS = 10, 35, 40
TESTS_PER_LINE = 0.7  # lines of code in tests for a line of code in the package
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "misc.py", "common.py"}
# A scikit-learn estimator has to list every hyper-parameter in its constructor, and a command every
# option in its signature; there is no other place for them.
# The entry points of the engine, the training, the attacks and the certificates name every choice.
WIDE_SIGNATURES = (
    "src/robustq/poisoning/verdict.py",
    "src/robustq/attacks/verdict.py",
    "src/robustq/certify/verdict.py",
    "src/robustq/interop/sklearn.py",
    "src/robustq/cli/",
    "src/robustq/engine/expectations.py",
    "src/robustq/engine/kernels.py",
    "src/robustq/engine/shot_gradients.py",
    "src/robustq/engine/trajectories.py",
    "src/robustq/models/training.py",
)


@dataclass(frozen=True)
class Module:
    """One parsed file."""

    path: Path
    lines: int
    code: int
    tree: ast.Module

    @property
    def name(self) -> str:
        """Path with forward slashes."""
        return self.path.as_posix()


def modules(root: Path, folders: tuple[str, ...]) -> list[Module]:
    """Every Python file below ``folders``."""
    found = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            tree = ast.parse(text)
            found.append(Module(path.relative_to(root), text.count("\n"), code_lines(text, tree), tree))
    return found


def code_lines(text: str, tree: ast.Module) -> int:
    """Lines that are neither blank nor a comment nor in a docstring."""
    told = [n.value for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
    documented = {line for node in told for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    lines = enumerate(text.splitlines(), start=1)
    return sum(number not in documented and line.strip()[:1] not in ("", "#") for number, line in lines)


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without the docstring."""
    body = function.body
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(body) > 1:
        body = body[1:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1


def over_budget(module: Module) -> Iterator[str]:
    """What is wrong with one file."""
    if module.lines > FILE_LINES:
        yield f"{module.name}: {module.lines} lines (budget {FILE_LINES})"
    if module.path.name in FORBIDDEN_NAMES:
        yield f"{module.name}: a name that says nothing"
    for function in functions(module):
        length = (function.end_lineno or 0) - function.lineno + 1
        where = f"{module.name}:{function.lineno} {function.name}"
        if length > FUNCTION_LINES:
            yield f"{where}: {length} lines (budget {FUNCTION_LINES})"
        arguments = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        count = len([a for a in arguments if a.arg not in ("self", "cls")])
        if count > PARAMETERS and not module.name.startswith(WIDE_SIGNATURES):
            yield f"{where}: {count} parameters (budget {PARAMETERS})"


def untested(module: Module) -> Iterator[str]:
    """Tests that cannot fail: no assertion, no expected error, no checking helper."""
    for function in functions(module):
        if not function.name.startswith("test_"):
            continue
        source = ast.unparse(function)
        if not any(word in source for word in ("assert", "raises", "check_", "gradcheck")):
            yield f"{module.name}:{function.lineno} {function.name}: asserts nothing"


def undocumented(module: Module) -> Iterator[str]:
    """Public functions and classes of the package without a docstring."""
    for node in module.tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node) is None:
            yield f"{module.name}:{node.lineno} {node.name}: no docstring"


def deep_classes(found: list[Module]) -> Iterator[str]:
    """Chains of our own classes longer than the budget."""
    parents = {
        node.name: [base.id for base in node.bases if isinstance(base, ast.Name)]
        for module in found
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    }

    def depth(name: str) -> int:
        return 1 + max((depth(p) for p in parents[name] if p in parents and p != name), default=0)

    for name in parents:
        if depth(name) > CLASS_DEPTH:
            yield f"class {name}: {depth(name)} deep (budget {CLASS_DEPTH})"


def shape(found: list[Module]) -> Iterator[str]:
    """The distribution of function bodies, and the size of the root."""
    bodies = sorted(body_lines(f) for module in found for f in functions(module))
    median, p90 = statistics.median(bodies), bodies[int(0.9 * len(bodies))]
    if median > MEDIAN_BODY or p90 > P90_BODY:
        yield f"function bodies: median {median}, p90 {p90} (budget {MEDIAN_BODY}, {P90_BODY})"
    root = next(module for module in found if module.name == "src/robustq/__init__.py")
    exports = [
        len(node.value.elts)
        for node in root.tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)
    ]
    if exports and exports[0] > ROOT_EXPORTS:
        yield f"robustq: {exports[0]} exports (budget {ROOT_EXPORTS})"


def outweighed(tests: list[Module], package: list[Module]) -> Iterator[str]:
    """The package, where it has grown away from its tests."""
    weight = sum(m.code for m in tests) / sum(m.code for m in package)
    if weight < TESTS_PER_LINE:
        yield f"tests: {weight:.2f} lines of code for a line of the package's (budget at least {TESTS_PER_LINE})"


def main() -> int:
    """Print what is over budget; 1 if anything is."""
    root = Path(__file__).resolve().parent.parent
    package, tests = modules(root, ("src",)), modules(root, ("tests",))
    rest = modules(root, ("tools", "perf", "examples", "studies"))
    problems = [line for module in package + tests + rest for line in over_budget(module)]
    problems += [line for module in tests for line in untested(module)]
    problems += [line for module in package for line in undocumented(module)]
    problems += [*deep_classes(package), *shape(package), *outweighed(tests, package)]
    print("\n".join(problems) or "budgets: everything within")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
