"""Exercise of notebook 04: one training step of a VAE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from ...likelihoods import Bernoulli
from ...losses import bernoulli_nll, gaussian_kl
from ...models import VAE
from ..attempt import Attempt, Stopped, seed
from ..compare import apart, as_double, kind, numbers, relation, same
from ..exercise import Exercise, Probe
from ..randomness import not_standard_normal, same_in_columns, same_in_rows, ties
from ..verdict import Result

Optimizer = torch.optim.Optimizer
STEPS = 3  # accumulated gradients show from the second step on


def training_step(model, optimizer, x):
    parameters, mu, logvar = model(x)
    loss = (bernoulli_nll(parameters, x) + gaussian_kl(mu, logvar)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# --- What a step is tried on -----------------------------------------------------------------------------------------


class SmallVAE(VAE):
    """A VAE of a few weights that records what a step does with it, with a generator of its own for its noise.

    Attributes:
        replayed: Noise to use in place of the generator's, if its shape fits.
        events: What happened since the last `clear`, in order, such as "forward", "zero_grad", "a picture".
        codes: The latest "cloud" (mu, logvar) that it returned, "own z" that it drew and "z" that it decoded, and the
            "state" of torch's global generator at that time.
    """

    def __init__(self, shape: tuple[int, int, int], latent_dim: int, batch: int):
        super().__init__(shape, latent_dim, Bernoulli(), hidden=(4,))
        self.batch = batch
        self.generator = torch.Generator().manual_seed(8)  # a seed with which the loss falls in each step
        self.replayed: Tensor | None = None
        self.events: list[str] = []
        self.codes: dict[str, Any] = {}
        with torch.no_grad():
            for weights in self.parameters():
                weights.copy_(0.7 * torch.randn(weights.shape, generator=self.generator))
        self.register_forward_pre_hook(self._before_forward)

    def clear(self) -> None:
        """Forget events and codes."""
        self.events, self.codes = [], {}

    def flat(self) -> Tensor:
        """Return a copy of all weights, (number of weights,)."""
        return torch.cat([weights.detach().flatten() for weights in self.parameters()]).clone()

    @staticmethod
    def _before_forward(model: nn.Module, _: Any) -> None:
        assert isinstance(model, SmallVAE)
        model.events.append("forward")
        if not torch.is_grad_enabled():
            model.events.append("without gradients")
        if not model.training:
            model.events.append("in eval mode")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients, and record it."""
        self.events.append("zero_grad")
        super().zero_grad(set_to_none)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and logvar, and record them."""
        if len(x) < self.batch:
            self.events.append("a part" if len(x) > 1 else "a picture")
        self.codes["cloud"] = super().encode(x)
        return self.codes["cloud"]

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Draw z, or return mu in eval mode, and record it."""
        z = mu
        if self.training:
            epsilon = self.replayed
            if epsilon is None or epsilon.shape != mu.shape:
                epsilon = torch.randn(mu.shape, generator=self.generator)
            z = mu + (0.5 * logvar).exp() * epsilon.to(mu)
        self.codes["own z"] = z
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Return logits, and record z and the state of the global generator."""
        self.codes["z"], self.codes["state"] = z, torch.get_rng_state()
        return super().decode(z)


def _try(
    batch: int, latent_dim: int, optimizer: Callable[[Any], Optimizer], sure: float = 0.0
) -> Callable[[], dict[str, Any]]:
    """Return a probe's `make`; sure: a bias that makes all logits nearly this, whatever z is."""

    def make() -> dict[str, Any]:
        model = SmallVAE((1, 2, 3), latent_dim, batch)
        x = torch.rand(batch, 1, 2, 3, generator=torch.Generator().manual_seed(6))
        if sure:
            x = x.round()
            with torch.no_grad():
                [*model.decoder.parameters()][-1].fill_(sure)
        return {"model": model, "optimizer": optimizer(model.parameters()), "x": x}

    return make


