"""An autoencoder and a VAE of the same size, with the same data, latent size, steps, optimizer and seed.

Figures of each, with 2 and with 8 latents:

    error       squared error of the test reconstructions
    train       the same of as many training pictures
    normal      Fréchet distance, in a judge's features, of pictures from codes drawn from N(0, I)
    fitted      the same for codes from a Gaussian fitted to the training codes
    mixture     the same for codes from a mixture of 20 Gaussians fitted to them
    coverage    of the test pictures by those from N(0, I)
    path        median length of decoded paths over that of their chords
    purity      share of nearest codes with the same label
    flips       share of test pictures whose label changes when noise of 0.1 standard deviations is added to the codes

and of the VAE also, in nats:

    negative_elbo, rate, distortion (above its floor)
    kl          of each number of the code, largest first
    aggregate   KL(q(z) || p(z)), with q(z) the mixture of the test pictures' clouds: too large if the rate is near 7.6

"real" is the Fréchet distance of the test pictures from training pictures, of which there are as many as samples, in
up to four parts: what no sample can be expected to beat. The judge's features see the true factors where those are
known. `few` holds "error" and "train" with 1,000 training pictures and 16 latents.
"""

from typing import Any

import torch

from vae_utils import data, evaluation
from vae_utils.evaluation import frechet_distance
from vae_utils.models import VAE, Autoencoder
from vae_utils.training import fit

SETTINGS = {
    "datasets": ["cats_dogs", "mnist"],
    "seeds": [0, 1, 2, 3, 4],
    "numbers": [2, 8],
    "steps": 8000,
    "pictures": 8000,
    "samples": 2000,
    "judge_steps": 500,
    "few": {"pictures": 1000, "numbers": 16, "steps": 8000},
}
SMALL = {
    "numbers": [2],
    "steps": 20,
    "pictures": 500,
    "samples": 200,
    "judge_steps": 50,
    "few": {"pictures": 100, "numbers": 4, "steps": 20},
}


def make(kind: str, pictures: data.Dataset, latent_dim: int, seed: int) -> Autoencoder | VAE:
    """Return an untrained network of a kind, "ae" or "vae", for these pictures."""
    torch.manual_seed(seed)
    if kind == "ae":
        return Autoencoder(pictures.shape, latent_dim)
    return VAE(pictures.shape, latent_dim, pictures.likelihood)


def train(model: torch.nn.Module, x: torch.Tensor, steps: int, seed: int) -> None:
    """Train by `fit`, but let Ctrl-C end the experiment: a half-trained model must not get into a record."""
    if fit(model, x, steps=steps, seed=seed, progress=False).stopped:
        raise KeyboardInterrupt


def mixture_codes(z: torch.Tensor, n: int, seed: int, parts: int = 20) -> torch.Tensor:
    """Draw n codes from a mixture of Gaussians fitted to codes z (m, latent_dim)."""
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(parts, reg_covar=1e-4, random_state=seed).fit(z.double().numpy())
    return torch.from_numpy(mixture.sample(n)[0]).float()


def measure(
    model: Autoencoder | VAE, x_train: torch.Tensor, test: data.Split, judge: evaluation.Judge, n: int, seed: int
) -> dict[str, Any]:
    """Return the figures of one trained model; `test` holds the pictures that it is compared with."""
    generator = torch.Generator().manual_seed(seed)
    features, real = judge.look(test.x), test.x[:n]
    z_train, z = evaluation.encode(model, x_train), evaluation.encode(model, test.x)
    center, spread = z_train.mean(0), torch.linalg.cholesky(z_train.T.cov())
    noise = torch.randn(n, model.latent_dim, generator=generator)

    def look(codes: torch.Tensor) -> torch.Tensor:
        return judge.look(evaluation.decode(model, codes))

    normal = look(noise)
    first, second = torch.randperm(len(z), generator=generator)[: 2 * (n // 10)].chunk(2)
    shaken = z + 0.1 * z.std(0) * torch.randn(z.shape, generator=generator)
    read, read_shaken = (judge.classify(evaluation.decode(model, codes)) for codes in (z, shaken))
    figures: dict[str, Any] = {}
    if isinstance(model, VAE):
        rate, distortion = evaluation.rate_and_distortion(model, test.x, draws=10)
        figures = {
            "negative_elbo": evaluation.negative_elbo(model, test.x, draws=10).mean().item(),
            "rate": rate,
            "distortion": distortion,
            "kl": evaluation.kl_of_each_number(model, test.x).sort(descending=True).values.tolist(),
            "aggregate": evaluation.aggregate_kl(model, test.x),
        }
    return figures | {
        "error": evaluation.reconstruction_error(model, test.x),
        "train": evaluation.reconstruction_error(model, x_train[: len(test.x)]),
        "normal": frechet_distance(normal, features),
        "fitted": frechet_distance(look(center + noise @ spread.T), features),
        "mixture": frechet_distance(look(mixture_codes(z_train, n, seed)), features),
        "coverage": evaluation.coverage(judge.look(real), normal),
        "path": evaluation.path_ratio(model, z[first], z[second]).median().item(),
        "purity": evaluation.neighbor_purity(z, test.y),
        "flips": (read != read_shaken).float().mean().item(),
    }


def run(dataset: str, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Return {"real": ..., "2": {"ae": {figure: value}, "vae": {...}}, ..., "few": {"ae": {...}, "vae": {...}}}.

    "real" is a list of distances between real pictures; see the module's docstring.
    """
    pictures = data.load(dataset)
    train_split, test, n = pictures.train.first(settings["pictures"]), pictures.test.first(2000), settings["samples"]
    x, kinds = train_split.x, len(pictures.label_names)
    judge = evaluation.train_judge(x, train_split.y, kinds, settings["judge_steps"], seed, train_split.factors)
    looks = judge.look(test.x)
    parts = [part for part in x.split(n) if len(part) == n][:4]
    figures: dict[str, Any] = {"real": [frechet_distance(judge.look(part), looks) for part in parts]}
    for latent_dim in settings["numbers"]:
        figures[str(latent_dim)] = {}
        for kind in ("ae", "vae"):
            model = make(kind, pictures, latent_dim, seed)
            train(model, x, settings["steps"], seed)
            figures[str(latent_dim)][kind] = measure(model.cpu(), x, test, judge, n, seed)
    few, figures["few"] = settings["few"], {}
    for kind in ("ae", "vae"):
        model = make(kind, pictures, few["numbers"], seed)
        train(model, x[: few["pictures"]], few["steps"], seed)
        errors = {"error": test.x, "train": x[: few["pictures"]]}
        figures["few"][kind] = {name: evaluation.reconstruction_error(model.cpu(), of) for name, of in errors.items()}
    return figures
