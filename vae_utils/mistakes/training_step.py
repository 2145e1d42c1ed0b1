"""Wrong ways to write `training_step`: one training step of a VAE."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..losses import bernoulli_nll, gaussian_kl
from ..models import VAE
from .mistake import mistake

Optimizer = torch.optim.Optimizer


def _move(optimizer: Optimizer, loss: Tensor) -> float:
    """Do what follows the loss, as it should be."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def _loss(model: nn.Module, x: Tensor) -> Tensor:
    parameters, mu, logvar = model(x)
    return (bernoulli_nll(parameters, x) + gaussian_kl(mu, logvar)).mean()


@mistake
def no_zero_grad(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The old gradients are never cleared. `backward()` adds to what stands in `.grad`, so each step follows the sum of
    all gradients so far, those of long gone weights included. The first step is right; then the steps get longer and
    longer, and the loss jumps about or runs away. Call `optimizer.zero_grad()` before `backward()`."""
    loss = _loss(model, x)
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake
def no_backward(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """`backward()` is never called, so no weight has a gradient, and `step()` moves nothing. The loss jitters with the
    draws of z and the batches, and never falls. Nothing complains."""
    loss = _loss(model, x)
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


@mistake
def no_step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The gradients are there, but `optimizer.step()` is never called, so no weight moves. The loss jitters with the
    draws of z and the batches, and never falls. Nothing complains."""
    loss = _loss(model, x)
    optimizer.zero_grad()
    loss.backward()
    return loss.item()


@mistake
def step_before_backward(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """`step()` comes before `backward()`. At that moment the gradients are cleared or not there yet, so no weight
    moves; and what `backward()` then computes is thrown away by the next `zero_grad()`. The loss never falls. The order
    is: clear, backward, step."""
    loss = _loss(model, x)
    optimizer.zero_grad()
    optimizer.step()
    loss.backward()
    return loss.item()


@mistake
def zero_grad_too_late(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The gradients are cleared between `backward()` and `step()`, so `step()` finds none and no weight moves. The loss
    never falls, and nothing complains. Clear before `backward()`, or after `step()`."""
    loss = _loss(model, x)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


@mistake
def no_grad(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The model was run under `torch.no_grad()` (or `inference_mode`), which keeps no record of how the loss came
    about, so `backward()` has no way back. That is for testing; in a training step leave it out."""
    with torch.no_grad():
        loss = _loss(model, x)
    return _move(optimizer, loss)


@mistake
def detached(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The loss that you send backward has no past: something took it away (`.detach()`, `.item()`, `.data`,
    `torch.tensor(loss)`), so no gradient reaches a weight, and none moves. `requires_grad=True` afterwards only
    silences the error. Call `backward()` on the loss as it was computed; `.item()` is for what you return."""
    return _move(optimizer, _loss(model, x).detach().requires_grad_())


@mistake
def not_averaged(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """Your loss has one number for each picture, and `backward()` goes back from a single number. Take the mean over
    the batch."""
    parameters, mu, logvar = model(x)
    return _move(optimizer, bernoulli_nll(parameters, x) + gaussian_kl(mu, logvar))


@mistake
def z_detached(model: VAE, optimizer: Optimizer, x: Tensor) -> float:
    """z is cut off from the encoder (`.detach()`, `.sample()`). The loss is right, and the decoder learns, but the
    encoder hears from the KL alone: every cloud becomes the prior, and every picture comes back the same (notebook 03).
    Let `model(x)` do the drawing."""
    mu, logvar = model.encode(x)
    parameters = model.decode(model.reparameterize(mu, logvar).detach())
    return _move(optimizer, (bernoulli_nll(parameters, x) + gaussian_kl(mu, logvar)).mean())


@mistake
def own_optimizer(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The optimizer that was handed in is never asked for a `step()`; the weights are moved some other way. An
    optimizer made anew in each step forgets what it has learned about the gradients (Adam's averages), and a learning
    rate that the caller sets has no effect. Use `optimizer`."""
    return _move(torch.optim.Adam(model.parameters()), _loss(model, x))


@mistake
def kl_forgotten(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The KL is missing: only the reconstruction is trained. The loss looks better than the right one and
    reconstructions are good, but the codes go wherever they like, and pictures decoded from N(0, I) are bad."""
    parameters, _, _ = model(x)
    return _move(optimizer, bernoulli_nll(parameters, x).mean())


@mistake
def kl_detached(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The loss that you return is right, but its KL has no gradient (`.detach()`, `.item()`, `.data`): it is printed
    and plotted and never felt. Training goes as if it had been forgotten, while the KL that you see climbs."""
    parameters, mu, logvar = model(x)
    return _move(optimizer, (bernoulli_nll(parameters, x) + gaussian_kl(mu, logvar).detach()).mean())


@mistake
def kl_subtracted(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The KL is subtracted: being far from the prior is rewarded, without end. In the ELBO it has a minus; this is the
    negative ELBO, where both terms change sign."""
    parameters, mu, logvar = model(x)
    return _move(optimizer, (bernoulli_nll(parameters, x) - gaussian_kl(mu, logvar)).mean())


@mistake
def sign_flipped(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """You minimize the ELBO. It is to be made large, so minimize its negative: −log p(x|z) + KL. As it is, each step
    makes the model worse, and the falling loss looks like progress."""
    return _move(optimizer, -_loss(model, x))


@mistake
def summed_over_batch(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """You sum over the batch, where the course averages. The direction of each step is the same, its length is that of
    a learning rate multiplied by the batch size: with plain gradient descent training runs away; Adam, which divides it
    out, hides it. And the loss can't be compared across batch sizes. Take the mean over the batch (and sums inside each
    picture)."""
    return _move(optimizer, _loss(model, x) * len(x))


@mistake
def averaged_pixels(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The reconstruction is averaged over the pixels, the KL summed over the code: β = P for P pixels. No error, no
    warning, a smooth curve that falls, and the code falls silent: KL 0 and one picture for all. The mistake that people
    make most. The mean is over the batch only."""
    parameters, mu, logvar = model(x)
    return _move(optimizer, (bernoulli_nll(parameters, x) / x[0].numel() + gaussian_kl(mu, logvar)).mean())


@mistake
def averaged_latents(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The KL is averaged over the numbers of the code, where it is a sum: a silent β = 1/L with L numbers.
    Reconstructions improve, samples from the prior get worse. The mean is over the batch only."""
    parameters, mu, logvar = model(x)
    return _move(optimizer, (bernoulli_nll(parameters, x) + gaussian_kl(mu, logvar) / mu.shape[1]).mean())


@mistake
def both_averaged(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """Both terms are averaged over everything (`.mean()`). With P pixels and L numbers in the code that is β = P/L,
    often in the hundreds: the code falls silent. Sum over pixels and over the code, and average over the batch only."""
    parameters, mu, logvar = model(x)
    nll, kl = bernoulli_nll(parameters, x) / x[0].numel(), gaussian_kl(mu, logvar) / mu.shape[1]
    return _move(optimizer, (nll + kl).mean())


@mistake
def nll_of_batch(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The reconstruction is summed over the batch, the KL averaged over it. Against each other they are off by the
    batch size: β = 1 / batch size, and another one for each batch size you try. Average the sum of the two."""
    parameters, mu, logvar = model(x)
    return _move(optimizer, bernoulli_nll(parameters, x).sum() + gaussian_kl(mu, logvar).mean())


@mistake
def kl_of_batch(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The KL is summed over the batch, the reconstruction averaged over it. Against each other they are off by the
    batch size: β = batch size, and the code falls silent. Average the sum of the two."""
    parameters, mu, logvar = model(x)
    return _move(optimizer, bernoulli_nll(parameters, x).mean() + gaussian_kl(mu, logvar).sum())


@mistake
def squared_error(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The reconstruction is a squared error: Gaussian pixels with σ² = ½. The model's parameters are Bernoulli logits,
    so it is `bernoulli_nll`. The pictures would look fine, but errors are too cheap against the KL, and the loss is no
    bound on this model's log p(x)."""
    parameters, mu, logvar = model(x)
    error = (parameters.sigmoid() - x).square().flatten(1).sum(1)
    return _move(optimizer, (error + gaussian_kl(mu, logvar)).mean())


@mistake
def half_squared_error(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The reconstruction is half the squared error: Gaussian pixels with σ² = 1. The model's parameters are Bernoulli
    logits, so it is `bernoulli_nll`. Errors are then so cheap that the KL empties the code, and the loss is no bound on
    this model's log p(x)."""
    parameters, mu, logvar = model(x)
    error = 0.5 * (parameters.sigmoid() - x).square().flatten(1).sum(1)
    return _move(optimizer, (error + gaussian_kl(mu, logvar)).mean())


@mistake
def squared_error_of_logits(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """You compare the logits with the picture. They may be any number and become chances only through `sigmoid`;
    trained so, everything that decodes them is off (a logit of 0 is grey, not black). For Bernoulli pixels the term is
    `bernoulli_nll(parameters, x)`."""
    parameters, mu, logvar = model(x)
    error = (parameters - x).square().flatten(1).sum(1)
    return _move(optimizer, (error + gaussian_kl(mu, logvar)).mean())


@mistake
def mse_loss(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """`F.mse_loss` averages over pixels and batch, and it is a squared error, which belongs to Gaussian pixels. Against
    a KL that is summed, the pictures weigh almost nothing: the code falls silent. Here it is `bernoulli_nll`, summed
    over the pixels."""
    parameters, mu, logvar = model(x)
    return _move(optimizer, nn.functional.mse_loss(parameters.sigmoid(), x) + gaussian_kl(mu, logvar).mean())


@mistake
def sigmoid_twice(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The sigmoid is taken twice: the model returns logits, and `bernoulli_nll` has the sigmoid inside. Probabilities
    can then only lie between 0.5 and 0.73: pictures stay grey, and the loss stops far too high."""
    parameters, mu, logvar = model(x)
    return _move(optimizer, (bernoulli_nll(parameters.sigmoid(), x) + gaussian_kl(mu, logvar)).mean())


@mistake
def no_sigmoid(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The logits are taken for probabilities: `F.binary_cross_entropy` wants numbers from 0 to 1, and a logit may be
    any number. `bernoulli_nll(parameters, x)` takes logits as they are."""
    parameters, mu, logvar = model(x)
    nll = nn.functional.binary_cross_entropy(parameters, x, reduction="none").flatten(1).sum(1)
    return _move(optimizer, (nll + gaussian_kl(mu, logvar)).mean())


@mistake
def swapped(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The arguments of the cross-entropy are swapped: first the parameters, then the picture. Swapped, the loss is a
    straight line in the logits, with no minimum: it falls without end and the pictures turn white."""
    parameters, mu, logvar = model(x)
    return _move(optimizer, (bernoulli_nll(x, parameters) + gaussian_kl(mu, logvar)).mean())


@mistake
def no_half(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The KL weighs exactly twice what it should: its ½ is missing. A silent β = 2: blurrier reconstructions, and a
    loss that is no longer the negative ELBO."""
    parameters, mu, logvar = model(x)
    return _move(optimizer, (bernoulli_nll(parameters, x) + 2 * gaussian_kl(mu, logvar)).mean())


@mistake
def log_std(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """In the KL, `logvar` is read as log σ, but it is log σ². The curve looks as always; for every width but 1 the KL
    is far too large, and the clouds come out the wrong width."""
    parameters, mu, logvar = model(x)
    return _move(optimizer, (bernoulli_nll(parameters, x) + gaussian_kl(mu, 2 * logvar)).mean())


@mistake
def called_twice(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The model is run more than once in one step. Each run takes its time and draws its own z: what you decode and
    what you look at need not belong together. Run it once and keep all three results: `parameters, mu, logvar =
    model(x)`."""
    parameters = model(x)[0]
    _, mu, logvar = model(x)
    return _move(optimizer, (bernoulli_nll(parameters, x) + gaussian_kl(mu, logvar)).mean())


@mistake
def step_per_picture(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """You loop over the batch and call `optimizer.step()` for each picture: as many small steps as there are pictures,
    in place of one. Each follows a single picture's gradient, which is far noisier than the mean over the batch, and it
    takes many times as long. `model(x)` takes the whole batch at once: average the pictures' losses, then step once."""
    return sum(_move(optimizer, _loss(model, picture)) for picture in x.split(1)) / len(x)


@mistake
def several_steps(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """`optimizer.step()` is called more than once. One training step moves the weights once; the loop over steps is the
    caller's, who brings new pictures for each. With the same batch again and again, the model learns these few
    pictures, and the loss that you return flatters it."""
    return [_move(optimizer, _loss(model, x)) for _ in range(2)][-1]


@mistake
def loss_after_step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """You run the model again after the step and return that loss. It costs a second run, draws another z, and is
    measured on pictures that the weights have just been moved for. What a step returns is the loss that its gradient
    came from: keep it, and return its `.item()`."""
    _move(optimizer, _loss(model, x))
    return _loss(model, x).item()


@mistake
def no_noise(model: VAE, optimizer: Optimizer, x: Tensor) -> float:
    """You decode μ instead of a draw of z. Reconstructions look better and the loss does, too. But the decoder then
    never sees anything of a cloud but its center, the widths hear only from the KL and all become 1, and the loss is no
    bound on log p(x). Let `model(x)` draw."""
    mu, logvar = model.encode(x)
    return _move(optimizer, (bernoulli_nll(model.decode(mu), x) + gaussian_kl(mu, logvar)).mean())


@mistake
def eval_mode(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The model is in `eval()` mode. Many models behave otherwise there (this one returns z = μ without noise, others
    switch dropout off), so you train another model than you think. Train in `train()` mode, which it is in when it
    comes to you."""
    model.eval()
    return _move(optimizer, _loss(model, x))


@mistake
def get_device(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """`get_device()` gives a number, and for a tensor on the CPU it is −1, which is no device: it works on a GPU and
    fails everywhere else. `x.device` works on both. Here model and picture are on the same device already."""
    x = x.to(x.get_device())
    return _move(optimizer, _loss(model, x))


@mistake
def fixed_seed(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """The step is right, but it sets the seed of PyTorch's dice (`torch.manual_seed`), so z is drawn with the same
    rolls in every step. Nothing complains, and the curve is smooth. But noise that never changes is no noise: the
    network can learn it by heart, and a cloud becomes a point again. Seed once, before training."""
    torch.manual_seed(0)
    return _move(optimizer, _loss(model, x))


@mistake
def clamped(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """Right for usual logits, wrong for confident ones: something bounds the reconstruction term (a `clamp`, a small
    number inside the log, `F.binary_cross_entropy`). Where the decoder is sure and wrong, it is charged the bound and
    not the true price. `bernoulli_nll(parameters, x)` takes logits as they are."""
    parameters, mu, logvar = model(x)
    nll = nn.functional.binary_cross_entropy(parameters.sigmoid().clamp(1e-6, 1 - 1e-6), x, reduction="none")
    return _move(optimizer, (nll.flatten(1).sum(1) + gaussian_kl(mu, logvar)).mean())


@mistake
def log_of_sigmoid(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    """Right for usual logits, but infinite or NaN for confident ones: in float32 the sigmoid of 20 is exactly 1, so
    log(1 − p) is minus infinity, and 0 times that is NaN. One such pixel turns all weights into NaN.
    `bernoulli_nll(parameters, x)` computes it from the logits, without that."""
    parameters, mu, logvar = model(x)
    p = parameters.sigmoid()
    nll = -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)
    return _move(optimizer, (nll + gaussian_kl(mu, logvar)).mean())


@mistake
def returns_tensor(model: nn.Module, optimizer: Optimizer, x: Tensor) -> Tensor:
    """The step is right. Only what you return is a tensor, and the task asks for a float: `loss.item()`. (A tensor that
    was not detached also holds on to everything it was computed from; put a few thousand of them in a list for the
    curve, and the memory is full.)"""
    loss = _loss(model, x)
    _move(optimizer, loss)
    return loss


@mistake
def returns_nothing(model: nn.Module, optimizer: Optimizer, x: Tensor) -> None:
    """The step is right, but nothing is returned: without the loss nobody can see how training goes. End with `return
    loss.item()`."""
    _move(optimizer, _loss(model, x))
