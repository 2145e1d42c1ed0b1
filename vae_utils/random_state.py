"""Random numbers of one's own: drawn from a seed, while the global random state stays as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def own_random_numbers(seed: int, device: torch.device) -> Iterator[None]:
    """Draw random numbers from the seed inside; restore the global random state afterwards."""
    before = get_state(device)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed devices whose state is not kept here
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
    try:
        yield
    finally:
        set_state(before, device)


def get_state(device: torch.device) -> dict[str, Tensor]:
    """Return kind of device -> state of its random numbers, for the CPU and the device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def set_state(states: dict[str, Tensor], device: torch.device) -> None:
    """Set what `get_state` returned, here or on another kind of device, as far as it applies."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    elif device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])
