"""Compare two results, and describe how they differ."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Relative tolerance, by the coarser dtype of the two. The absolute one is the same, times the largest number expected.
TOLERANCE = {torch.float64: 1e-7, torch.float32: 2e-4, torch.bfloat16: 2e-2, torch.float16: 5e-3}


def same(got: Any, expected: Any) -> bool:
    """Return whether `got` has the kind, the shape and, within their dtypes' tolerance, the numbers of `expected`."""
    if expected is None or got is None:
        return expected is got
    if isinstance(expected, Tensor):
        if not isinstance(got, Tensor) or got.shape != expected.shape or _is_whole(got) != _is_whole(expected):
            return False
    elif isinstance(expected, bool | str):
        return type(got) is type(expected) and got == expected
    elif not _is_number(got):
        return False
    return close(got, expected)


def close(got: Any, expected: Any) -> bool:
    """Return whether shape and numbers agree, whatever kind of value holds them."""
    a, b = as_double(got), as_double(expected)
    if a is None or b is None or a.shape != b.shape:
        return False
    tolerance = max(_tolerance(got), _tolerance(expected))
    scale = b[b.isfinite()].abs().max().item() if b.isfinite().any() else 0.0
    return bool(torch.allclose(a, b, rtol=tolerance, atol=tolerance * max(scale, 1e-6), equal_nan=True))


def as_double(value: Any) -> Tensor | None:
    """Return a result's numbers as a float64 tensor on the CPU; None if it has none."""
    try:
        if isinstance(value, Tensor):
            value = value.detach()
            value = value.to_dense() if value.layout != torch.strided else value
            return None if value.is_complex() else value.to("cpu", torch.float64)
        if isinstance(value, np.ndarray | np.generic | float | int):
            return torch.as_tensor(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError, RuntimeError):
        return None
    return None


def _tolerance(value: Any) -> float:
    if isinstance(value, Tensor):
        return TOLERANCE.get(value.dtype, 0.0)
    return TOLERANCE[torch.float32] if isinstance(value, np.float32) else TOLERANCE[torch.float64]


def _is_whole(value: Tensor) -> bool:
    return not (value.is_floating_point() or value.is_complex())


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int | np.floating | np.integer) and not isinstance(value, bool)


def kind(value: Any) -> str:
    """Describe what a value is, in words for the learner."""
    if value is None:
        return "nothing (`None`)"
    if isinstance(value, Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        return f"a tensor of shape {tuple(value.shape)}" + ("" if dtype == "float32" else f", {dtype}")
    if isinstance(value, np.ndarray):
        return f"a NumPy array of shape {value.shape}"
    if isinstance(value, float | int | np.generic):
        return f"a plain number ({type(value).__name__})"
    if type(value).__module__ == "torch.return_types":
        return f"the values and the indices together, as `{type(value).__name__}` gives them"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} with {len(value)} {'entry' if len(value) == 1 else 'entries'}"
    return f"a {type(value).__name__}"


def numbers(value: Any, most: int = 24, digits: int = 4) -> str:
    """Format a value: its numbers, each with `digits` digits, if they are at most `most`; else its shape and range."""
    found = as_double(value)
    if found is None:
        shown = repr(value)
        return "None" if value is None else shown if len(shown) < 80 and " at 0x" not in shown else kind(value)
    if found.numel() <= most:
        return _listed(found, digits)
    low, high = (_short(number.item(), digits) for number in (found.min(), found.max()))
    return f"{kind(value).removeprefix('a ')}, from {low} to {high}"


def apart(got: Any, expected: Any) -> tuple[str, str]:
    """Format two values that differ, with as many digits as it takes to see the difference."""
    for digits in (4, 5, 6, 7, 9, 12):
        a, b = numbers(got, digits=digits), numbers(expected, digits=digits)
        if a != b:
            break
    return a, b


