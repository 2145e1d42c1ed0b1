"""Measures of reconstructions, samples and codes, with what they do not see where that misleads."""

import math
from collections.abc import Callable, Mapping
from itertools import combinations_with_replacement

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .losses import gaussian_kl, squared_error
from .objectives import log_weights, vae_loss
from .pca import principal_components
from .random_state import own_random_numbers
from .types import LatentModel, Shape, VariationalModel

LOG_TWO_PI = math.log(2 * math.pi)


@torch.no_grad()
def in_batches(function: Callable[[Tensor], Tensor], x: Tensor, batch_size: int = 1000) -> Tensor:
    """Return function(x) on the CPU, computed `batch_size` rows at a time to save memory."""
    return torch.cat([function(part).cpu() for part in x.split(batch_size)])


def encode(model: LatentModel, x: Tensor) -> Tensor:
    """Return codes (n, latent_dim) of pictures: an autoencoder's codes, a VAE's posterior means."""

    def encode_part(part: Tensor) -> Tensor:
        code = model.encode(part.to(next(model.parameters()).device))
        return code[0] if isinstance(code, tuple) else code

    return in_batches(encode_part, x)


def decode(model: LatentModel, z: Tensor) -> Tensor:
    """Return pictures (n, C, H, W) in [0, 1] for codes: a VAE's mean pictures."""
    to_pictures = getattr(model, "mean", model.decode)
    return in_batches(lambda part: to_pictures(part.to(next(model.parameters()).device)), z)


def reconstruct(model: LatentModel, x: Tensor) -> Tensor:
    """Encode and decode pictures, (n, C, H, W) in [0, 1]. A VAE's code is its posterior mean: no noise."""
    return decode(model, encode(model, x))


def reconstruction_error(model: LatentModel, x: Tensor) -> float:
    """Return the squared error of `reconstruct`, summed over a picture and averaged over pictures."""
    return squared_error(reconstruct(model, x), x).mean().item()


@torch.no_grad()
def negative_elbo(model: VariationalModel, x: Tensor, draws: int = 1, seed: int = 0) -> Tensor:
    """Return the negative ELBO of each picture, (n,) in nats, an average over draws of z: an upper bound on -log p(x).

    Always the right one, with beta = 1, whatever the model was trained with; draws are the model's own.
    """
    device = next(model.parameters()).device

    def of_part(part: Tensor) -> Tensor:
        part = part.to(device)
        return torch.stack([vae_loss(model, part)["loss"] for _ in range(draws)]).mean(0)

    with own_random_numbers(seed, device):
        return in_batches(of_part, x)


@torch.no_grad()
def importance_weighted_bound(
    model: VariationalModel,
    x: Tensor,
    k: int,
    seed: int = 0,
    chunk: int = 2000,
    clouds: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Return the bound on log p(x) from k weighted draws for each picture, (n,) in nats (Burda et al., 2016).

    The log of the average of k weights p(x|z) p(z) / q(z|x). Its average over draws is the ELBO for k = 1, rises with
    k and ends at log p(x); how soon depends on the cloud. A single picture's may exceed log p(x) by chance.

    Args:
        model: A VAE.
        x: Pictures (n, C, H, W) in [0, 1].
        k: Draws for each picture.
        seed: Of the draws, which depend on `chunk`, too.
        chunk: How many codes are decoded at once. Memory grows with it, not with n or k.
        clouds: mu and logvar, each (n, latent_dim), to draw from in the place of the encoder's.

    Raises:
        ValueError: k or chunk is below 1.
    """
    if min(k, chunk) < 1:
        raise ValueError(f"k and chunk must be 1 or more, not {k} and {chunk}.")
    device, draws = next(model.parameters()).device, min(k, chunk)
    clouds = posterior(model, x) if clouds is None else clouds
    bounds = []
    with own_random_numbers(seed, device):
        for part in zip(*(rows.split(max(1, chunk // draws)) for rows in (x, *clouds)), strict=True):
            pictures, mu, logvar = (rows.to(device) for rows in part)
            total = torch.full((len(mu),), -torch.inf, device=device, dtype=mu.dtype)
            for done in range(0, k, draws):
                log_w = log_weights(model, pictures, mu, logvar, min(draws, k - done))
                total = torch.logaddexp(total, log_w.logsumexp(1))
            bounds.append(total.cpu() - math.log(k))
    return torch.cat(bounds)


@torch.no_grad()
def posterior(model: VariationalModel, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mu and logvar = log sigma^2 of q(z|x) for pictures, each (n, latent_dim)."""
    device = next(model.parameters()).device
    both = in_batches(lambda part: torch.cat(model.encode(part.to(device)), 1), x)
    mu, logvar = both.chunk(2, 1)
    return mu, logvar


def rate_and_distortion(model: VariationalModel, x: Tensor, draws: int = 1, seed: int = 0) -> tuple[float, float]:
    """Return the rate and the distortion above its floor, in nats, averages over pictures and draws of z.

    Their sum is the negative ELBO above the floor (Alemi et al., 2018). The floor is the nll of perfect
    reconstructions; differences from it can be compared between data sets, which densities can't.
    """
    rate = gaussian_kl(*posterior(model, x)).mean().item()
    floor = model.likelihood.floor(x).mean().item()
    return rate, negative_elbo(model, x, draws, seed).mean().item() - rate - floor


def kl_of_each_number(model: VariationalModel, x: Tensor) -> Tensor:
    """Return the KL of each number of the code, (latent_dim,) in nats, averaged over pictures."""
    mu, logvar = posterior(model, x)
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).mean(0)


