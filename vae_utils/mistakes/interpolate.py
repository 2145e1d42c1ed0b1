"""Wrong ways to write `interpolate`: a straight road between two codes."""

import torch
from torch import Tensor

from .mistake import mistake


@mistake
def end_left_out(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    """Your road stops one step before its end: `t` goes from 0 to just below 1. The last picture of the walk would not
    be the dog, and every step is a little too short. Among `steps` points there are `steps - 1` gaps."""
    t = torch.arange(steps) / steps
    return z_start + t[:, None] * (z_end - z_start)


@mistake
def start_left_out(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    """Your road arrives, but it does not begin at the start: the first point is already one step on the way. `t` must
    begin at 0. Among `steps` points there are `steps - 1` gaps."""
    t = torch.arange(1, steps + 1) / steps
    return z_start + t[:, None] * (z_end - z_start)


@mistake
def both_ends_left_out(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    """You return points between the two codes, without the codes themselves. Both ends belong to the road: with them
    you see at once whether the walk begins at the cat and ends at the dog."""
    t = torch.linspace(0, 1, steps + 2)[1:-1]
    return z_start + t[:, None] * (z_end - z_start)


@mistake
def one_too_many(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    """You return `steps + 1` points. `steps` is the number of points, both ends included, so there is one gap less than
    points. It is the fence and its posts."""
    t = torch.arange(steps + 1) / steps
    return z_start + t[:, None] * (z_end - z_start)


@mistake
def backwards(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    """Your road leads from the end to the start. All points are right, in the reverse order: at `t = 0` it should be
    `z_start`."""
    t = torch.linspace(0, 1, steps)
    return z_end + t[:, None] * (z_start - z_end)


@mistake
def not_the_difference(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    """You add a growing share of `z_end` to the whole of `z_start`, so you arrive at their *sum*, out beyond both. What
    has to grow is the share of the way: `z_end - z_start`. (Or let the share of `z_start` shrink.)"""
    t = torch.linspace(0, 1, steps)
    return z_start + t[:, None] * z_end


@mistake
def start_not_added(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    """You walk the right way, but from the origin: your first point is 0, not `z_start`. In code space 0 is a place
    like any other and decodes to some picture, so nothing looks broken; only it is neither the cat's nor the dog's."""
    t = torch.linspace(0, 1, steps)
    return t[:, None] * (z_end - z_start)


@mistake
def transposed(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    """Rows and columns are exchanged: each row should be one code, as the decoder takes them, (steps, latent). You
    return (latent, steps). If the two happen to be equal, no error tells you, and the pictures are nonsense."""
    t = torch.linspace(0, 1, steps)
    return z_start[:, None] + t * (z_end - z_start)[:, None]


@mistake
def rounded(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    """You wait at the start and jump at the last step: the division rounds down, so `t` is 0, 0, … and then 1. In
    Python `//` divides whole numbers without a remainder; `/` is the division you want, or `torch.linspace`."""
    t = torch.arange(steps) // (steps - 1)
    return z_start + t[:, None] * (z_end - z_start)


@mistake
def one_number(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    """Only the first number of the code moves; the others stay at the start. All numbers of a code travel at once, each
    from its own start to its own end."""
    z = z_start.repeat(steps, 1)
    z[:, 0] = torch.linspace(z_start[0].item(), z_end[0].item(), steps)
    return z


@mistake
def along_a_sphere(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    """You walk along an arc around 0 (spherical interpolation). Some do so with codes drawn from a Gaussian, to stay at
    the usual distance from 0. But it is not the straight road that is asked for here, and an autoencoder's codes lie
    around no particular center."""
    t = torch.linspace(0, 1, steps)[:, None]
    cos = (z_start @ z_end / (z_start.norm() * z_end.norm())).clamp(-0.999999, 0.999999)
    angle = cos.arccos()
    return (((1 - t) * angle).sin() * z_start + (t * angle).sin() * z_end) / angle.sin()
