"""Notebook 01: a straight road between two codes."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe


def interpolate(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    t = torch.linspace(0, 1, steps, dtype=z_start.dtype, device=z_start.device)
    return z_start + t[:, None] * (z_end - z_start)


def _end_left_out(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    t = torch.arange(steps) / steps
    return z_start + t[:, None] * (z_end - z_start)


def _start_left_out(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    t = torch.arange(1, steps + 1) / steps
    return z_start + t[:, None] * (z_end - z_start)


def _both_ends_left_out(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    t = torch.linspace(0, 1, steps + 2)[1:-1]
    return z_start + t[:, None] * (z_end - z_start)


def _one_too_many(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    t = torch.arange(steps + 1) / steps
    return z_start + t[:, None] * (z_end - z_start)


def _backwards(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    t = torch.linspace(0, 1, steps)
    return z_end + t[:, None] * (z_start - z_end)


def _not_the_difference(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    t = torch.linspace(0, 1, steps)
    return z_start + t[:, None] * z_end


def _start_not_added(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    t = torch.linspace(0, 1, steps)
    return t[:, None] * (z_end - z_start)


def _transposed(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    t = torch.linspace(0, 1, steps)
    return z_start[:, None] + t * (z_end - z_start)[:, None]


def _rounded(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    t = torch.arange(steps) // (steps - 1)
    return z_start + t[:, None] * (z_end - z_start)


def _one_number(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    z = z_start.repeat(steps, 1)
    z[:, 0] = torch.linspace(z_start[0].item(), z_end[0].item(), steps)
    return z


def _along_a_sphere(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    t = torch.linspace(0, 1, steps)[:, None]
    cos = (z_start @ z_end / (z_start.norm() * z_end.norm())).clamp(-0.999999, 0.999999)
    angle = cos.arccos()
    return (((1 - t) * angle).sin() * z_start + (t * angle).sin() * z_end) / angle.sin()


MISTAKES = (
    Mistake(
        "end-left-out",
        _end_left_out,
        "Your road stops one step before its end: `t` goes from 0 to just below 1. The last picture of the walk would "
        "not be the dog, and every step is a little too short. Among `steps` points there are `steps - 1` gaps.",
    ),
    Mistake(
        "start-left-out",
        _start_left_out,
        "Your road arrives, but it does not begin at the start: the first point is already one step on the way. `t` "
        "must begin at 0. Among `steps` points there are `steps - 1` gaps.",
    ),
    Mistake(
        "both-ends-left-out",
        _both_ends_left_out,
        "You return points between the two codes, without the codes themselves. Both ends belong to the road: with "
        "them you see at once whether the walk begins at the cat and ends at the dog.",
    ),
    Mistake(
        "one-too-many",
        _one_too_many,
        "You return `steps + 1` points. `steps` is the number of points, both ends included, so there is one gap less "
        "than points. It is the fence and its posts.",
    ),
    Mistake(
        "backwards",
        _backwards,
        "Your road leads from the end to the start. All points are right, in the reverse order: at `t = 0` it should "
        "be `z_start`.",
    ),
    Mistake(
        "not-the-difference",
        _not_the_difference,
        "You add a growing share of `z_end` to the whole of `z_start`, so you arrive at their *sum*, out beyond both. "
        "What has to grow is the share of the way: `z_end - z_start`. (Or let the share of `z_start` shrink.)",
    ),
    Mistake(
        "start-not-added",
        _start_not_added,
        "You walk the right way, but from the origin: your first point is 0, not `z_start`. In code space 0 is a "
        "place like any other and decodes to some picture, so nothing looks broken; only it is neither the cat's nor "
        "the dog's.",
    ),
    Mistake(
        "transposed",
        _transposed,
        "Rows and columns are exchanged: each row should be one code, as the decoder takes them, (steps, latent). You "
        "return (latent, steps). If the two happen to be equal, no error tells you, and the pictures are nonsense.",
    ),
    Mistake(
        "rounded",
        _rounded,
        "You wait at the start and jump at the last step: the division rounds down, so `t` is 0, 0, … and then 1. In "
        "Python `//` divides whole numbers without a remainder; `/` is the division you want, or `torch.linspace`.",
    ),
    Mistake(
        "one-number",
        _one_number,
        "Only the first number of the code moves; the others stay at the start. All numbers of a code travel at once, "
        "each from its own start to its own end.",
    ),
    Mistake(
        "along-a-sphere",
        _along_a_sphere,
        "You walk along an arc around 0 (spherical interpolation). Some do so with codes drawn from a Gaussian, to "
        "stay at the usual distance from 0. But it is not the straight road that is asked for here, and an "
        "autoencoder's codes lie around no particular center.",
    ),
)


def _codes(steps: int, latent_dim: int, seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor | int]:
    dice = torch.Generator().manual_seed(seed)
    start, end = (2 * torch.randn(latent_dim, generator=dice, dtype=torch.float64).to(dtype) for _ in range(2))
    return {"z_start": start, "z_end": end, "steps": steps}


EXERCISE = Exercise(
    name="interpolate",
    task="""**Your turn.** Write `interpolate(z_start, z_end, steps)`: the codes on the straight road from one code to
another, evenly spaced. The two codes are tensors of shape (latent,). What comes out has shape (steps, latent), one
code in each row; the first row is `z_start`, the last one `z_end`.""",
    stub="interpolate(z_start, z_end, steps)",
    hints=(
        "Halfway is `z_start + 0.5 * (z_end - z_start)`. Which numbers take the place of 0.5 at the first row, at the "
        "last, and between?",
        "`torch.linspace(0, 1, steps)` gives those numbers, both ends included, with shape (steps,). The road's shape "
        "is (steps, latent), so each number has to meet a whole code.",
        "Make it a column: `t[:, None]` has shape (steps, 1). Times a code of shape (latent,), it broadcasts to "
        "(steps, latent).",
    ),
    solution=interpolate,
    mistakes=MISTAKES,
    right="A straight road, evenly spaced, with both ends, for codes of one, two, three and eight numbers. Give it to "
    "a decoder and you see what lies between two pictures.",
    probes=(
        Probe(
            lambda: {"z_start": torch.tensor([1.0, 0.0]), "z_end": torch.tensor([3.0, 8.0]), "steps": 5},
            "two numbers, five points",
        ),
        Probe(lambda: _codes(2, 3, seed=1), "only the two ends"),
        Probe(lambda: _codes(3, 1, seed=2), "codes of one number"),
        Probe(lambda: _codes(8, 8, seed=3), "as many points as numbers"),
        Probe(lambda: _codes(4, 3, seed=4, dtype=torch.float64), "float64"),
    ),
)
