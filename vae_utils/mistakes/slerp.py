"""Wrong ways to write `slerp`: the way around between two codes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .mistake import mistake


def _angle(a: Tensor, b: Tensor) -> Tensor:
    return F.cosine_similarity(a, b, dim=1).clamp(-1, 1).acos()[:, None]


@mistake
def straight(a: Tensor, b: Tensor, t: float) -> Tensor:
    """That is the straight road, `(1 - t) a + t b`. It cuts through the inside: halfway between two draws it is
    about 0.7 times as long as they are. The way around weighs the ends by sines of the angle between them."""
    return (1 - t) * a + t * b


@mistake
def ends_swapped(a: Tensor, b: Tensor, t: float) -> Tensor:
    """You walk from `b` to `a`: at t = 0 you are at `b`. The weight of `a` is sin((1 − t) Ω), which is all there is
    at t = 0."""
    angle = _angle(a, b)
    return ((t * angle).sin() * a + ((1 - t) * angle).sin() * b) / angle.sin()


@mistake
def not_divided(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The division by sin Ω is missing, so that the ends come out too short (unless they stand at a right angle):
    at t = 0 you are at sin Ω · a."""
    angle = _angle(a, b)
    return ((1 - t) * angle).sin() * a + (t * angle).sin() * b


@mistake
def unit_length(a: Tensor, b: Tensor, t: float) -> Tensor:
    """You return codes of length 1: the direction is right, the length is lost. Draws of N(0, I) with 8 numbers
    have a length of nearly 3. Divide by the lengths for the angle alone, and weigh the codes as they are."""
    angle = _angle(a, b)
    return (((1 - t) * angle).sin() * F.normalize(a, dim=1) + (t * angle).sin() * F.normalize(b, dim=1)) / angle.sin()


@mistake
def bent_line(a: Tensor, b: Tensor, t: float) -> Tensor:
    """You walk straight and stretch the code to the length that it should have. It lies on the right arc, but at
    another place of it: near the ends you are slow, in the middle fast. The sines give every part of the angle its
    share of t."""
    straight = F.normalize((1 - t) * F.normalize(a, dim=1) + t * F.normalize(b, dim=1), dim=1)
    length = (1 - t) * a.norm(dim=1, keepdim=True) + t * b.norm(dim=1, keepdim=True)
    return straight * length


@mistake
def square_roots(a: Tensor, b: Tensor, t: float) -> Tensor:
    """You weigh by √(1 − t) and √t. For two independent draws that keeps the variance, and halfway it is nearly the
    same as the way around. But it is blind to the angle: from a code to itself it would leave it. Use sines of the
    angle."""
    return (1 - t) ** 0.5 * a + t**0.5 * b


@mistake
def quarter_circle(a: Tensor, b: Tensor, t: float) -> Tensor:
    """You take a right angle for every pair: cos(t π/2) and sin(t π/2). In many numbers two draws do stand nearly
    at a right angle, in eight often not. Compute the angle of each pair."""
    angle = torch.tensor(torch.pi / 2, dtype=a.dtype)
    return ((1 - t) * angle).sin() * a + (t * angle).sin() * b


@mistake
def cosine_for_angle(a: Tensor, b: Tensor, t: float) -> Tensor:
    """You use the cosine in the place of the angle: `.acos()` is missing. The sines need the angle itself, in
    radians."""
    angle = F.cosine_similarity(a, b, dim=1)[:, None]
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()


@mistake
def degrees(a: Tensor, b: Tensor, t: float) -> Tensor:
    """You turned the angle into degrees, but `sin` takes radians, which is what `acos` returns: leave it as it
    is."""
    angle = torch.rad2deg(_angle(a, b))
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()


@mistake
def one_angle_for_all(a: Tensor, b: Tensor, t: float) -> Tensor:
    """You compute one angle for the whole batch. Each pair has its own: sum and take lengths over axis 1, with
    `keepdim=True`."""
    angle = ((a * b).sum() / (a.norm() * b.norm())).clamp(-1, 1).acos()
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()


@mistake
def lengths_forgotten(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The product of the two codes is not yet a cosine: divide it by both lengths. A product beyond 1 has no
    angle: `acos` makes NaN of it."""
    angle = (a * b).sum(1, keepdim=True).acos()
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()


@mistake
def half_the_way_only(a: Tensor, b: Tensor, t: float) -> Tensor:
    """You always return the middle: t is not used. At t = 0 you should be at `a`, at t = 1 at `b`."""
    angle = _angle(a, b)
    return (0.5 * angle).sin() * (a + b) / angle.sin()


@mistake
def lengths_forgotten_and_clipped(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The product of the two codes is not yet a cosine: divide it by both lengths. Clipped to −1 and 1, most products
    become an angle of 0 or half a turn, and their sine is (nearly) 0, by which you divide."""
    angle = (a * b).sum(1, keepdim=True).clamp(-1, 1).acos()
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()


@mistake
def length_in_between(a: Tensor, b: Tensor, t: float) -> Tensor:
    """You walk around on the unit sphere and give the code the length in between. For codes of one length it is the
    same, and for two a fair choice, but another formula: here the sines weigh the codes as they are."""
    angle = _angle(a, b)
    way = (((1 - t) * angle).sin() * F.normalize(a, dim=1) + (t * angle).sin() * F.normalize(b, dim=1)) / angle.sin()
    return way * ((1 - t) * a.norm(dim=1, keepdim=True) + t * b.norm(dim=1, keepdim=True))


@mistake
def stretched_line(a: Tensor, b: Tensor, t: float) -> Tensor:
    """You walk straight and stretch the code to the length in between. It lies near the way around, but at another
    place of it. The sines give every part of the angle its share of t."""
    length = (1 - t) * a.norm(dim=1, keepdim=True) + t * b.norm(dim=1, keepdim=True)
    return F.normalize((1 - t) * a + t * b, dim=1) * length
