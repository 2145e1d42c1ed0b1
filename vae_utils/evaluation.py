"""Measures of reconstructions, samples and codes. Each says what it does not see."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .losses import squared_error
from .types import LatentModel, Shape


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


class Judge(nn.Module):
    """A small convolutional classifier that judges reconstructions and samples in a person's place.

    Its classes count what reconstructions show; its features compare sets of pictures.

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


def train_judge(x: Tensor, y: Tensor, n_classes: int, steps: int = 500, seed: int = 0) -> Judge:
    """Train a judge on pictures x (n, C, H, W) in [0, 1] with labels y (n,). The same seed gives the same one.

    Slight noise on the pictures keeps it from relying on single pixels.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _, channels, height, width = x.shape
        judge = Judge((channels, height, width), n_classes)
        optimizer = torch.optim.Adam(judge.parameters(), 3e-3, fused=True)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / steps)
            batch = torch.randint(len(x), (64,))
            noisy = x[batch] + 0.05 * torch.randn(64, channels, height, width)
            loss = F.cross_entropy(judge(noisy), y[batch])
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

    Naeem et al. (2020). Near 1 if samples are as varied as real pictures (m = n); low if they leave some kinds out or
    lie elsewhere.

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
    """Return, for each factor (n,), its absolute Pearson correlation with each code number: (latent_dim,) in [0, 1]."""
    z = codes - codes.mean(0)
    result = {}
    for name, values in factors.items():
        f = (values - values.mean()).unsqueeze(1)
        result[name] = (z * f).sum(0).abs() / (z.norm(dim=0) * f.norm()).clamp(min=1e-12)
    return result


def path_ratio(model: LatentModel, z_start: Tensor, z_end: Tensor, steps: int = 20) -> Tensor:
    """Return how many times longer the decoded path from z_start to z_end is than its chord: (n,), 1 if straight.

    z_start, z_end: (n, latent_dim). Codes move in a straight line; lengths are Euclidean distances of pictures.
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
    x, mean = x_train.flatten(1), x_train.flatten(1).mean(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # it starts from random directions
        axes = torch.pca_lowrank(x, q=min(max(numbers) + 10, *x.shape), niter=6)[2]
    rest = x_test.flatten(1) - mean
    codes = rest @ axes
    return [squared_error(codes[:, :k] @ axes[:, :k].T, rest).mean().item() for k in numbers]