PROBES = (
    Probe(_try(3, 2, lambda weights: torch.optim.SGD(weights, lr=0.05)), "gradient descent, batches of 3, codes of 2"),
    Probe(_try(5, 3, lambda weights: torch.optim.Adam(weights, lr=0.02)), "Adam, batches of 5, codes of 3"),
    Probe(_try(4, 2, lambda weights: torch.optim.SGD(weights, lr=0.01)), "gradient descent, batches of 4, codes of 2"),
)
# A decoder that is sure that all is white: whatever bounds or breaks the cost of its errors shows here, and only here.
SURE, VERY_SURE = (
    Probe(
        _try(4, 2, lambda weights: torch.optim.SGD(weights, lr=1e-4), logit),
        f"gradient descent, batches of 4, codes of 2, a decoder that is sure of white pixels, logits near {logit:g}",
    )
    for logit in (40.0, 200.0)
)


@dataclass
class Run:
    """What a function did with a probe in `STEPS` steps on the same pictures.

    Attributes:
        returned: What each step returned.
        weights: All weights, flattened: before the first step, and after each.
        events: What happened in each step (`SmallVAE.events`, "backward" and "step").
        noise: (z - mu) / sigma of each step's last z, if it was drawn by hand; else None.
        error: What ended the run, if anything did.
        states: torch's global generator in each step, when z was decoded.
    """

    returned: list[Any] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    events: list[list[str]] = field(default_factory=list)
    noise: list[Tensor | None] = field(default_factory=list)
    error: BaseException | None = None
    states: list[Tensor] = field(default_factory=list)

    @property
    def losses(self) -> Tensor:
        """What was returned, as numbers; NaN for what is none."""
        found = [as_double(value) for value in self.returned]
        return torch.tensor([v.item() if v is not None and v.numel() == 1 else float("nan") for v in found])

    @property
    def moved(self) -> bool:
        """Whether any weight ever moved."""
        return any(not torch.equal(weights, self.weights[0]) for weights in self.weights)

    def happened(self, event: str) -> bool:
        """Return whether some step had this event."""
        return any(event in events for events in self.events)


def run(
    function: Callable[..., Any], probe: Probe, like: Run | None = None, replayed: Run | None = None, start: int = 0
) -> Run:
    """Run a function's steps, and record what it calls. An error ends the run and is recorded, too.

    Args:
        function: The training step.
        probe: What it gets.
        like: End as soon as weights or losses differ from those of this run.
        replayed: Let the model draw with the noise of this run.
        start: Seed of the global generator, which `SmallVAE` itself does not use.
    """
    if like is None:
        seed(start)
    model, optimizer, x = probe.make().values()
    record = Run(weights=[model.flat()])
    optimizer.register_step_pre_hook(lambda *_: model.events.append("step"))
    zero_grad = _noting(optimizer.zero_grad, "zero_grad", model)
    backward = _noting(torch.autograd.backward, "backward", model)
    for step in range(STEPS):
        model.clear()
        model.replayed = replayed.noise[step] if replayed else None
        try:
            with patch.object(torch.autograd, "backward", backward), patch.object(optimizer, "zero_grad", zero_grad):
                value = function(model, optimizer, x)
        except Exception as error:
            record.error = error
        record.events.append(model.events)
        if "state" in model.codes:
            record.states.append(model.codes["state"])
        torch.rand(1)  # so that the global generator moves on from step to step
        record.noise.append(_noise(model.codes))
        if record.error:
            break
        record.returned.append(value.detach().clone() if isinstance(value, Tensor) else value)
        record.weights.append(model.flat())
        if like and not (
            same(record.weights[-1], like.weights[step + 1]) and same(record.losses[-1], like.losses[step])
        ):
            break
    return record


def _noise(codes: dict[str, Any]) -> Tensor | None:
    """Return the noise of a z that the model did not draw itself, (z - mu) / sigma; None if there is none."""
    if not {"cloud", "z"} <= codes.keys() or not isinstance(codes["z"], Tensor):
        return None
    mu, logvar = (part.detach() for part in codes["cloud"])
    z = codes["z"].detach()
    if z.shape != mu.shape or torch.equal(z, mu) or ("own z" in codes and torch.equal(z, codes["own z"])):
        return None
    return (z - mu) / (0.5 * logvar).exp()


