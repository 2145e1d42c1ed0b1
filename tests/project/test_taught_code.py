"""What a notebook defines and `vae_utils` has under the same name is the same code, but for docstrings, type hints
and checks of the input, which a lesson leaves out."""

import ast
import difflib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager

PACKAGE = Path(__file__).parents[2] / "vae_utils"
MODULES = ("models", "likelihoods", "losses", "objectives", "training", "start")
CHECKS = {"same_shape"}
Definition = ast.FunctionDef | ast.ClassDef


class Essence(ast.NodeTransformer):
    """Takes docstrings, type hints and input checks out of a syntax tree."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        return self.without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        return self.without_docstring(node)

    def without_docstring(self, node: Definition) -> Definition:
        if ast.get_docstring(node) is not None:
            del node.body[0]
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.Assign | None:
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value else None

    def visit_If(self, node: ast.If) -> ast.If | None:
        only_raises = len(node.body) == 1 and isinstance(node.body[0], ast.Raise) and not node.orelse
        return None if only_raises else self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        call = node.value
        is_check = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in CHECKS
        return None if is_check else self.generic_visit(node)


def definitions(source: str) -> Iterator[Definition]:
    """The functions and classes at the top level of a source."""
    return (node for node in ast.parse(source).body if isinstance(node, Definition))


def essence(node: Definition) -> Definition:
    """What must be the same; the node itself stays as it is."""
    return ast.fix_missing_locations(Essence().visit(ast.parse(ast.unparse(node)).body[0]))


def difference(taught: Definition, imported: Definition) -> str:
    """Empty where both are the same code, else what differs, line by line."""
    ours, theirs = essence(taught), essence(imported)
    if ast.dump(ours) == ast.dump(theirs):
        return ""
    texts = [ast.unparse(tree).splitlines() for tree in (theirs, ours)]
    return "\n".join(difflib.unified_diff(*texts, "vae_utils", "notebook", lineterm="")) or "the syntax trees differ"


EXERCISE = re.compile(r"^exercises\.\w+\.check\(", re.MULTILINE)  # the last line of an exercise's cell


def taught_in(notebook: Path) -> list[Definition]:
    """What the code cells of a notebook define at their top level, but for exercises, which are for the learner."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    written = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    sources = [source for source in written if not EXERCISE.search(source)]
    transform = TransformerManager().transform_cell  # IPython's own syntax becomes Python's
    return [node for source in sources for node in definitions(transform(source))]


def imported() -> dict[str, Definition]:
    """What the modules define that notebooks take their models, losses and training from."""
    sources = ((PACKAGE / f"{module}.py").read_text(encoding="utf-8") for module in MODULES)
    return {node.name: node for source in sources for node in definitions(source)}


def test_taught_code_is_the_imported_code(notebook: Path) -> None:
    package = imported()
    differences = [difference(node, package[node.name]) for node in taught_in(notebook) if node.name in package]
    assert not any(differences), "\n\n".join(filter(None, differences))


def test_first_notebook_teaches_the_autoencoder(root: Path) -> None:
    names = {node.name for node in taught_in(root / "notebooks" / "01_autoencoder.ipynb")}
    assert names & imported().keys() >= {"mlp", "Autoencoder", "squared_error"}


# The comparer itself

FULL = '''
class Scale(Base):
    """Multiply."""

    def __init__(self, factor: float = 2.0, *, name: str | None = None) -> None:
        """Keep it."""
        if factor < 0:
            raise ValueError(f"factor is {factor}")
        self.factor: float = factor
        done: bool
        self.sizes = [factor for factor in range(3) if factor]

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        same_shape(x=x, y=y)
        inner: Callable[[Tensor], Tensor] = lambda v: v * self.factor
        if y is None:
            return x
        return inner(x) + 3

    def nothing(self) -> None:
        """A docstring is its whole body."""
'''
BARE = """
class Scale(Base):
    def __init__(self, factor=2.0, *, name=None):
        self.factor = factor
        self.sizes = [factor for factor in range(3) if factor]

    def __call__(self, x, y):
        inner = lambda v: v * self.factor  # a remark
        if y is None:
            return x
        return inner(x) + 3

    def nothing(self):
        pass
"""


def compare(taught: str, package: str) -> str:
    return difference(*(next(definitions(source)) for source in (taught, package)))


def test_docstrings_hints_and_checks_are_passed_over() -> None:
    assert compare(BARE, FULL) == compare(FULL, BARE) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("factor=2.0", "factor=3.0"),
        ("+ 3", "+ 4"),
        ("+ 3", "- 3"),
        ("x, y", "y, x"),
        ("*, name", "name"),
        ("Scale(Base)", "Scale(Other)"),
        ("    def __init__", "    @cached\n    def __init__"),
        ("return x\n", "raise ValueError\n        else:\n            x = y\n"),
        ("self.factor = factor", "self.factor = factor\n        self.more = 0"),
        ("self.factor = factor", "_other_call(factor)"),
        ("    def nothing(self):\n        pass\n", ""),
        ("def nothing", "def something"),
    ],
)
def test_each_change_of_the_code_is_seen(old: str, new: str) -> None:
    assert BARE.count(old) == 1
    assert "\n@@ " in compare(BARE.replace(old, new), FULL)


def test_a_changed_constant_of_a_function_is_shown() -> None:
    shown = compare("def f(x):\n    return 0.5 * x", 'def f(x: int) -> int:\n    """Half."""\n    return 0.25 * x')
    assert "-    return 0.25 * x" in shown and "+    return 0.5 * x" in shown


def test_notebook_code_is_read_cell_by_cell(tmp_path: Path) -> None:
    sources = ["%matplotlib inline\nx = 1", ["def a():\n", "    return 1"], "def outer():\n    def b(): ...", "# none"]
    cells = [{"cell_type": "code", "source": source} for source in sources]
    cells.insert(1, {"cell_type": "markdown", "source": "def c(): no code"})
    path = tmp_path / "made_up.ipynb"
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert [node.name for node in taught_in(path)] == ["a", "outer"]
