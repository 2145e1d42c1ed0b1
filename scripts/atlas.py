"""The atlas of mistakes: pages of the site made from `vae_utils.mistakes`, and a table of symptoms that leads there.

A page for each exercise has an entry for each of its known mistakes: what it does, its code, what training with it came
to (the record "bugs"), and which check finds it.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vae_utils import data, exercises, mistakes, records
from vae_utils.diagnosis import examine
from vae_utils.likelihoods import Bernoulli
from vae_utils.losses import bernoulli_nll, gaussian_kl
from vae_utils.mistakes import Mistake
from vae_utils.models import VAE
from vae_utils.training import fit

DATASETS = {"digits": "8 × 8 digits", "mnist": "MNIST at 14 × 14"}


class Symptom(NamedTuple):
    """What somebody sees, where to look next, and the known mistakes that show it."""

    seen: str
    look: str
    names: tuple[str, ...]


# tests/project/test_atlas.py holds each row to the record "bugs", or to what the functions do.
SYMPTOMS = (
    Symptom(
        "The KL goes to 0 and every picture comes back as the average one",
        "the squared error next to that of the average picture; the weight of the KL; the gradient at the encoder. "
        "With no mistake at all, a large β does the same.",
        ("reparameterize/detached", "bernoulli_nll/averaged-pixels", "negative_elbo/both-averaged"),
    ),
    Symptom(
        "The KL is near 0, and yet the reconstructions are good",
        "the draw: is there noise, of the right width, its own for each number? The right −ELBO, with right draws, is "
        "a hundred nats worse or more.",
        ("reparameterize/no-noise", "reparameterize/std-is-logvar", "reparameterize/one-noise-per-row"),
    ),
    Symptom(
        "The KL, computed rightly, is many times what it should be",
        "the KL in your loss, term by term, at μ = 0, σ = 1 (where it is 0), at another μ and at another σ.",
        ("negative_elbo/kl-forgotten", "gaussian_kl/no-mu", "gaussian_kl/no-logvar"),
    ),
    Symptom(
        "Reconstructions are good, samples are not",
        "codes of real pictures over the prior: where are they, and how wide are the clouds?",
        (
            *("reparameterize/no-noise", "reparameterize/std-is-logvar", "reparameterize/one-noise-per-row"),
            *("negative_elbo/kl-forgotten", "gaussian_kl/no-mu", "gaussian_kl/no-logvar"),
        ),
    ),
    Symptom(
        "Reconstructions are blurrier than those of others",
        "the weight of the KL (`diagnosis.weight_of_kl`): 2 in place of 1 is a ½ that is missing in the KL, or in "
        "front of a squared error.",
        (
            *("gaussian_kl/no-half", "negative_elbo/squared-error", "gaussian_kl/log-std"),
            "reparameterize/noise-added-before-scaling",
        ),
    ),
    Symptom(
        "The loss is lower than others report, and everything looks fine",
        "the right −ELBO on test pictures (`evaluation.negative_elbo`) of the model you have.",
        (
            *("reparameterize/std-is-exp-logvar", "reparameterize/fixed-seed", "reparameterize/uniform-noise"),
            "gaussian_kl/averaged-latents",
        ),
    ),
    Symptom(
        "The loss is below 1 where others have tens or hundreds",
        "averages in place of sums. Averaging over pixels weighs the KL as many times as there are pixels.",
        ("bernoulli_nll/averaged-pixels", "negative_elbo/both-averaged"),
    ),
    Symptom(
        "What comes back is worse than the average picture",
        "the arguments of the cross-entropy: logits or means, and in which order?",
        ("bernoulli_nll/sigmoid-twice", "bernoulli_nll/swapped", "training_step/no-zero-grad"),
    ),
    Symptom(
        "The loss runs off into the thousands, up or down",
        "the order of `zero_grad`, `backward` and `step`, and of the arguments of the cross-entropy.",
        ("training_step/no-zero-grad", "bernoulli_nll/swapped"),
    ),
    Symptom(
        "The loss stays where it was",
        "a weight before and after a step: does it change? Its `.grad`: is it None, or 0?",
        (
            *("training_step/no-backward", "training_step/no-step"),
            *("training_step/detached", "training_step/zero-grad-too-late"),
        ),
    ),
    Symptom(
        "“element 0 of tensors does not require grad and does not have a grad_fn”",
        "a `torch.no_grad()` around the model, which is for evaluation.",
        ("training_step/no-grad",),
    ),
    Symptom(
        "The loss becomes NaN or infinite",
        "a logarithm of 0 or an exponential of a large number: take the functions that get logits.",
        ("bernoulli_nll/log-of-sigmoid", "bernoulli_nll/exp-overflows", "negative_elbo/log-of-sigmoid"),
    ),
    Symptom(
        "The loss is negative with black and white pixels",
        "signs. An nll of probabilities and a KL are never below 0. (With Gaussian pixels nothing is wrong.)",
        ("bernoulli_nll/sign-flipped", "negative_elbo/kl-subtracted", "gaussian_kl/sign-flipped"),
    ),
    Symptom(
        "“grad can be implicitly created only for scalar outputs”",
        "the mean over the batch, before `backward`.",
        ("training_step/not-averaged",),
    ),
    Symptom(
        "The gradient at the encoder is None, or zero",
        "the draw. `.sample()`, `torch.normal` and `.detach()` cut the path; `mu + sigma * epsilon` keeps it.",
        ("reparameterize/detached", "reparameterize/silent-zeros", "reparameterize/mu-detached"),
    ),
    Symptom(
        "All made-up pictures are the same, or each call's are",
        "a seed that is set inside the function, or one code for all.",
        ("generate/fixed-seed", "generate/one-code-for-all", "reparameterize/fixed-seed"),
    ),
    Symptom(
        "Made-up pictures are gray, no pixel below a half",
        "two sigmoids, one after the other.",
        ("generate/sigmoid-twice",),
    ),
    Symptom(
        "The loss doubles when the batch does",
        "a sum over the batch in place of a mean.",
        ("training_step/summed-over-batch", "gaussian_kl/sum-of-all", "bernoulli_nll/sum-of-all"),
    ),
    Symptom(
        "Memory grows with every step",
        "a loss that is kept as a tensor, with all it was computed from: `loss.item()`.",
        ("training_step/returns-tensor",),
    ),
)


def pages() -> dict[str, str]:
    """Return the atlas as Markdown by the name of the page, "index" and each exercise."""
    return {"index": _index(), **{name: _page(name) for name in mistakes.EXERCISES}}


def write(folder: Path) -> None:
    """Write the pages into a new folder."""
    folder.mkdir(parents=True)
    for name, text in pages().items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


def _index() -> str:
    rows = [
        f"| {symptom.seen} | {symptom.look[0].upper() + symptom.look[1:]} | {', '.join(map(_link, symptom.names))} |"
        for symptom in SYMPTOMS
    ]
    lists = [f"| [{name}]({name}.md) | {len(mistakes.of(name))} |" for name in mistakes.EXERCISES]
    intro = (
        f"{len(mistakes.names())} ways to get a piece of a VAE wrong, each with its code, what it does, and the check "
        "that finds it. They are the known mistakes of the notebooks' exercises, one page for each exercise."
    )
    table = ["| what you see | where to look | likely mistakes |", "|---|---|---|", *rows]
    found = ["| exercise | mistakes |", "|---|---|", *lists]
    parts = ["# Atlas of mistakes", intro, "## What do you see?", "\n".join(table), "## By exercise", "\n".join(found)]
    return "\n\n".join(parts) + "\n"


def _link(name: str) -> str:
    exercise, slug = name.split("/")
    assert mistakes.get(name)
    return f"[{slug}]({exercise}.md#{slug})"


def _page(exercise: str) -> str:
    module = import_module(f"vae_utils.mistakes.{exercise}")
    intro = f"{(module.__doc__ or '').strip()} The exercise: `{getattr(exercises, exercise).stub}`."
    # Pages below a page would fold in the sidebar, and what unfolds them there has no name for a screen reader.
    entries = ["---\norphan: true\n---", f"# {exercise}", f"{intro} [What do you see?](index.md)"]
    if shared := [part for name, part in inspect.getmembers(module, inspect.isfunction) if name.startswith("_")]:
        lines = "\n\n\n".join(inspect.getsource(part).rstrip() for part in shared)
        entries += [f"Several of them call these:\n\n```python\n{lines}\n```"]
    for mistake in mistakes.of(exercise).values():
        entries += [f"## {mistake.slug}", mistake.why, f"```python\n{code(mistake)}\n```"]
        entries += [
            "\n".join(f"- {line}" for line in (*trained(f"{exercise}/{mistake.slug}"), _found(exercise, mistake)))
        ]
    return "\n\n".join(entries) + "\n"


def code(mistake: Mistake) -> str:
    """Return a mistake's code without its decorator and its docstring."""
    source = textwrap.dedent(inspect.getsource(mistake.function))
    source = source[source.index("def ") :]
    docstring = inspect.getsource(mistake.function).split('"""')[1]
    return source.replace(f'    """{docstring}"""\n', "", 1).rstrip()