def shortened(text: str, most: int) -> str:
    """Return a text on one line, cut between words if it is longer than `most` characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most].rsplit(' ', 1)[0]} …"


def _listed(values: Tensor, digits: int) -> str:
    if values.ndim == 0:
        return _short(values.item(), digits)
    return "[" + ", ".join(_listed(value, digits) for value in values) + "]"


def _short(number: float, digits: int = 4) -> str:
    if number == 0 or not math.isfinite(number):
        return f"{number:g}".replace("-0", "0") if number == 0 else str(number)
    if number == round(number) and abs(number) < 1e6:
        return f"{number:.0f}"
    return f"{number:.{digits}g}"


def difference(got: Any, expected: Any) -> str:
    """Describe how one result differs from what was expected in kind, shape or dtype; '' if only in its numbers."""
    if got is None:
        return "Your function returned nothing (`None`): is a `return` missing?"
    if isinstance(expected, Tensor) != isinstance(got, Tensor):
        return _other_kind(got, expected)
    if isinstance(expected, float | int) and not _is_number(got):
        return f"Your function returned {kind(got)}; a plain number is expected."
    a, b = as_double(got), as_double(expected)
    if a is None or b is None:
        return f"Your function returned {kind(got)}, whose numbers can't be compared."
    if a.shape != b.shape:
        return _other_shape(a, b)
    if isinstance(expected, Tensor) and _is_whole(got) != _is_whole(expected):
        wanted = "whole numbers (an integer dtype)" if _is_whole(expected) else "a float dtype"
        return f"It holds {got.dtype}".replace("torch.", "") + f"; {wanted} are expected."
    if a.isnan().any() and not b.isnan().any():
        return "There is NaN (not a number) in it: look for log or square root of a negative number, 0/0, or inf - inf."
    if a.isinf().any() and not b.isinf().any():
        return "There is an infinity in it: look for exp of a large number, log of 0, or a division by 0."
    return ""


def finer(got: Any, expected: Any) -> str:
    """Report numbers in a finer dtype than expected, which a network refuses; '' if they are not."""
    kinds = [str(value.dtype).removeprefix("torch.") if isinstance(value, Tensor) else "" for value in (got, expected)]
    if kinds != ["float64", "float32"]:
        return ""
    return (
        "The numbers are right, but float32 comes in and float64 comes out. A decoder's weights are float32, and it "
        "refuses other codes with an error. NumPy's numbers are float64: stay with torch, which draws in float32, and "
        "keeps the dtype of what is given (`torch.randn_like(mu)`)."
    )


def _other_kind(got: Any, expected: Any) -> str:
    text = f"Your function returned {kind(got)}; "
    if type(got).__module__ == "torch.return_types":
        return f"{text}one of the two is expected, `.values` or `.indices`."
    if not isinstance(expected, Tensor):
        return f"{text}a plain number is expected. `.item()` turns a tensor of one number into one."
    text += f"a tensor of shape {tuple(expected.shape)} is expected."
    if expected.numel() > 1 and close(got, expected):
        text += " For this input the numbers are right, the kind is not."
    if isinstance(got, np.ndarray) and expected.is_floating_point():
        text += " No gradient passes through NumPy: stay with torch."
    return text


def _other_shape(a: Tensor, b: Tensor) -> str:
    text = f"The shape is {tuple(a.shape)}; {tuple(b.shape)} is expected."
    if a.numel() == b.numel():
        if b.numel() > 1 and close(a.reshape(b.shape), b):  # one number may be right by accident
            return (
                f"{text} For this input the numbers are right. But a result of another shape meets others later on, "
                "and is broadcast with them without an error."
            )
        return text
    if a.numel() == 1 and b.numel() > 1:
        for name, number in (("sum", b.sum()), ("mean", b.mean())):
            if close(a.reshape(()), number):
                return f"{text} You return the {name} of what is expected: one number for the whole batch."
        return f"{text} One number for all is not enough."
    if a.ndim == b.ndim == 1 and a.numel() % b.numel() == 0 and close(a.view(len(b), -1).sum(1), b):
        return (
            f"{text} Two axes are folded into one: each picture has {a.numel() // b.numel()} numbers, to be added up."
        )
    if a.ndim > b.ndim and b.ndim and a.shape[: b.ndim] == b.shape:
        for name, less in (("sum", a.flatten(b.ndim).sum(-1)), ("mean", a.flatten(b.ndim).mean(-1))):
            if close(less, b):
                return f"{text} Only the {name} over the last dimensions is missing."
    return text


def relation(pairs: list[tuple[Any, Any]]) -> str:
    """Describe one relation (sign, factor, offset) that holds for all pairs of (got, expected); '' if there is none."""
    got, expected = [], []
    for one, other in pairs:
        a, b = as_double(one), as_double(other)
        if a is None or b is None or a.shape != b.shape:
            return ""
        got.append(a.flatten())
        expected.append(b.flatten())
    a, b = torch.cat(got), torch.cat(expected)
    fine = a.isfinite() & b.isfinite()
    a, b = a[fine].float(), b[fine].float()
    if len(b.unique()) < 3:
        return ""
    if _each(a, b):  # too near to tell a rule
        return ""
    if _each(a, -b):
        return "Everything has the wrong sign."
    factor = ((a * b).sum() / (b * b).sum()).item()
    if abs(factor) > 1e-6 and _each(a, factor * b) and f"{factor:.3g}" != "1":
        return f"Everything is {_times(factor)} what it should be."
    offset = (a - b).mean().item()
    if _each(a - offset, b):
        return f"Everything is too {'large' if offset > 0 else 'small'} by {_short(abs(offset))}."
    if a.std() < 1e-6 * b.std():
        return "It is the same number whatever comes in."
    return ""


def _each(a: Tensor, b: Tensor) -> bool:
    """Return whether every number agrees by itself, however large another may be."""
    return torch.allclose(a, b, rtol=1e-3, atol=1e-4 * min(1.0, b.abs().max().item()))


def _times(factor: float) -> str:
    """Return a factor in words, such as "exactly 1/3 of" or "1.37 times"."""
    sign, size = ("minus ", -factor) if factor < 0 else ("", factor)
    for whole in range(2, 101):
        for value, name in (
            (whole, "twice" if whole == 2 else f"{whole} times"),
            (1 / whole, "half" if whole == 2 else f"1/{whole} of"),
        ):
            if abs(size / value - 1) < 1e-3:
                return f"exactly {sign}{name}"
    return f"{sign}{size:.3g} times"
