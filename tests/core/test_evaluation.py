"""Each measure against brute force, another library or a case whose answer is known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from vae_utils import data, evaluation
from vae_utils.evaluation import code_factor_correlation, coverage, frechet_distance, neighbor_purity, path_ratio
from vae_utils.likelihoods import Bernoulli, Gaussian
from vae_utils.losses import squared_error
from vae_utils.models import VAE, Autoencoder


def normal(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def with_moments(n, mean, covariance, seed=0):
    """n rows whose mean and covariance are exactly these."""
    z = normal(n, len(mean), seed=seed).double()
    z -= z.mean(0)
    z = z @ torch.linalg.inv(torch.linalg.cholesky(z.T.cov()).T)
    return z @ torch.linalg.cholesky(covariance).T + mean


class Decoder(nn.Module):
    """A model whose decoder is a given function of the codes."""

    def __init__(self, function):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.decode = function


# Codes and pictures


@pytest.mark.parametrize("likelihood", [None, Gaussian(0.2), Bernoulli()])
def test_encode_decode_and_reconstruct_leave_out_noise(likelihood):
    more = (likelihood,) if likelihood else ()
    model, x = (VAE if likelihood else Autoencoder)((1, 4, 4), 2, *more, hidden=(8,)), torch.rand(30, 1, 4, 4)
    code = model.encode(x)[0] if likelihood else model.encode(x)
    picture = model.mean(code) if likelihood else model.decode(code)
    torch.testing.assert_close(evaluation.encode(model, x), code.detach())
    torch.testing.assert_close(evaluation.decode(model, code.detach()), picture.detach())
    torch.testing.assert_close(evaluation.reconstruct(model, x), picture.detach())
    expected = squared_error(picture, x).mean().item()
    assert evaluation.reconstruction_error(model, x) == pytest.approx(expected, rel=1e-5)
    assert not evaluation.reconstruct(model, x).requires_grad


@pytest.mark.parametrize("likelihood", [Gaussian(0.2), Bernoulli()])
def test_a_vaes_output_is_decoded_to_pictures(likelihood):
    model = VAE((1, 4, 4), 2, likelihood, hidden=(8,))
    low, high = evaluation.decode(model, 50 * normal(100, 2)).aminmax()
    assert 0 <= low < high <= 1


def test_batches_give_what_the_whole_gives():
    sizes, x = [], normal(25, 3)

    def double(part):
        sizes.append(len(part))
        return 2 * part

    assert torch.equal(evaluation.in_batches(double, x, batch_size=10), 2 * x)
    assert sizes == [10, 10, 5]


# Sets of pictures


def test_frechet_distance_of_known_gaussians():
    a = with_moments(500, torch.tensor([0.0, 1.0]).double(), torch.diag(torch.tensor([1.0, 4.0])).double())
    b = with_moments(400, torch.tensor([3.0, 1.0]).double(), torch.diag(torch.tensor([9.0, 0.25])).double(), seed=1)
    assert frechet_distance(a, b) == pytest.approx(3**2 + (1 - 3) ** 2 + (2 - 0.5) ** 2, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_correlated_gaussians_is_that_of_scipys_square_root():
    from scipy.linalg import sqrtm

    a, b = normal(300, 6) @ normal(6, 6, seed=1), normal(200, 6, seed=2) @ normal(6, 6, seed=3) + 1
    cov_a, cov_b = np.cov(a.double().T), np.cov(b.double().T)
    expected = ((a - b.mean(0)).double().mean(0) ** 2).sum().item()
    expected += np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_of_features_that_are_constant_or_single():
    a = torch.cat([normal(50, 2), torch.zeros(50, 1)], 1)  # a unit that never fires
    assert frechet_distance(a, a + torch.tensor([0.0, 0.0, 2.0])) == pytest.approx(4, rel=1e-6)
    assert frechet_distance(a[:, :1], a[:, :1] + 3) == pytest.approx(9, rel=1e-5)
    with pytest.raises(ValueError, match="two rows or more, but there are 1 and 50"):
        frechet_distance(a[:1], a)


def test_coverage():
    real = torch.cat([normal(100, 4), normal(100, 4, seed=1) + 50])  # two modes
    assert coverage(real, real) == 1
    assert coverage(real, real + 1000) == 0
    assert coverage(real, torch.cat([normal(100, 4, seed=2), normal(100, 4, seed=3) + 50])) > 0.85
    assert 0.4 < coverage(real, normal(200, 4, seed=4)) <= 0.5
    assert coverage(real, real[:1].expand(200, 4)) < 0.1
    with pytest.raises(ValueError, match="more than 5 real pictures, but there are 5"):
        coverage(real[:5], real)


# Codes


def test_coverage_counts_those_with_a_sample_nearer_than_their_kth_neighbor():
    real, samples = torch.tensor([[0.0], [1.0], [3.0], [7.0]]), torch.tensor([[1.5], [10.5]])
    assert coverage(real, samples, k=1) == 0.75  # 0 has a neighbor at 1 and a sample only at 1.5
    assert coverage(real, samples, k=2) == 1.0


@pytest.mark.parametrize("k", [1, 2, 5])
def test_ceiling_of_coverage_is_1_less_a_half_to_the_k(k):
    real, samples = normal(4000, 8), normal(4000, 8, seed=1)
    assert coverage(real, samples, k) == pytest.approx(1 - 0.5**k, abs=0.025)
    assert coverage(real, real + 1e-4 * samples, k) == 1, "copies pass it"


def test_neighbor_purity_is_that_of_brute_force():
    codes, labels = normal(1205, 2), (normal(1205, seed=1) > 0).long()  # more than a batch
    labels[codes[:, 0] > 0] = 1
    distance = (codes[:, None] - codes[None]).square().sum(2).fill_diagonal_(torch.inf)
    expected = (labels[distance.argmin(1)] == labels).float().mean().item()
    assert 0.6 < expected < 0.9
    assert neighbor_purity(codes, labels) == pytest.approx(expected, abs=0.002)  # near ties


def test_neighbor_purity_of_pure_and_of_mixed_pairs():
    pairs = torch.arange(10.0).repeat_interleave(2)[:, None] + torch.tensor([0, 0.1]).repeat(10)[:, None]
    assert neighbor_purity(pairs, torch.arange(10).repeat_interleave(2)) == 1
    assert neighbor_purity(pairs, torch.arange(2).repeat(10)) == 0


def test_code_factor_correlation_is_numpys():
    codes, noise = normal(300, 3), normal(300, seed=1)
    factors = {"first": 2 - 5 * codes[:, 0], "mixed": codes[:, 1] + noise, "constant": torch.ones(300)}
    found = code_factor_correlation(codes, factors)
    assert list(found) == list(factors)
    for name in ("first", "mixed"):
        expected = [abs(np.corrcoef(codes[:, i], factors[name])[0, 1]) for i in range(3)]
        assert found[name].tolist() == pytest.approx(expected, abs=1e-5)
    assert found["first"][0] == pytest.approx(1, abs=1e-5)
    assert found["constant"].tolist() == [0, 0, 0]


def test_factors_in_code_is_sklearns_regression_and_finds_what_a_bend_hides():
    from sklearn.linear_model import LinearRegression
    from sklearn.preprocessing import PolynomialFeatures

    z, noise = normal(1200, 3), normal(1200, 2, seed=1)
    factors = {
        "bent": z[:, 0].square() * z[:, 1] - 3 * z[:, 2],
        "half": z[:, 0] + noise[:, 0],
        "none": noise[:, 1],
        "wave": (1.5 * z[:, 1]).sin(),
    }
    halves = [{name: values[part] for name, values in factors.items()} for part in (slice(600), slice(600, None))]
    found = evaluation.factors_in_code(z[:600], z[600:], *halves)
    features = PolynomialFeatures(3).fit_transform(z.double().numpy())
    for name, values in factors.items():
        right = values.double().numpy()
        expected = LinearRegression().fit(features[:600], right[:600]).score(features[600:], right[600:])
        assert found[name] == pytest.approx(expected, abs=1e-6)
    assert found["bent"] > 0.999
    assert found["half"] == pytest.approx(0.5, abs=0.1)
    assert found["none"] < 0.05
    assert 0.5 < found["wave"] < 0.99  # a polynomial follows it in part: a lower bound


def test_factors_in_a_long_code_are_found_with_squares_only():
    z = normal(3000, 12)
    factors = {"square": z[:, 3] * z[:, 7] + z[:, 0], "cube": z[:, 1] ** 3 - 3 * z[:, 1]}
    halves = [{name: values[part] for name, values in factors.items()} for part in (slice(2000), slice(2000, None))]
    found = evaluation.factors_in_code(z[:2000], z[2000:], *halves)
    assert found["square"] > 0.999
    assert found["cube"] < 0.2


def test_path_ratio_of_a_straight_road_and_of_half_a_circle():
    straight, bend = normal(2, 12), lambda z: torch.stack([z[:, 0].cos(), z[:, 0].sin()], 1).view(-1, 1, 1, 2)
    line = Decoder(lambda z: (z @ straight).view(-1, 3, 2, 2))
    assert path_ratio(line, normal(4, 2, seed=1), normal(4, 2, seed=2)).tolist() == pytest.approx([1] * 4, rel=1e-4)
    start, end = torch.tensor([[0.0], [1.0]]), torch.tensor([[math.pi], [1 + math.pi / 2]])
    expected = [math.pi / 2, math.pi / 2 / math.sqrt(2)]
    assert path_ratio(Decoder(bend), start, end, steps=200).tolist() == pytest.approx(expected, rel=1e-3)


def test_pca_errors_are_those_of_a_singular_value_decomposition():
    mix = normal(20, 48, seed=1) * torch.linspace(1, 0.05, 20)[:, None]
    train, test = (normal(n, 20, seed=n) @ mix + 3 for n in (200, 50))
    mean = train.mean(0)
    axes = torch.linalg.svd(train - mean, full_matrices=False).Vh
    expected = []
    for k in (1, 3, 8):
        code = (test - mean) @ axes[:k].T
        expected.append(((test - mean) - code @ axes[:k]).square().sum(1).mean().item())
    assert expected[0] > 2 * expected[2]
    found = evaluation.pca_errors(train.view(-1, 3, 4, 4), test.view(-1, 3, 4, 4), [1, 3, 8])
    assert found == pytest.approx(expected, rel=0.01)


# The judge


def test_judge_reads_the_animals_and_is_the_same_for_the_same_seed():
    animals = data.load("cats_dogs")
    x, y = animals.train.x[:2000], animals.train.y[:2000]
    judge = evaluation.train_judge(x, y, 2, steps=60)
    assert (judge.classify(animals.test.x) == animals.test.y).float().mean() > 0.95
    assert judge.look(animals.test.x[:9]).shape == (9, 32)
    before = torch.get_rng_state()
    weights = [evaluation.train_judge(x, y, 2, steps=3, seed=s).state_dict() for s in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not torch.equal(weights[0]["head.weight"], weights[2]["head.weight"])


def explained(judge, split):
    """R^2 of each factor from a linear map of the features: fitted to half of the pictures, measured on the others."""
    features = judge.look(split.x).double()
    features = torch.cat([features, torch.ones(len(features), 1)], 1)
    values = torch.stack([*split.factors.values()], 1).double()
    half = len(values) // 2
    ridge = torch.eye(features.shape[1]).double() * 1e-6  # units that never fire
    first = features[:half]
    fitted = torch.linalg.solve(first.T @ first + ridge, first.T @ values[:half])
    left = (features[half:] @ fitted - values[half:]).square().mean(0)
    return dict(zip(split.factors, (1 - left / values[half:].var(0)).tolist(), strict=True))


def test_judge_with_factors_sees_pose_and_light_and_that_two_average_pictures_are_no_animals():
    """A judge of kinds alone takes the average cat and the average dog for good samples."""
    animals = data.load("cats_dogs")
    x, y, factors = animals.train.x[:3000], animals.train.y[:3000], animals.train.factors
    factors = {name: values[:3000] for name, values in factors.items()}
    of_kinds = evaluation.train_judge(x, y, 2, steps=150)
    of_all = evaluation.train_judge(x, y, 2, steps=150, factors=factors)
    averages = torch.stack([x[y == kind].mean(0) for kind in (0, 1)])[animals.test.y]
    distance, seen = {}, {}
    for name, judge in (("kinds", of_kinds), ("all", of_all)):
        assert (judge.classify(animals.test.x) == animals.test.y).float().mean() > 0.95
        real = judge.look(animals.test.x)
        assert judge.look(x[:2000]).var(0).sum().item() == pytest.approx(1, rel=1e-4)
        assert frechet_distance(judge.look(x), real) < 0.02
        distance[name] = frechet_distance(judge.look(averages), real)
        seen[name] = explained(judge, animals.test)
    assert distance["all"] > 4 * distance["kinds"] and distance["all"] > 0.25
    assert sum(seen["all"].values()) / 11 > sum(seen["kinds"].values()) / 11 + 0.15


def test_judge_with_factors_is_the_same_for_the_same_seed_and_without_them_as_ever():
    x, y = torch.rand(80, 1, 8, 8), torch.arange(80) % 2
    factors = {"first": x.mean((1, 2, 3)), "constant": torch.ones(80), "whole": y.double()}
    before = torch.get_rng_state()
    weights = [evaluation.train_judge(x, y, 2, 5, 0, given).state_dict() for given in (factors, factors, None, {})]
    assert torch.equal(torch.get_rng_state(), before)
    assert all(value.isfinite().all() for value in weights[0].values())
    for a, b, same in ((0, 1, True), (2, 3, True), (0, 2, False)):
        assert weights[a].keys() == weights[b].keys()
        assert all(torch.equal(weights[a][name], weights[b][name]) for name in weights[a]) == same


def test_judge_of_grey_pictures_of_an_odd_size():
    judge = evaluation.Judge((1, 7, 9), 10)
    assert judge(torch.rand(4, 1, 7, 9)).shape == (4, 10)
