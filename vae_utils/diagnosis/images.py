"""The pictures: their range, their average, and those made from new codes."""

import torch
from torch import Tensor, nn

from ..evaluation import frechet_distance
from ..likelihoods import Bernoulli
from .outputs import Outputs, in_unit_range, likelihood_of
from .report import Finding

MAX_SHIFT = 0.1  # of the average reconstruction from the average picture, squared, in shares of the variance
MAX_DISTANCE = 0.25  # of samples from the prior to samples from the encoder's q(z|x), squared Fréchet, likewise


def pixels(model: nn.Module, outputs: Outputs, x: Tensor) -> list[Finding]:
    """Test whether the pictures' range suits the likelihood and the decoder; no finding if all is in [0, 1]."""
    low, high = (value.item() for value in x.aminmax())
    text = f"pixels lie between {low:.3g} and {high:.3g}"
    bernoulli = isinstance(likelihood_of(model), Bernoulli)
    if in_unit_range(x):
        if bernoulli and in_unit_range(outputs.parameters):
            both = "the decoder's outputs lie in [0, 1] like probabilities, and the Bernoulli takes them for logits"
            return [Finding("pixels", False, f"{both}: two sigmoids. Leave out the decoder's.")]
        return []
    rescale = "(x + 1) / 2" if low >= -1.01 and high <= 1.01 else "x / 255" if low >= 0 and high > 2 else "to [0, 1]"
    if bernoulli:
        return [Finding("pixels", False, f"{text}, but a Bernoulli's lie in [0, 1]: rescale them, {rescale}.")]
    if in_unit_range(outputs.picture(outputs.parameters)):
        back = "the decoder's pictures stay in [0, 1]"
        return [Finding("pixels", False, f"{text}, but {back}: rescale x, {rescale}, or leave out its sigmoid.")]
    if likelihood_of(model) is None:
        text += (
            ", outside [0, 1]: the decoder's outputs are taken for means of a Gaussian; `model.likelihood` may say more"
        )
    return [Finding("pixels", True, f"{text}.")]


def average_picture(outputs: Outputs, x: Tensor) -> Finding:
    """Test whether the average reconstruction is the average picture."""
    back, real = outputs.picture(outputs.parameters), x.flatten(1).float()
    shift = ((back.mean(0) - real.mean(0)).square().sum() / real.var(0).sum().clamp(min=1e-12)).item()
    text = f"the average reconstruction is {shift:.2%} of the pictures' variance away from the average picture"
    if shift < MAX_SHIFT:
        return Finding("average picture", True, f"{text}.")
    why = "does the loss see the same parameters as you (logits, probabilities, a second sigmoid)?"
    return Finding("average picture", False, f"{text}: {why}")


@torch.no_grad()
def samples(model: nn.Module, outputs: Outputs) -> Finding:
    """Test whether codes from the prior decode to the same distribution of pictures as codes from q(z|x)."""
    model.eval()
    decode = getattr(model, "decode", None) or getattr(model, "decoder", None)
    if decode is None:
        return Finding("samples", None, "the model has no `decode`: no pictures could be made from new codes.")
    z = outputs.mu + (0.5 * outputs.logvar).exp() * torch.randn_like(outputs.mu)
    try:
        clouds, prior = (outputs.picture(decode(codes).float()).cpu() for codes in (z, torch.randn_like(z)))
    except Exception as problem:  # a decode of another kind may need more than codes, or return something else
        return Finding("samples", None, f"`decode` made no pictures of codes alone ({type(problem).__name__}).")
    total = clouds.var(0).sum()
    if total < 1e-3 * max(clouds.shape[1] ** 0.5, 1):
        return Finding("samples", None, "all codes decode to one picture, so there is nothing to compare.")
    center = clouds.mean(0)
    axes = torch.pca_lowrank(clouds - center, q=min(16, *clouds.shape), center=False)[2]
    distance = frechet_distance((clouds - center) @ axes, (prior - center) @ axes) / total.item()
    text = f"pictures from N(0, I) are {distance:.2f} of the variance away from pictures from the encoder's clouds"
    if distance < MAX_DISTANCE:
        return Finding("samples", True, f"{text}.")
    return Finding("samples", False, f"{text}: the clouds do not fill the prior.")
