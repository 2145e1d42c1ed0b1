"""The atlas has an entry for each mistake, and each row of its table of symptoms is true."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from statistics import median

import pytest
import torch
import torch.nn.functional as F

from scripts import atlas
from scripts.experiments import bugs
from vae_utils import data, mistakes, records
from vae_utils.likelihoods import Bernoulli
from vae_utils.models import VAE

ROWS = {symptom.seen: symptom.names for symptom in atlas.SYMPTOMS}


def row(start: str) -> list[str]:
    """The mistakes of the one row that begins so."""
    (names,) = (names for seen, names in ROWS.items() if seen.startswith(start))
    return list(names)


def function(name: str) -> Callable:
    return mistakes.get(name).function


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return atlas.pages()


def test_every_mistake_has_an_entry_with_its_text_its_code_and_who_finds_it(pages: dict[str, str]) -> None:
    for exercise in mistakes.EXERCISES:
        entries = pages[exercise].split("\n## ")[1:]
        assert [entry.split("\n")[0] for entry in entries] == list(mistakes.of(exercise))
        for entry, mistake in zip(entries, mistakes.of(exercise).values(), strict=True):
            assert mistake.why in entry and f"def {mistake.slug.replace('-', '_')}(" in entry
            assert f"Found by `exercises.{exercise}.check`" in entry and '"""' not in entry
    assert len(mistakes.names()) == sum(page.count("\n## ") for name, page in pages.items() if name != "index")


def test_code_shown_is_code_that_runs() -> None:
    for name in mistakes.names():
        shown = atlas.code(mistakes.get(name))
        compile(shown, name, "exec")
        assert shown.startswith("def ") and "@mistake" not in shown, name


def test_table_of_symptoms_leads_to_entries(pages: dict[str, str]) -> None:
    for name in {name for names in ROWS.values() for name in names}:
        exercise, slug = name.split("/")
        assert f"({exercise}.md#{slug})" in pages["index"] and f"\n## {slug}\n" in pages[exercise]


def test_what_examine_finds_is_what_it_says_of_a_model_with_the_mistake() -> None:
    assert atlas.examined("gaussian_kl", "no-half") == ("weight",)
    assert atlas.examined("reparameterize", "no-noise") == ("noise",)
    assert atlas.examined("gaussian_kl", "no-minus-one") == ()
    assert atlas.examined("interpolate", "backwards") == ()


def test_a_trained_mistake_is_told_with_the_figures_of_the_record(pages: dict[str, str]) -> None:
    for name in records.load("bugs")["settings"]["mistakes"]:
        sentences = list(atlas.trained(name))
        assert len(sentences) == 2 and all(sentence in pages[name.split("/")[0]] for sentence in sentences)
    assert "ends at 26.4 (below those of right code in 0 of 5" in next(atlas.trained("gaussian_kl/no-half"))
    assert list(atlas.trained("gaussian_kl/no-minus-one")) == []


# The rows, held to the record

RECORDED: dict[str, Callable[[dict, dict, dict], bool]] = {  # figures with the mistake, with right code, with nothing
    "The KL goes to 0": lambda f, right, no: f["kl"] < 0.05 and f["error"] > 0.97 * no["error"],
    "The KL is near 0": lambda f, right, no: (
        f["kl"] < 0.15 * right["kl"] and f["error"] < 1.05 * right["error"] and f["elbo_test"] > right["elbo_test"] + 90
    ),
    "The KL, computed": lambda f, right, no: f["kl"] > 8 * right["kl"],
    "Reconstructions are good": lambda f, right, no: (
        f["error"] < 1.05 * right["error"] and f["distance"] > 3 * right["distance"]
    ),
    "Reconstructions are blurrier": lambda f, right, no: 1.2 * right["error"] < f["error"] < no["error"],
    "The loss is lower": lambda f, right, no: (
        f["end"] < right["end"] and f["elbo_test"] > right["elbo_test"] and f["error"] < 1.6 * right["error"]
    ),
    "The loss is below 1": lambda f, right, no: f["end"] < 1 < right["end"] / 20,
    "What comes back is worse": lambda f, right, no: f["error"] > no["error"],
    "The loss runs off": lambda f, right, no: abs(f["end"]) > 1000,
}


@pytest.mark.parametrize("start", RECORDED)
@pytest.mark.parametrize("dataset", atlas.DATASETS)
def test_rows_about_trainings_hold_in_the_record(start: str, dataset: str) -> None:
    runs = [run for run in records.load("bugs")["runs"] if run["dataset"] == dataset]

    def middle(case: str) -> dict[str, float]:
        return {key: median(run[case][key] for run in runs if run[case][key] is not None) for key in keys(case)}

    def keys(case: str) -> list[str]:
        return [key for key in runs[0][case] if any(run[case].get(key) is not None for run in runs)]

    for name in row(start):
        assert RECORDED[start](middle(name), middle("control"), middle("nothing")), name


