"""Right solutions with one change each: a check passes exactly those that still compute the same.

Whether they do is asked of the solution itself, on random inputs, and not of the check.
"""

from __future__ import annotations

import ast
import copy
import importlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from vae_utils import exercises

EACH = 60  # mutants of an exercise
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}
CALLS = {
    "sum": "mean",
    "mean": "sum",
    "square": "abs",
    "abs": "square",
    "exp": "log1p",
    "log": "exp",
    "argmin": "argmax",
}
NUMBERS = {0: 1, 1: 0, 2: 1, -1: 0, 0.5: 1.0}

Mutate = Callable[[ast.AST], None]


def changes(node: ast.AST) -> Iterator[Mutate]:
    """What can be changed in one place of a function."""
    match node:
        case ast.BinOp(op=op) if type(op) in OPERATORS:
            yield lambda node: setattr(node, "op", OPERATORS[type(node.op)]())
            yield lambda node: node.__dict__.update(left=node.right, right=node.left)
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            yield lambda node: setattr(node, "value", NUMBERS.get(node.value, 2 * node.value))
        case ast.Call(func=ast.Attribute(attr=name)) if name in CALLS:
            yield lambda node: setattr(node.func, "attr", CALLS[node.func.attr])
        case ast.Call(args=[_, _, *_]):
            yield lambda node: setattr(node, "args", [node.args[1], node.args[0], *node.args[2:]])
        case ast.UnaryOp(op=ast.USub()):
            yield lambda node: setattr(node, "op", ast.UAdd())


def mutants(name: str) -> list[tuple[str, Callable[..., Any]]]:
    """As many mutants as are wanted, the same ones each time, with their code."""
    module: ModuleType = importlib.import_module(f"tests.exercises.right.{name}")
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    found = []
    for function in (part for part in tree.body if isinstance(part, ast.FunctionDef) and part.name[0] != "_"):
        for place, node in enumerate(ast.walk(function)):
            for change in changes(node):
                mutant = copy.deepcopy(function)
                change([*ast.walk(mutant)][place])
                code, known = ast.unparse(ast.fix_missing_locations(mutant)), dict(vars(module))
                exec(compile(code, function.name, "exec"), known)
                found.append((code, known[function.name]))
    return random.Random(0).sample(found, min(EACH, len(found)))


def inputs(name: str) -> list[tuple[Any, ...]]:
    """Random arguments."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def pixels(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    shapes = (1, 1, 3, 3), (3, 1, 4, 4), (5, 3, 2, 2)
    match name:
        case "gaussian_kl":
            return [(normal(*size), normal(*size)) for size in ((1, 1), (3, 2), (5, 7))]
        case "bernoulli_nll":
            return [(3 * normal(*shape), pixels(*shape)) for shape in shapes]
        case "negative_elbo":
            betas: tuple[tuple[float, ...], ...] = (), (0.5,), (4.0,)
            codes = ((normal(len_, 2), normal(len_, 2)) for len_ in (1, 3, 5))
            parts = zip(shapes, codes, betas, strict=True)
            return [(3 * normal(*shape), pixels(*shape), *code, *beta) for shape, code, beta in parts]
        case "reconstruction_error":
            return [(pixels(*shape), pixels(*shape)) for shape in shapes]
        case "interpolate":
            return [(normal(size), normal(size), steps) for size, steps in ((1, 2), (3, 5), (8, 10))]
        case _:
            return [(pixels(n, 1, 3, 3), pixels(m, 1, 3, 3)) for n, m in ((1, 4), (5, 7), (3, 20))]


def same(name: str, function: Callable[..., Any]) -> bool:
    """Whether a function computes what the solution does."""
    answer = getattr(exercises, name).answer
    for arguments in inputs(name):
        expected = answer(*arguments)
        try:
            found = function(*(part.clone() if isinstance(part, Tensor) else part for part in arguments))
        except Exception:
            return False
        if not isinstance(found, Tensor) or found.shape != expected.shape:
            return False
        if not torch.allclose(found.double(), expected.double(), rtol=1e-4, atol=1e-5):
            return False
    return True


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["gaussian_kl", "bernoulli_nll", "negative_elbo", "reconstruction_error", "interpolate", "nearest_real"]
)
def test_mutants_pass_if_and_only_if_they_compute_the_same(name: str) -> None:
    tried = mutants(name)
    assert len(tried) == EACH
    passed = [bool(getattr(exercises, name).check(function).passed) for _, function in tried]
    right = [same(name, function) for _, function in tried]
    misjudged = [code for (code, _), a, b in zip(tried, passed, right, strict=True) if a != b]
    assert misjudged == [] and 0 < sum(right) < EACH / 2