def numbers_in_use(model: VariationalModel, x: Tensor, least: float = 0.2) -> int:
    """Count the numbers of the code whose mean KL is above `least` nats; the others are (nearly) silent.

    A silent number's cloud is the prior for every picture, so it says nothing. The border is a convention: print
    `kl_of_each_number` where a number lies near it. A number whose clouds all lie at one place off the prior counts
    as used, though it says nothing, either: `aggregate_kl` is then as large as the rate.
    """
    return int((kl_of_each_number(model, x) > least).sum())


def active_units(model: VariationalModel, x: Tensor, least: float = 0.01) -> int:
    """Count the numbers of the code whose posterior mean has a variance above `least` over pictures x.

    Burda et al. (2016). It does not see how wide the clouds are, so it counts numbers that carry next to nothing: where
    all clouds together have the prior's mean and variance, a variance v of the means costs -1/2 log(1 - v) nats or
    more, 0.005 for 0.01. `numbers_in_use` is stricter.
    """
    return int((posterior(model, x)[0].var(0, correction=0) > least).sum())


@torch.no_grad()
def aggregate_kl(model: VariationalModel, x: Tensor, seed: int = 0) -> float:
    """Estimate KL(q(z) || p(z)) in nats, with q(z) the mixture of the clouds of n pictures x and p(z) = N(0, I).

    One draw from each cloud, each weighed by all n clouds. The rate is the information I(x; z) plus this (Hoffman &
    Johnson, 2016). The n pictures stand for all: information about one of n is log n nats at most, so if the rate is
    not well below log n, the result is too large.
    """
    mu, logvar = (part.double() for part in posterior(model, x))
    generator = torch.Generator().manual_seed(seed)
    z = mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    log_p = -0.5 * (z.square() + LOG_TWO_PI).sum(1)
    return (aggregate_log_density(model, x, z) - log_p).mean().item()


@torch.no_grad()
def aggregate_log_density(model: VariationalModel, x: Tensor, z: Tensor) -> Tensor:
    """Return log q(z) at codes z (m, latent_dim), with q(z) the mixture of the clouds of pictures x: (m,) in nats."""
    mu, logvar = (part.to(z.dtype) for part in posterior(model, x))
    density = []
    for part in z.split(100):  # in parts, to save memory
        each = (part.unsqueeze(1) - mu).square() / logvar.exp() + logvar + LOG_TWO_PI  # (100, n, latent_dim)
        density.append((-0.5 * each.sum(2)).logsumexp(1) - math.log(len(mu)))
    return torch.cat(density)