# The rows, held to what the functions do


def model_and_pictures() -> tuple[VAE, torch.Tensor]:
    torch.manual_seed(0)
    return VAE((1, 8, 8), 8, Bernoulli(), hidden=(16,)), data.load("digits").train.x[:64]


def test_rows_about_a_step() -> None:
    for name in row("The loss stays"):
        model, x = model_and_pictures()
        before = [weight.clone() for weight in model.parameters()]
        function(name)(model, torch.optim.Adam(model.parameters()), x)
        assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)), name
    for start in ("“grad can be", "“element 0"):
        (symptom,) = (symptom for symptom in atlas.SYMPTOMS if symptom.seen.startswith(start))
        with pytest.raises(RuntimeError, match=symptom.seen.strip("“”")):
            function(*symptom.names)(model, torch.optim.Adam(model.parameters()), x)
    (name,) = row("Memory grows")
    kept = function(name)(model, torch.optim.Adam(model.parameters()), x)
    assert isinstance(kept, torch.Tensor) and kept.grad_fn is not None


def loss_of(name: str, logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    zeros = torch.zeros(len(x), 2)
    return function(name)(logits, x, zeros, zeros) if "elbo" in name else function(name)(logits, x)


def test_rows_about_values() -> None:
    sure = torch.tensor([[[[500.0]]], [[[-500.0]]]])
    for name in row("The loss becomes NaN"):
        found = [loss_of(name, logits, x) for logits in (sure, -sure) for x in ((sure > 0) * 1.0, (sure < 0) * 1.0)]
        assert not torch.cat([f.flatten() for f in found]).isfinite().all(), name
    mu, logvar, x = torch.randn(4, 2), torch.randn(4, 2), (torch.rand(4, 1, 3, 3) > 0.5) * 1.0
    for name in row("The loss doubles"):
        one, two = (
            function(name)(*(mu, logvar) if "kl" in name else (torch.zeros_like(x), x)) if "step" not in name else None
            for mu, logvar, x in ((mu, logvar, x), (mu.repeat(2, 1), logvar.repeat(2, 1), x.repeat(2, 1, 1, 1)))
        )
        if one is not None and two is not None:
            assert two == pytest.approx(2 * one), name
    losses = []
    for copies in (1, 2):
        model, x = model_and_pictures()
        model.reparameterize = lambda mu, logvar: mu  # type: ignore[method-assign]
        pictures = x.repeat(copies, 1, 1, 1)
        (name,) = (name for name in row("The loss doubles") if "step" in name)
        losses.append(float(function(name)(model, torch.optim.Adam(model.parameters()), pictures)))
    assert losses[1] == pytest.approx(2 * losses[0], rel=1e-3)


def test_row_about_a_negative_loss() -> None:
    x = bugs.load("digits", bugs.SETTINGS)[0]
    for name in row("The loss is negative"):
        settings = bugs.SETTINGS | {"steps": 300, "hidden": [32]}
        _, curve = bugs.train((x > 0.5).float(), {name.split("/")[0]: function(name)}, 0, settings)
        assert min(curve[-50:]) < 0, name


def test_row_about_the_gradient() -> None:
    for name in row("The gradient at the encoder"):
        mu, logvar = torch.zeros(5, 2, requires_grad=True), torch.zeros(5, 2, requires_grad=True)
        z = function(name)(mu, logvar)
        if z.requires_grad:
            z.sum().backward()
        assert mu.grad is None or not mu.grad.any(), name


def test_rows_about_made_up_pictures() -> None:
    def decode(z: torch.Tensor) -> torch.Tensor:
        return F.pad(z, (0, 14)).sigmoid().view(-1, 1, 4, 4)

    def same(pictures: torch.Tensor) -> bool:
        return all(torch.allclose(a, b) for a, b in pairwise(pictures))

    for name in row("All made-up pictures"):
        wrong = function(name)
        if name.startswith("reparameterize"):
            calls = [wrong(torch.zeros(3, 2), torch.zeros(3, 2)) for _ in range(2)]
        else:
            calls = [wrong(decode, 3, 2) for _ in range(2)]
        assert torch.equal(*calls) or all(same(call) for call in calls), name
    (name,) = row("Made-up pictures are gray")
    assert function(name)(decode, 50, 2).min() >= 0.5


def test_every_row_is_held_to_something() -> None:
    elsewhere = (
        "The loss stays",
        "“grad can",
        "“element 0",
        "Memory",
        "The loss becomes NaN",
        "The loss doubles",
        "The loss is neg",
    )
    starts = (*RECORDED, *elsewhere, "The gradient at", "All made-up", "Made-up pictures")
    assert all(sum(seen.startswith(start) for start in starts) == 1 for seen in ROWS)
