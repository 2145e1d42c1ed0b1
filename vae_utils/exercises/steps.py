"""Judge a training step by what it does with a small model in a few steps: calls, losses and all weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from ..draws import Sample
from ..losses import bernoulli_nll, gaussian_kl
from ..mistakes import Mistake
from .altered import PIXELS, WORDS
from .attempt import Attempt, Stopped, kind_of_error
from .compare import apart, kind, numbers, relation, same
from .exercise import Exercise, Probe
from .small_vae import STEPS, Run, run, small
from .values import bound_by
from .verdict import Evidence, Verdict
from .weights import fitted

Optimizer = torch.optim.Optimizer


def same_weights(a: Run, b: Run) -> bool:
    """Return whether the weights agree after every step."""
    return len(a.weights) == len(b.weights) and all(same(v, w) for v, w in zip(a.weights, b.weights, strict=True))


def same_run(a: Run, b: Run) -> bool:
    """Return whether losses and weights agree after every step, and nothing stopped."""
    return not (a.error or b.error) and same_weights(a, b) and same(a.losses, b.losses)


@dataclass
class Sight:
    """What was seen of a step on some probes, and what is expected."""

    attempt: Callable[..., Any]
    exercise: Exercise
    probes: list[Probe]

    @cached_property
    def runs(self) -> list[Run]:
        """What the step did with each probe."""
        return [run(self.attempt, probe) for probe in self.probes]

    @cached_property
    def by_hand(self) -> bool:
        """Whether the step draws z itself."""
        return all(noise is not None for seen in self.runs for noise in seen.noise)

    @cached_property
    def expected(self) -> list[Run]:
        """What the solution does, with the same noise."""
        pairs = zip(self.probes, self.runs, strict=True)
        return [run(self.exercise.answer, probe, None, seen if self.by_hand else None) for probe, seen in pairs]

    @cached_property
    def weights_right(self) -> bool:
        """Whether all weights are where they should be."""
        return all(map(same_weights, self.runs, self.expected))

    @cached_property
    def losses_right(self) -> bool:
        """Whether the losses are what they should be."""
        return all(same(a.losses, b.losses) for a, b in zip(self.runs, self.expected, strict=True))

    @property
    def returned(self) -> list[Any]:
        """All that the steps returned."""
        return [value for seen in self.runs for value in seen.returned]

    def of(self, mistake: Mistake, i: int) -> Run:
        """Run a mistake on a probe, with the same noise, as long as it does the same."""
        return run(mistake.function, self.probes[i], self.runs[i], self.runs[i] if self.by_hand else None)

    def is_(self, mistake: Mistake) -> bool:
        """Return whether a mistake leads to the same losses and weights."""
        return all(same_run(seen, self.of(mistake, i)) for i, seen in enumerate(self.runs))

    @property
    def pictures(self) -> list[int]:
        """The batch sizes."""
        return [len(probe.make()["x"]) for probe in self.probes]

    @property
    def wrong(self) -> int:
        """The number of the first probe on which weights differ or, if they never do, losses do."""
        pairs = list(zip(self.runs, self.expected, strict=True))
        differs = [not same_weights(*pair) for pair in pairs], [not same(a.losses, b.losses) for a, b in pairs]
        return next((each.index(True) for each in differs if any(each)), 0)

    def evidence(self) -> Evidence:
        """Return losses and distances on the first probe that differs, and what was expected."""
        i = self.wrong
        seen, right = self.runs[i], self.expected[i]
        came, wanted = (text.strip("[]") for text in _shown(seen.losses, right.losses))
        about = f"Tried on a small VAE ({self.probes[i].about}; always the same pictures):"
        if same_weights(seen, right):
            if not seen.losses.isfinite().all():  # what came back is no number, and is shown as it is
                came = ", ".join(numbers(value) for value in seen.returned)
            return Evidence(about, ((f"returned in {STEPS} steps", came), ("expected", wanted)))
        ways, right_ways = _shown(_ways(seen), _ways(right))
        rows = (f"losses of {STEPS} steps", f"[{came}]"), ("expected", f"[{wanted}]")
        how_far = ("how far from the start the weights are after each", ways), ("expected", right_ways)
        return Evidence(about, rows + how_far)


def _shown(got: Tensor, expected: Tensor) -> tuple[str, str]:
    return (numbers(got), numbers(expected)) if same(got, expected) else apart(got, expected)


def _ways(seen: Run) -> Tensor:
    """Return the distances of the weights from the start, after each step."""
    return torch.stack([(after - seen.weights[0]).norm() for after in seen.weights[1:]])


def by_steps(attempt: Attempt, exercise: Exercise) -> Verdict:
    """Compare losses and weights over a few steps with the solution's; name what was not called, or the mistake."""
    sight = Sight(attempt, exercise, [probe for probe in exercise.probes if not probe.sure])
    for seen in sight.runs:
        if seen.error:
            return _stopped(seen, sight)
    unfair = _unfair(attempt) if sight.by_hand else ""
    plain = all(isinstance(value, Real) and not isinstance(value, bool) for value in sight.returned)
    if sight.weights_right and sight.losses_right and plain and not unfair:
        if _seeds(attempt, sight.probes[0]):
            return exercise.named("fixed-seed")
        own = " (You draw z yourself, and rightly so; `model(x)` does it, too.)" if sight.by_hand else ""
        return _of_sure(sight) or exercise.passes(own)
    if slug := _by_calls(sight) or _by_return(sight):
        return exercise.named(slug, sight.evidence())
    by_numbers = all(seen.losses[0].isfinite() for seen in sight.runs) and not sight.weights_right
    if by_numbers and (slug := exercise.first(sight.is_)):
        return exercise.named(slug, sight.evidence())
    if by_numbers and (how := _altered(sight)):
        return exercise.wrong(how, sight.evidence())
    if unfair:
        why = f"You draw z yourself (`model(x)` does it for you), and the draw is not a fair one. {unfair}"
        return exercise.wrong(why, None if sight.weights_right else sight.evidence())
    if by_numbers and (found := _by_first_loss(sight)):
        return exercise.named(found[0], sight.evidence(), also=found[1])
    words = _in_words(sight)
    if not sight.weights_right and not sight.by_hand and not sight.runs[0].happened("forward"):
        words = f"The check could not see how z is drawn in your step; let `model(x)` encode, draw and decode. {words}"
    return exercise.wrong(words, sight.evidence())