def _noting(function: Callable[..., Any], event: str, model: SmallVAE) -> Callable[..., Any]:
    def noted(*arguments: Any, **named: Any) -> Any:
        model.events.append(event)
        return function(*arguments, **named)

    return noted


# --- The verdict -----------------------------------------------------------------------------------------------------


def judge(attempt: Attempt, exercise: Exercise) -> Result:
    """Compare losses and weights over a few steps with the solution's; name what was not called, or the mistake."""
    runs = [run(attempt, probe) for probe in exercise.probes]
    failed = next((seen for seen in runs if seen.error), None)
    if failed:
        return _stopped(failed, exercise)
    expected = [run(exercise.answer, probe) for probe in exercise.probes]
    by_hand = all(noise is not None for seen in runs for noise in seen.noise)
    if by_hand:  # with the same noise, the solution must do the same
        expected = [run(exercise.answer, probe, None, seen) for probe, seen in zip(exercise.probes, runs, strict=True)]
    unfair = _unfair(attempt) if by_hand else ""
    weights_right = all(_same_weights(a, b) for a, b in zip(runs, expected, strict=True))
    losses_right = all(same(a.losses, b.losses) for a, b in zip(runs, expected, strict=True))
    plain = all(isinstance(value, Real) and not isinstance(value, bool) for seen in runs for value in seen.returned)
    if weights_right and losses_right and plain and not unfair and (found := _on_sure(attempt, exercise, by_hand)):
        return found
    if weights_right and losses_right and plain and not unfair:
        own = " (You draw z yourself, and rightly so; `model(x)` does it, too.)" if by_hand else ""
        return Result(True, None, f"{exercise.right}{own}")
    numeric = all(seen.losses[0].isfinite() for seen in runs)
    slug, also = _by_calls(runs) or _by_return(runs, expected, weights_right), ""
    if slug is None and numeric and not weights_right:
        slug = _by_runs(runs, exercise, by_hand)
    if slug is None and unfair:
        why = f"You draw z yourself (`model(x)` does it for you), and the draw is not a fair one. {unfair}"
        evidence = "" if weights_right else f"\n\n{_evidence(runs, expected, exercise)}"
        return Result(False, None, why + evidence)
    if slug is None and numeric and not weights_right:
        slug, also = _by_first_loss(runs, expected, exercise, by_hand)
    why = exercise.mistake(slug).why + also if slug else _in_words(runs, expected, weights_right)
    if slug is None and not weights_right and not by_hand and not runs[0].happened("forward"):
        why = f"The check could not see how z is drawn in your step; let `model(x)` encode, draw and decode. {why}"
    if weights_right:
        i = _first_wrong(runs, expected)
        returned = [numbers(value) for value in runs[i].returned]
        losses = [numbers(value) for value in expected[i].losses]
        if runs[i].losses.isfinite().all():  # else what came back is no number, and is shown as it is
            pairs = [
                (numbers(a), numbers(b)) if same(a, b) else apart(a, b)
                for a, b in zip(runs[i].losses, expected[i].losses, strict=True)
            ]
            returned, losses = ([pair[place] for pair in pairs] for place in (0, 1))
        return Result(
            False,
            slug,
            f"{why}\n\nTried on a small VAE ({exercise.probes[i].about}):\n\n    returned in {STEPS} steps: "
            f"{', '.join(returned)}\n            expected: {', '.join(losses)}",
        )
    return Result(False, slug, f"{why}\n\n{_evidence(runs, expected, exercise)}".lstrip())


