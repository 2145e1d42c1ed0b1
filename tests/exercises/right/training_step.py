"""Right ways to write training_step."""

import torch
import torch.nn.functional as F

from vae_utils.losses import bernoulli_nll, gaussian_kl
from vae_utils.objectives import vae_loss


def _negative_elbo(logits, x, mu, logvar):
    return bernoulli_nll(logits, x) + gaussian_kl(mu, logvar)


def usual(model, optimizer, x):
    optimizer.zero_grad()
    parameters, mu, logvar = model(x)
    loss = (bernoulli_nll(parameters, x) + gaussian_kl(mu, logvar)).mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def cleared_at_the_end(model, optimizer, x):
    parameters, mu, logvar = model(x)
    loss = _negative_elbo(parameters, x, mu, logvar).mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return float(loss)


def cleared_to_zero(model, optimizer, x):
    optimizer.zero_grad(set_to_none=False)
    parameters, mu, logvar = model(x)
    loss = _negative_elbo(parameters, x, mu, logvar).mean()
    loss.backward()
    optimizer.step()
    return loss.detach().item()


def cleared_by_the_model(model, optimizer, x):
    model.train()
    model.zero_grad()
    out = model(x)
    loss = torch.mean(bernoulli_nll(out[0], x) + gaussian_kl(out[1], out[2]))
    loss.backward()
    optimizer.step()
    return loss.item()


def cleared_by_hand(model, optimizer, x):
    for weights in model.parameters():
        weights.grad = None
    parameters, mu, logvar = model(x)
    _negative_elbo(parameters, x, mu, logvar).mean().backward(retain_graph=True)
    optimizer.step()
    return _negative_elbo(parameters, x, mu, logvar).mean().item()


def two_means(model, optimizer, x):
    parameters, mu, logvar = model(x)
    nll = F.binary_cross_entropy_with_logits(parameters, x, reduction="sum") / len(x)
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp()) / x.size(0)
    loss = nll + kl
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def two_backwards(model, optimizer, x):
    parameters, mu, logvar = model(x)
    nll, kl = bernoulli_nll(parameters, x).mean(), gaussian_kl(mu, logvar).mean()
    optimizer.zero_grad()
    nll.backward(retain_graph=True)
    kl.backward()
    optimizer.step()
    return nll.item() + kl.item()


def by_package(model, optimizer, x):
    loss = vae_loss(model, x)["loss"].mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def by_closure(model, optimizer, x):
    def closure():
        optimizer.zero_grad()
        parameters, mu, logvar = model(x)
        loss = _negative_elbo(parameters, x, mu, logvar).mean()
        loss.backward()
        return loss

    return optimizer.step(closure).item()


def by_autograd(model, optimizer, x):
    parameters, mu, logvar = model(x)
    loss = _negative_elbo(parameters, x, mu, logvar).mean()
    weights = list(model.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient
    optimizer.step()
    return loss.item()


def by_parts(model, optimizer, x):
    mu, logvar = model.encode(x)
    parameters = model.decode(model.reparameterize(mu, logvar))
    loss = _negative_elbo(parameters, x, mu, logvar).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def picture_by_picture(model, optimizer, x):
    parameters, mu, logvar = model(x)
    losses = [
        _negative_elbo(parameters[i : i + 1], x[i : i + 1], mu[i : i + 1], logvar[i : i + 1]) for i in range(len(x))
    ]
    loss = sum(losses).sum() / len(losses)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach().numpy().item()


def numpy_number(model, optimizer, x):
    parameters, mu, logvar = model(x)
    loss = _negative_elbo(parameters, x, mu, logvar).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach().numpy()[()]


def drawn_by_hand(model, optimizer, x):
    mu, logvar = model.encode(x)
    z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
    loss = _negative_elbo(model.decode(z), x, mu, logvar).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def drawn_by_rsample(model, optimizer, x):
    _, mu, logvar = model(x)
    z = torch.distributions.Normal(mu, (0.5 * logvar).exp()).rsample()
    loss = _negative_elbo(model.decode(z), x, mu, logvar).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def gradients_gathered_picture_by_picture(model, optimizer, x):
    optimizer.zero_grad()
    total = 0.0
    for one in x.split(1):
        parameters, mu, logvar = model(one)
        loss = _negative_elbo(parameters, one, mu, logvar).mean() / len(x)
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total