def _stopped(seen: Run, sight: Sight) -> Verdict:
    """Name the mistake that raises the same error in the same place; raise the error again if there is none."""
    error, exercise = seen.error, sight.exercise
    assert error is not None
    what = kind_of_error(error) if isinstance(error, Stopped) else ""
    if what == "no gradient" and seen.happened("without gradients"):
        return exercise.named("no-grad", None, str(error))
    if what == "device" and not seen.happened("forward"):
        other = run(exercise.mistake("get-device").function, sight.probes[0]).error
        if str(other) == str(error.__cause__):
            return exercise.named("get-device", None, str(error))
    raise error


def _of_sure(sight: Sight) -> Verdict | None:
    """Judge a step that is right on ordinary models with a decoder that is sure; None if it is right there, too."""
    exercise = sight.exercise
    sure = Sight(sight.attempt, exercise, [probe for probe in exercise.probes if probe.sure])
    if any(seen.error for seen in sure.runs) or all(map(same_run, sure.runs, sure.expected)):
        return None
    slug = bound_by(*((seen.losses, right.losses) for seen, right in zip(sure.runs, sure.expected, strict=True)))
    if slug in exercise.mistakes_by_slug:
        return exercise.named(slug, sure.evidence())
    return exercise.wrong("With usual logits your step is right; where the decoder is sure, not.", sure.evidence())


def _seeds(attempt: Attempt, probe: Probe) -> bool:
    """Return whether the step sets the global seed: the generator's states then agree, wherever it started."""
    first, second = (run(attempt, probe, start=start) for start in (11, 12))
    states = [*first.states[1:], *second.states[1:]]
    whole = len(first.states) == len(second.states) == STEPS and not (first.error or second.error)
    return whole and all(torch.equal(state, states[0]) for state in states)