def _on_sure(attempt: Attempt, exercise: Exercise, by_hand: bool) -> Result | None:
    """Judge a step that is right on ordinary models: with a decoder that is sure, and whether it sets the seed."""
    if _seeds(attempt):
        return Result(False, "fixed-seed", exercise.mistake("fixed-seed").why)
    runs = [run(attempt, probe) for probe in (SURE, VERY_SURE)]
    expected = [
        run(exercise.answer, probe, None, seen if by_hand else None)
        for probe, seen in zip((SURE, VERY_SURE), runs, strict=True)
    ]
    fine = [_same_run(seen, right) for seen, right in zip(runs, expected, strict=True)]
    if all(fine) or any(seen.error for seen in runs):
        return None
    (first, _), (bounded, right) = ((seen.losses, right.losses) for seen, right in zip(runs, expected, strict=True))
    slug: str | None = None
    if not (first.isfinite().all() or fine[0]):
        slug = "log-of-sigmoid"
    elif bounded.isfinite().all() and bounded[0] < 0.99 * right[0]:
        slug = "clamped"
    why = (
        exercise.mistake(slug).why if slug else "With usual logits your step is right; where the decoder is sure, not."
    )
    i = fine.index(False)
    came, wanted = apart(runs[i].losses, expected[i].losses)
    return Result(
        False,
        slug,
        f"{why}\n\nTried on a small VAE ({(SURE, VERY_SURE)[i].about}):\n\n    losses of {STEPS} steps: {came}\n"
        f"           expected: {wanted}",
    )


def _seeds(attempt: Attempt) -> bool:
    """Return whether the step sets the global seed: the generator's states then agree, wherever it started."""
    first, second = (run(attempt, PROBES[0], start=start) for start in (11, 12))
    states = [*first.states[1:], *second.states[1:]]
    return (
        not (first.error or second.error)
        and len(first.states) == len(second.states) == STEPS
        and all(torch.equal(state, states[0]) for state in states)
    )


def _by_runs(runs: list[Run], exercise: Exercise, by_hand: bool) -> str | None:
    """Return the mistake that leads to the same losses and weights; by_hand: with the noise of these runs."""
    for mistake in exercise.mistakes:
        if all(
            _same_run(seen, run(mistake.function, exercise.probes[i], seen, seen if by_hand else None))
            for i, seen in enumerate(runs)
        ):
            return mistake.slug
    return None


def _unfair(attempt: Attempt) -> str:
    """Describe what is wrong with the noise that a function draws for a large batch; '' if nothing is."""
    seen = run(attempt, Probe(_try(500, 3, lambda weights: torch.optim.SGD(weights, lr=0.0))))
    if seen.error or any(noise is None or not noise.isfinite().all() for noise in seen.noise):
        return "For a large batch, the dice behind z can't be read."
    first, second, _ = (noise.double() for noise in seen.noise if noise is not None)
    if torch.equal(first, second):
        return "Two steps roll the same ones."
    if same_in_rows(first):
        return "All pictures of a batch share one roll."
    if same_in_columns(first):
        if bool((first - first[:, :1]).abs().max() < 1e-3):
            return "All numbers of a code share one roll."
        return "All numbers of a code move together, as if they came of one roll (up to sign and scale)."
    if wrong := not_standard_normal(torch.cat([first, second])):
        return f"(z - mu) / sigma with sigma = exp(logvar / 2) should be standard normal, and is not: {wrong}."
    return ties(first, second)


def _same_weights(a: Run, b: Run) -> bool:
    return len(a.weights) == len(b.weights) and all(same(v, w) for v, w in zip(a.weights, b.weights, strict=True))


def _same_run(a: Run, b: Run) -> bool:
    return not (a.error or b.error) and _same_weights(a, b) and same(a.losses, b.losses)


