"""The weights behind the published numbers give the recorded figures again, where MNIST is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from scripts.experiments import published
from vae_utils import data, evaluation, records
from vae_utils.checkpoints import load_weights


@pytest.fixture(scope="module")
def pictures() -> data.Dataset:
    if not (Path(os.environ.get("VAE_DATA", "nowhere")) / "MNIST").is_dir():
        pytest.skip("no MNIST here: set VAE_DATA to a folder that holds it")
    return data.load("mnist")


@pytest.mark.parametrize("name", published.SETTINGS["datasets"])
def test_weights_give_the_recorded_losses_of_200_pictures(name: str, pictures: data.Dataset) -> None:
    (run,) = (run for run in records.load("published")["runs"] if run["dataset"] == name)
    model = published.build(name, (1, 28, 28))
    load_weights(model, published.WEIGHTS / f"{name}.safetensors")
    x = pictures.test.x
    if name != "example":
        x = x.bernoulli(generator=torch.Generator().manual_seed(0))
    again = evaluation.negative_elbo(model, x[:200]).sum().item()
    assert again == pytest.approx(run["first"], rel=1e-4)


@pytest.mark.parametrize("name", published.SETTINGS["datasets"])
def test_weights_are_small(name: str) -> None:
    assert (published.WEIGHTS / f"{name}.safetensors").stat().st_size < 3e6


def test_readme_tells_the_recorded_figures(root: Path) -> None:
    table = (root / "README.md").read_text(encoding="utf-8").partition("## Against published numbers")[2]
    for run in records.load("published")["runs"]:
        assert f"{run['nll'] or run['loss']:.2f}" in table