def _unfair(attempt: Attempt) -> str:
    """Describe what is wrong with the noise that a function draws for a large batch; '' if nothing is."""
    seen = run(attempt, Probe(small(500, 3, torch.optim.SGD, 0.0)))
    if seen.error or any(noise is None or not noise.isfinite().all() for noise in seen.noise):
        return "For a large batch, the dice behind z can't be read."
    first, again, _ = (noise.double() for noise in seen.noise if noise is not None)
    fault, how = Sample(first, again).fault
    if fault == "together" and bool((first - first[:, :1]).abs().max() < 1e-3):
        return "All numbers of a code share one roll."
    if fault in ("center", "width", "shape"):
        return f"(z - mu) / sigma with sigma = exp(logvar / 2) should be standard normal, and is not: {how}."
    return {
        "repeats": "Two steps roll the same ones.",
        "constant": "All pictures of a batch share one roll.",
        "together": "All numbers of a code move together, as if they came of one roll (up to sign and scale).",
    }.get(fault, how)


def _by_calls(sight: Sight) -> str | None:
    """Return the mistake that the calls alone show; None if there is none."""
    seen, events = sight.runs[0], sight.runs[0].events[0]
    parts, steps = "a part" in events or "a picture" in events, events.count("step")
    if steps > 1 and parts:
        each = all(
            run.events[0].count("step") == run.events[0].count("a picture") == n and "a part" not in run.events[0]
            for run, n in zip(sight.runs, sight.pictures, strict=True)
        )
        if each:
            return "step-per-picture"
        raise Stopped(
            f"There is more than one step in a call: `optimizer.step()` is called {steps} times, on parts of a batch "
            f"of {sight.pictures[0]}. One training step moves the weights once, along the gradient of the mean over "
            "the whole batch."
        )
    if steps > 1:
        return "several-steps"
    forward = [place for place, event in enumerate(events) if event == "forward"]
    if forward and steps and forward[0] < events.index("step") < forward[-1]:
        return "loss-after-step"
    if len(forward) > 1 and not parts:
        return "called-twice"
    if "in eval mode" in events:
        return "eval-mode"
    if seen.moved:
        return None if seen.happened("step") else "own-optimizer"
    if not seen.happened("step"):
        return "no-step" if seen.happened("backward") else "no-backward"
    if not seen.happened("backward"):
        return "no-backward"
    if events.index("step") < events.index("backward"):
        return "step-before-backward"
    return "zero-grad-too-late" if "zero_grad" in events[events.index("backward") :] else "detached"


def _by_return(sight: Sight) -> str | None:
    """Return the mistake in what a right step returns; None if there is none."""
    if sight.weights_right and all(value is None for value in sight.returned):
        return "returns-nothing"
    tensors = all(isinstance(value, Tensor) for value in sight.returned)
    return "returns-tensor" if sight.weights_right and sight.losses_right and tensors else None


Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def stepping(loss: Loss, clip: Callable[..., Any] | None = None, most: float = 0.0) -> Callable[..., float]:
    """Return a step on the mean of a loss of (parameters, x, mu, logvar), with clipped gradients."""

    def step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        parameters, mu, logvar = model(x)
        mean = loss(parameters, x, mu, logvar).mean()
        optimizer.zero_grad()
        mean.backward()
        if clip:
            clip(model.parameters(), most)
        optimizer.step()
        return mean.item()

    return step