def _by_calls(runs: list[Run]) -> str | None:
    """Return the mistake that the calls alone show; None if there is none."""
    events = runs[0].events[0]
    parts = "a part" in events or "a picture" in events
    if events.count("step") > 1 and parts:
        pictures = [len(probe.make()["x"]) for probe in PROBES]
        each = all(
            seen.events[0].count("step") == seen.events[0].count("a picture") == n and "a part" not in seen.events[0]
            for seen, n in zip(runs, pictures, strict=True)
        )
        if each:
            return "step-per-picture"
        raise Stopped(
            f"There is more than one step in a call: `optimizer.step()` is called {events.count('step')} times, on "
            f"parts of a batch of {pictures[0]}. One training step moves the weights once, along the gradient of the "
            "mean over the whole batch."
        )
    if events.count("step") > 1:
        return "several-steps"
    runs_of_model = [place for place, event in enumerate(events) if event == "forward"]
    if runs_of_model and "step" in events and runs_of_model[0] < events.index("step") < runs_of_model[-1]:
        return "loss-after-step"
    if len(runs_of_model) > 1 and not parts:
        return "called-twice"
    if "in eval mode" in events:
        return "eval-mode"
    if runs[0].moved:
        return None if runs[0].happened("step") else "own-optimizer"
    if not runs[0].happened("step"):
        return "no-step" if runs[0].happened("backward") else "no-backward"
    if not runs[0].happened("backward"):
        return "no-backward"
    if events.index("step") < events.index("backward"):
        return "step-before-backward"
    return "zero-grad-too-late" if "zero_grad" in events[events.index("backward") :] else "detached"


def _by_return(runs: list[Run], expected: list[Run], weights_right: bool) -> str | None:
    """Return the mistake in what a right step returns; None if there is none."""
    returned = [value for seen in runs for value in seen.returned]
    if not weights_right:
        return None
    if all(value is None for value in returned):
        return "returns-nothing"
    if all(isinstance(value, Tensor) for value in returned) and all(
        same(a.losses, b.losses) for a, b in zip(runs, expected, strict=True)
    ):
        return "returns-tensor"
    return None


def _by_first_loss(runs: list[Run], expected: list[Run], exercise: Exercise, by_hand: bool) -> tuple[str | None, str]:
    """Return the mistake with this first loss, of a step with another mistake besides, and the other in words."""
    first, right = (torch.stack([seen.losses[0] for seen in each]) for each in (runs, expected))
    pictures = torch.tensor([float(len(probe.make()["x"])) for probe in exercise.probes])
    for mistake in exercise.mistakes if not same(first, right) else ():
        values = []
        for i, probe in enumerate(exercise.probes):
            other = run(mistake.function, probe, runs[i], runs[i] if by_hand else None)
            if other.error or not any(same(first[i], other.losses[0] * times) for times in (1, pictures[i])):
                break
            values.append(other.losses[0])
        if len(values) < len(runs) or same(torch.stack(values), right):
            continue
        if same(first, torch.stack(values)):
            return mistake.slug, " And something else: the way from the loss to the weights is not right, either."
        if same(first, torch.stack(values) * pictures):
            return mistake.slug, " And something else: you sum over the batch, where the course averages."
    return None, ""


def _stopped(seen: Run, exercise: Exercise) -> Result:
    """Return the mistake that raises the same error; raise the error again if there is none."""
    assert seen.error is not None
    message = str(seen.error.__cause__ or seen.error)
    slug = None
    if "does not require grad" in message:
        slug = "no-grad" if seen.happened("without gradients") else "detached"
    elif "only for scalar outputs" in message:
        slug = "not-averaged"
    elif "between 0 and 1" in message:
        slug = "no-sigmoid"
    elif "'float' object has no attribute 'backward'" in message:
        slug = "detached"
    elif not seen.happened("forward") and "device" in message.lower():
        other = run(exercise.mistake("get-device").function, exercise.probes[0])
        slug = "get-device" if other.error and str(other.error) == message else None
    if slug is None or not isinstance(seen.error, Stopped):
        raise seen.error
    return Result(False, slug, f"{exercise.mistake(slug).why}\n\n{seen.error}")


