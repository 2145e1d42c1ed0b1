"""Where training starts: at the mean picture, or at the pictures' principal components."""

import torch
from torch import Tensor, nn

from .pca import principal_components


@torch.no_grad()
def start_at_mean(model: nn.Module, x_train: Tensor) -> None:
    """Initialize an untrained model so that it decodes nearly the mean of x_train and encodes pictures less that mean.

    The output's bias becomes the mean's log-odds, the output's weights shrink, and a VAE's log variances start at -2
    for every picture. For models whose `encoder` and `decoder` are the `mlp` of vae_utils.models.

    Raises:
        TypeError: The encoder or the decoder does not begin and end with a linear layer.
    """
    first, last, head = _linear(model.encoder, 0), _linear(model.decoder, -1), _linear(model.encoder, -1)
    scale = 255 if x_train.dtype == torch.uint8 else 1
    total = sum(part.sum(0, dtype=torch.float64) for part in x_train.split(1000))  # in parts, to save memory
    mean = (total / (scale * len(x_train))).flatten().to(last.bias)
    last.bias.copy_(mean.clamp(0.01, 0.99).logit())
    last.weight.mul_(0.3)
    first.bias.copy_(-(first.weight @ mean))
    if hasattr(model, "likelihood") and head.out_features == 2 * getattr(model, "latent_dim", head.out_features // 2):
        head.weight[head.out_features // 2 :] = 0
        head.bias[head.out_features // 2 :] = -2


@torch.no_grad()
def start_at_principal_components(model: nn.Module, x_train: Tensor) -> None:
    """Initialize an untrained model as `start_at_mean`, and its outer layers with the principal components of x_train.

    The encoder's first layer gives the coordinates along the components, each with variance 1, and the decoder's last
    layer paints each component with half its standard deviation, through the slope of the sigmoid at the mean picture.
    The layers between start at random as before: the network draws little but the mean at first, yet has the
    components at both ends.

    Models without a hidden layer, and data with fewer than twice as many pictures (4,000 at most are looked at) or
    pixels as the outer layers have units, start at the mean alone.

    Raises:
        TypeError: As for `start_at_mean`.
    """
    start_at_mean(model, x_train)
    first, last = _linear(model.encoder, 0), _linear(model.decoder, -1)
    units = first.out_features
    x = x_train[:: -(-len(x_train) // 4000)].flatten(1)  # 4,000 pictures at most
    if first is _linear(model.encoder, -1) or last.in_features != units or 2 * units > min(x.shape):
        return
    x = x.float() / 255 if x.dtype == torch.uint8 else x.float()
    mean, axes, deviations = (part.to(first.weight) for part in principal_components(x, units))
    whiten = (axes / deviations.clamp(min=1e-3)).T
    first.weight.copy_(whiten)
    first.bias.copy_(-(whiten @ mean))
    odds = mean.clamp(0.01, 0.99)
    last.weight.copy_(0.5 * axes * deviations / (odds * (1 - odds)).clamp(min=0.05).unsqueeze(1))


def can_start(model: nn.Module) -> bool:
    """Return whether encoder and decoder begin and end with linear layers that still have PyTorch's initial weights.

    Those are at most 1 / sqrt(inputs). Weights that were loaded or set by hand are hardly ever all within that bound.
    """
    try:
        ends = [_linear(getattr(model, part, None), end) for part in ("encoder", "decoder") for end in (0, -1)]
    except TypeError:
        return False
    return all(bool((p.abs() * layer.in_features**0.5 <= 1.0001).all()) for layer in ends for p in layer.parameters())


def _linear(layers: object, index: int) -> nn.Linear:
    layer = layers[index] if isinstance(layers, nn.Sequential) else layers
    if not isinstance(layer, nn.Linear):
        raise TypeError(f"a start at the mean picture needs linear layers at both ends, not {type(layer).__name__}")
    return layer
