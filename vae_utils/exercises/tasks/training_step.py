"""Exercise of notebook 04: one training step of a VAE."""

from __future__ import annotations

from torch.optim import SGD, Adam

from ...losses import bernoulli_nll, gaussian_kl
from ..exercise import Exercise, Probe
from ..small_vae import small
from ..steps import by_steps


def training_step(model, optimizer, x):
    parameters, mu, logvar = model(x)
    loss = (bernoulli_nll(parameters, x) + gaussian_kl(mu, logvar)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


TASK = """Write one training step: run the model on `x`, take the negative ELBO of each picture and its mean over the
batch, and let the optimizer move the weights. `model(x)` returns `(parameters, mu, logvar)`; `parameters` are Bernoulli
logits, as `bernoulli_nll` takes them. Return the loss as a float."""

SURE = "gradient descent, batches of 4, codes of 2, a decoder that is sure of white pixels, logits near {}"

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
    answer=training_step,
    right="The losses and all the weights are where they should be after each of three steps, with gradient descent "
    "and with Adam.",
    judge=by_steps,
    afterwards="Whoever calls it finds other numbers in their tensor afterwards, even in their training set.",
    errors={
        "no gradient": "detached",
        "no tensor": "detached",
        "no scalar": "not-averaged",
        "no chance": "no-sigmoid",
    },
    probes=(
        Probe(small(3, 2, SGD, 0.05), "gradient descent, batches of 3, codes of 2"),
        Probe(small(5, 3, Adam, 0.02), "Adam, batches of 5, codes of 3"),
        Probe(small(4, 2, SGD, 0.01), "gradient descent, batches of 4, codes of 2"),
        *(
            Probe(small(4, 2, SGD, 1e-4, logit), SURE.format(logit), sure=True)
            for logit in (40, 200)  # a decoder that is sure that all is white
        ),
    ),
)