def _in_words(runs: list[Run], expected: list[Run], weights_right: bool) -> str:
    """Describe what differs, if no known mistake does the same."""
    place = _first_wrong(runs, expected)
    a, b = runs[place], expected[place]
    if any(value is None for value in a.returned):
        return "Your function returned nothing (`None`): is a `return` missing?"
    if not all(isinstance(value, float | int | Tensor) for value in a.returned):
        return f"Your function returned {kind(a.returned[0])}; the loss as a float is expected."
    if weights_right:
        rule = relation([(seen.losses, right.losses) for seen, right in zip(runs, expected, strict=True)])
        pictures = [float(len(probe.make()["x"])) for probe in PROBES]
        if all(same(seen.losses, right.losses * n) for seen, right, n in zip(runs, expected, pictures, strict=True)):
            rule = "It is the sum over the batch; its mean is expected."
        return f"The weights move as they should, but the loss that you return is another one. {rule}".rstrip()
    if not a.moved:
        return "No weight moves in your step."
    loss_right = same(a.losses[0], b.losses[0])
    way, wanted = a.weights[1] - a.weights[0], b.weights[1] - b.weights[0]
    if same(way, wanted):
        loss = "The loss of the first step is right" if loss_right else "The loss that you return is another one"
        if not torch.allclose(way, wanted, rtol=1e-5, atol=2e-6 * wanted.abs().max().item()):
            return f"{loss}; the step that it makes is nearly, but not exactly, the right one."
        return f"{loss}; the weights after the first step are right, and those after later ones are not."
    rule = relation([(way, wanted)]).replace("Everything", "The first step")
    which = "are not those of a step on the mean negative ELBO"
    if loss_right:
        return f"The loss of the first step is right, but the weights after it {which}. {rule}".rstrip()
    return f"The loss is another one, and the weights after it {which}. {rule}".rstrip()


def _evidence(runs: list[Run], expected: list[Run], exercise: Exercise) -> str:
    """Format losses and distances on the first probe that differs, and what was expected."""
    i = _first_wrong(runs, expected)
    seen, wanted, about = runs[i], expected[i], exercise.probes[i].about
    losses, right_losses = numbers(seen.losses), numbers(wanted.losses)
    if not same(seen.losses, wanted.losses):
        losses, right_losses = apart(seen.losses, wanted.losses)
    ways, right_ways = numbers(_ways(seen)), numbers(_ways(wanted))
    if not _same_weights(seen, wanted):
        ways, right_ways = apart(_ways(seen), _ways(wanted))
    lines = [
        f"    losses of {STEPS} steps: {losses}",
        f"           expected: {right_losses}",
        f"    how far from the start the weights are after each: {ways}",
        f"                                             expected: {right_ways}",
    ]
    return f"Tried on a small VAE ({about}; always the same pictures):\n\n" + "\n".join(lines)


def _first_wrong(runs: list[Run], expected: list[Run]) -> int:
    """Return the number of the first probe on which weights differ or, if they never do, losses do."""
    pairs = list(zip(runs, expected, strict=True))
    for differ in (
        [not _same_weights(seen, right) for seen, right in pairs],
        [not same(seen.losses, right.losses) for seen, right in pairs],
    ):
        if any(differ):
            return differ.index(True)
    return 0


def _ways(seen: Run) -> Tensor:
    """Return the distances of the weights from the start, after each step."""
    return torch.stack([(after - seen.weights[0]).norm() for after in seen.weights[1:]])


TASK = """Write one training step: run the model on `x`, take the negative ELBO of each picture and its mean over the
batch, and let the optimizer move the weights. `model(x)` returns `(parameters, mu, logvar)`; `parameters` are Bernoulli
logits, as `bernoulli_nll` takes them. Return the loss as a float."""

EXERCISE = Exercise(
    name="training_step",
    task=TASK,
    stub="training_step(model, optimizer, x)",
    hints=(
        "Two halves. First a number that says how bad the model is on these pictures. Then move the weights so that it "
        "falls; notebook 01 had that half, too.",
        "For the loss: one run of the model, `bernoulli_nll` and `gaussian_kl` for each picture, and the mean over "
        "the batch of their sum. To move the weights: `zero_grad()`, `backward()` and `step()`. Which of them belong "
        "to the loss, which to the optimizer, and in which order?",
        "`parameters, mu, logvar = model(x)`; the loss is the mean of `bernoulli_nll(…) + gaussian_kl(…)`. Then "
        "`optimizer.zero_grad()`, `loss.backward()`, `optimizer.step()`, in this order, and `return loss.item()`.",
    ),
    solution=training_step,
    right="The losses and all the weights are where they should be after each of three steps, with gradient descent "
    "and with Adam.",
    probes=PROBES,
    judge=judge,
)