def trained(name: str) -> Iterator[str]:
    """Describe what training with the mistake came to, a sentence for each data set of the record; none, if none."""
    record = records.load("bugs")
    if name not in record["settings"]["mistakes"]:
        return
    for dataset in record["settings"]["datasets"]:
        runs = [run for run in record["runs"] if run["dataset"] == dataset]
        ends, right = ([run[case]["end"] for run in runs] for case in (name, "control"))
        lower = sum(end is not None and end < min(right) for end in ends)
        higher = sum(end is None or end > max(right) for end in ends)
        curve = f"below those of right code in {lower} of {len(runs)} trainings, above in {higher}"
        elbos = [_middle(run[case]["elbo_test"] for run in runs) for case in (name, "control")]
        yield (
            f"Trained on {DATASETS[dataset]}: its loss ends at {_middle(ends)} ({curve}). "
            f"The right −ELBO of test pictures is then {elbos[0]}; {elbos[1]} with right code."
        )


def _middle(values: Any) -> str:
    finite = [value for value in values if value is not None]
    return f"{median(finite):,.1f}" if finite else "not a number"


def _found(exercise: str, mistake: Mistake) -> str:
    both = f" and `diagnosis.examine`, by {' and '.join(seen)}" if (seen := examined(exercise, mistake.slug)) else ""
    return f"Found by `exercises.{exercise}.check`{both}."