class Judge(nn.Module):
    """A small convolutional classifier that judges reconstructions and samples in a person's place.

    Its classes count what reconstructions show; its features compare sets of pictures, and see of them what the judge
    was trained to tell.

    Args:
        shape: (C, H, W) of a picture.
        n_classes: How many classes there are.
    """

    scale: Tensor

    def __init__(self, shape: Shape, n_classes: int):
        super().__init__()
        channels, height, width = shape
        self.features = nn.Sequential(
            nn.Conv2d(channels, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * -(-height // 4) * -(-width // 4), 32),
            nn.ReLU(),
        )
        self.head = nn.Linear(32, n_classes)
        self.register_buffer("scale", torch.ones(()))  # makes the features' total variance 1 on training pictures

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of the classes, (n, n_classes), for pictures (n, C, H, W) in [0, 1]."""
        return self.head(self.features(x))

    def classify(self, x: Tensor) -> Tensor:
        """Return class indices (n,) for pictures (n, C, H, W) in [0, 1]."""
        return in_batches(self, x).argmax(1)

    def look(self, x: Tensor) -> Tensor:
        """Return features (n, 32) for pictures (n, C, H, W) in [0, 1]. Their variances sum to 1 in training."""
        return in_batches(self.features, x) * self.scale


def train_judge(
    x: Tensor,
    y: Tensor,
    n_classes: int,
    steps: int = 500,
    seed: int = 0,
    factors: Mapping[str, Tensor] | None = None,
) -> Judge:
    """Train a judge on pictures x (n, C, H, W) in [0, 1] with labels y (n,). The same seed gives the same one.

    Slight noise on the pictures keeps it from relying on single pixels. Features learned from labels alone see the
    kinds and little else: to them the average cat and the average dog look like a VAE's samples. With `factors`,
    name -> (n,), the features must tell each factor, too: its squared error, in units of its variance, is added.
    """
    with own_random_numbers(seed, torch.device("cpu")):
        _, channels, height, width = x.shape
        judge = Judge((channels, height, width), n_classes)
        both = nn.ModuleDict({"judge": judge})
        if factors:
            values = torch.stack([*factors.values()], 1).float()
            values = (values - values.mean(0)) / values.std(0).clamp(min=1e-6)
            both["factors"] = nn.Linear(judge.head.in_features, len(factors))
        optimizer = torch.optim.Adam(both.parameters(), 3e-3, fused=True)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / steps)
            batch = torch.randint(len(x), (64,))
            noisy = x[batch] + 0.05 * torch.randn(64, channels, height, width)
            features = judge.features(noisy)
            loss = F.cross_entropy(judge.head(features), y[batch])
            if factors:
                loss = loss + squared_error(both["factors"](features), values[batch]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    judge.eval()
    judge.scale = judge.look(x[:2000]).var(0).sum().rsqrt()
    return judge


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Return the squared Fréchet distance between Gaussians fitted to two sets of features (n, d), (m, d).

    |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)) with covariances A, B (Heusel et al., 2017, with Inception
    features there). It sees means and covariances, no more; it is 0 if they match.

    Raises:
        ValueError: Either set has fewer than two rows.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"Covariances need two rows or more, but there are {len(a)} and {len(b)}.")
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.atleast_2d(a.T.cov(), b.T.cov())  # (1, 1) for a single feature
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp(min=0).sqrt().sum()
    return ((a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross).item()


def coverage(real: Tensor, samples: Tensor, k: int = 5) -> float:
    """Return the share of real pictures with a sample nearer than their k-th nearest real neighbor.

    Naeem et al. (2020). On average 1 - 2^-k (97 % with k = 5) if the samples are as many as the real pictures and come
    from the same distribution: the ceiling, but for copies of the real ones. Low if they leave some kinds out or lie
    elsewhere.

    Args:
        real: Features (n, d).
        samples: Features (m, d).
        k: Which neighbor sets the radius.

    Raises:
        ValueError: n <= k.
    """
    if len(real) <= k:
        raise ValueError(f"coverage with k={k} needs more than {k} real pictures, but there are {len(real)}.")
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values  # the nearest is the picture itself
    return (torch.cdist(real, samples).amin(1) < radius).float().mean().item()


def neighbor_purity(codes: Tensor, labels: Tensor) -> float:
    """Return the share of codes (n, d) whose nearest other code has the same label (n,)."""
    same = []
    for start in range(0, len(codes), 1000):
        distance = torch.cdist(codes[start : start + 1000], codes)
        rows = torch.arange(len(distance))
        distance[rows, rows + start] = torch.inf
        same.append(labels[distance.argmin(1)] == labels[start : start + 1000])
    return torch.cat(same).float().mean().item()


def code_factor_correlation(codes: Tensor, factors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return, for each factor (n,), its absolute Pearson correlation with each code number: (latent_dim,) in [0, 1].

    It sees straight-line relations only, and one number at a time.
    """
    z = codes - codes.mean(0)
    result = {}
    for name, values in factors.items():
        f = (values - values.mean()).unsqueeze(1)
        result[name] = (z * f).sum(0).abs() / (z.norm(dim=0) * f.norm()).clamp(min=1e-12)
    return result


def factors_in_code(
    z_train: Tensor, z_test: Tensor, train: Mapping[str, Tensor], test: Mapping[str, Tensor]
) -> dict[str, float]:
    """Return R^2 of each factor from codes: the share of its variance that the code explains, on test codes.

    A least-squares polynomial of the code's numbers predicts the factor: of degree 3, or 2 if the code has more than
    10 numbers. About 0 if it explains nothing (a little below by chance), 1 if it predicts the factor exactly. A bent
    relation that no such polynomial follows is missed, so it is a lower bound.

    Args:
        z_train: Codes (n, latent_dim) to fit the polynomial to.
        z_test: Codes (m, latent_dim) to measure on.
        train: name -> (n,) factors of the pictures behind z_train.
        test: name -> (m,) factors of those behind z_test.
    """
    center, spread = z_train.double().mean(0), z_train.double().std(0).clamp(min=1e-12)
    latent_dim = z_train.shape[1]
    degrees = range(1, 4 if latent_dim <= 10 else 3)
    products = [ids for degree in degrees for ids in combinations_with_replacement(range(latent_dim), degree)]

    def terms(z: Tensor) -> Tensor:
        z = (z.double() - center) / spread
        return torch.stack([torch.ones(len(z), dtype=z.dtype), *(z[:, list(ids)].prod(1) for ids in products)], 1)

    values, held_out = (torch.stack([*some.values()], 1).double() for some in (train, test))
    weights = torch.linalg.lstsq(terms(z_train), values, driver="gelsd").solution
    rest = (terms(z_test) @ weights - held_out).square().mean(0)
    return dict(zip(train, (1 - rest / held_out.var(0, correction=0)).tolist(), strict=True))


def path_ratio(model: LatentModel, z_start: Tensor, z_end: Tensor, steps: int = 20) -> Tensor:
    """Return how many times longer the decoded path from z_start to z_end is than its chord: (n,), 1 if straight.

    z_start, z_end: (n, latent_dim). Codes move in a straight line; lengths are Euclidean distances of pictures. A
    cross-fade scores 1, and so does a model that always draws one picture: straight is smooth, not true.
    """
    t, ratios = torch.linspace(0, 1, steps + 1).view(-1, 1, 1), []
    for start, end in zip(z_start.split(100), z_end.split(100), strict=True):  # in parts, to save memory
        z = start + t * (end - start)  # (steps + 1, 100, latent_dim)
        pictures = decode(model, z.flatten(0, 1)).flatten(1).unflatten(0, z.shape[:2])
        length = pictures.diff(dim=0).norm(dim=2).sum(0)
        ratios.append(length / (pictures[-1] - pictures[0]).norm(dim=1).clamp(min=1e-12))
    return torch.cat(ratios)


def pca_errors(x_train: Tensor, x_test: Tensor, numbers: list[int]) -> list[float]:
    """Return, for each k of `numbers`, the squared error of reconstructions from k principal components of x_train.

    It is summed over a picture and averaged over x_test. x_train, x_test: (n, C, H, W).
    """
    mean, axes, _ = principal_components(x_train.flatten(1), max(numbers))
    rest = x_test.flatten(1) - mean
    codes = rest @ axes
    return [squared_error(codes[:, :k] @ axes[:, :k].T, rest).mean().item() for k in numbers]