def elbo(parameters: Tensor, x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Return the negative ELBO of each picture."""
    return bernoulli_nll(parameters, x) + gaussian_kl(mu, logvar)


def _altered(sight: Sight) -> str:
    """Describe a right step on other pixels, with other weights or with clipped gradients; '' if it is none."""
    probe, seen = sight.probes[0].make(), sight.runs[0]
    gradient = (seen.weights[1] - seen.weights[0]) / probe["optimizer"].param_groups[0]["lr"]  # plain descent
    mixed_up = "The outputs of the model are mixed up: `model(x)` returns (parameters, mu, logvar), in this order."
    tried = [(mixed_up, stepping(lambda parameters, x, mu, logvar: elbo(parameters, x, logvar, mu)))]
    for what, clip, most in (
        ("norm is", nn.utils.clip_grad_norm_, gradient.norm().item()),
        ("entries are", nn.utils.clip_grad_value_, gradient.abs().max().item()),
    ):
        tried.append((CLIPPED.format(what, f"{most:.3g}"), stepping(elbo, clip, most)))
    for how, change in PIXELS.items():
        for step in (
            stepping(lambda parameters, x, *code, change=change: elbo(parameters, change(x), *code)),
            lambda model, optimizer, x, change=change: sight.exercise.answer(model, optimizer, change(x)),
        ):
            tried.append((WORDS["x"].format(how), step))
    first, right = (torch.stack([one.losses[0] for one in runs]) for runs in (sight.runs, sight.expected))
    only = Mistake("", stepping(lambda parameters, x, mu, logvar: bernoulli_nll(parameters, x)), "")
    nll = torch.stack([sight.of(only, i).losses[0] for i in range(len(first))])
    shapes = [sight.probes[i].make() for i in range(len(first))]
    sizes = [(one["x"][0].numel(), one["model"].latent_dim, len(one["x"])) for one in shapes]
    if weights := fitted(first, torch.stack([nll, right - nll]), sizes):

        def weighed(parameters: Tensor, x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
            nll, kl = bernoulli_nll(parameters, x), gaussian_kl(mu, logvar)
            return weights.loss(nll, kl, x[0].numel(), mu.shape[1], len(x))

        tried.append((str(weights), stepping(weighed)))
    return next((how for how, step in tried if sight.is_(Mistake("", step, ""))), "")


CLIPPED = (
    "Your step clips the gradient: its {} at most {}. The direction is (nearly) right, the length is not the one that "
    "the gradient and the learning rate give. Against gradients that explode it is a well-known remedy; here the plain "
    "step is asked for."
)


def _by_first_loss(sight: Sight) -> tuple[str, str] | None:
    """Return the mistake with this first loss, of a step with another mistake besides, and the other in words."""
    first, right = (torch.stack([seen.losses[0] for seen in each]) for each in (sight.runs, sight.expected))
    pictures = torch.tensor([float(n) for n in sight.pictures])
    for slug, mistake in sight.exercise.mistakes_by_slug.items() if not same(first, right) else ():
        values = []
        for i in range(len(sight.runs)):
            other = sight.of(mistake, i)
            if other.error or not any(same(first[i], other.losses[0] * times) for times in (1, pictures[i])):
                break
            values.append(other.losses[0])
        if len(values) < len(first) or same(torch.stack(values), right):
            continue
        if same(first, torch.stack(values)):
            return slug, " And something else: the way from the loss to the weights is not right, either."
        if same(first, torch.stack(values) * pictures):
            return slug, " And something else: you sum over the batch, where the course averages."
    return None


def _in_words(sight: Sight) -> str:
    """Describe what differs, if no known mistake does the same."""
    a, b = sight.runs[sight.wrong], sight.expected[sight.wrong]
    if any(value is None for value in a.returned):
        return "Your function returned nothing (`None`): is a `return` missing?"
    if not all(isinstance(value, float | int | Tensor) for value in a.returned):
        return f"Your function returned {kind(a.returned[0])}; the loss as a float is expected."
    if sight.weights_right:
        pairs = [(seen.losses, right.losses) for seen, right in zip(sight.runs, sight.expected, strict=True)]
        rule = relation(pairs)
        if all(same(losses, right * n) for (losses, right), n in zip(pairs, sight.pictures, strict=True)):
            rule = "It is the sum over the batch; its mean is expected."
        return f"The weights move as they should, but the loss that you return is another one. {rule}"
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
    loss = "The loss of the first step is right, but" if loss_right else "The loss is another one, and"
    return f"{loss} the weights after it are not those of a step on the mean negative ELBO. {rule}"