def examined(exercise: str, slug: str) -> tuple[str, ...]:
    """Return the findings that `examine` reports on a healthy VAE whose draw or loss gets the mistake."""
    if exercise not in ("reparameterize", "gaussian_kl", "bernoulli_nll", "negative_elbo"):
        return ()
    model, x = deepcopy(_healthy()), data.load("digits").train.x[:256]
    wrong = mistakes.of(exercise)[slug].function
    if exercise == "reparameterize":
        model.reparameterize = wrong  # type: ignore[method-assign]
        return examine(model, x).wrong
    return examine(model, x, loss=loss_with(**{exercise: wrong})).wrong


@cache
def _healthy() -> VAE:
    torch.manual_seed(0)
    model = VAE((1, 8, 8), 8, Bernoulli(), hidden=(256,))
    fit(model, data.load("digits").train.x, steps=400, lr=1e-2, device="cpu", progress=False)
    return model


def loss_with(**changed: Callable[..., Tensor]) -> Callable[[nn.Module, Tensor], dict[str, Tensor]]:
    """Return the VAE's loss for Bernoulli pixels with functions of these names in place of the right ones."""
    nll, kl = changed.get("bernoulli_nll", bernoulli_nll), changed.get("gaussian_kl", gaussian_kl)
    whole = changed.get("negative_elbo", lambda logits, x, mu, logvar: nll(logits, x) + kl(mu, logvar))

    def loss(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
        logits, mu, logvar = model(x)
        return {"loss": whole(logits, x, mu, logvar)}

    return loss
