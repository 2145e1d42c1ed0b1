"""Wrong ways to write `reconstruction_error`: the squared error, summed over a picture."""

from torch import Tensor

from .mistake import mistake


@mistake
def averaged_over_pixels(x: Tensor, x_hat: Tensor) -> Tensor:
    """You average over the pixels; the task asks for their sum. Alone, that is only another unit. But the VAE of the
    next notebook adds a second term, which is a sum. Beside it an error divided by 3,072 weighs nothing: the encoder
    then ignores the pictures, and every reconstruction is the same blur. Take the sum over a picture, and averages only
    over the batch."""
    return (x_hat - x).square().flatten(1).mean(1)


@mistake
def summed_over_everything(x: Tensor, x_hat: Tensor) -> Tensor:
    """You add up all pictures, too, so the batch is one number. You can't see any more which picture was drawn badly,
    and the loss grows with the batch: twice the pictures, twice the loss. Keep the first dimension: `flatten(1)` makes
    each picture one row."""
    return (x_hat - x).square().sum()


@mistake
def averaged_over_everything(x: Tensor, x_hat: Tensor) -> Tensor:
    """You average over pixels and pictures at once (`mse_loss` does so, too). It trains an autoencoder well enough. But
    it is one number for the whole batch, and thousands of times smaller than the sum over a picture, which will matter
    as soon as another term stands beside it. Sum each picture; keep the first dimension."""
    return (x_hat - x).square().mean()


@mistake
def averaged_over_the_batch(x: Tensor, x_hat: Tensor) -> Tensor:
    """The sum over pixels is right. But then you average over the batch, and it is one number. Leave that to the
    caller: training wants the mean, a list of the worst pictures wants each one."""
    return (x_hat - x).square().flatten(1).sum(1).mean()


@mistake
def summed_over_the_batch(x: Tensor, x_hat: Tensor) -> Tensor:
    """You sum over dimension 0. That is the batch: the pictures are laid on top of each other, and a pixel is left over
    for each pixel. The sum goes over everything *but* dimension 0."""
    return (x_hat - x).square().sum(0)


@mistake
def summed_over_one_axis(x: Tensor, x_hat: Tensor) -> Tensor:
    """You sum over dimension 1 only. A picture has three dimensions after the batch (color, height, width), and yours
    still has two of them. Make each picture one row first, with `flatten(1)`, or name all three."""
    return (x_hat - x).square().sum(1)


@mistake
def not_summed(x: Tensor, x_hat: Tensor) -> Tensor:
    """These are the squared errors of single pixels. One number for each picture is asked for: add them up over color,
    height and width."""
    return (x_hat - x).square()


@mistake
def not_squared(x: Tensor, x_hat: Tensor) -> Tensor:
    """You add up differences that are not squared. A pixel too bright and a pixel too dark then cancel: a checkerboard
    and its negative have error 0, and a picture that is simply black has a *negative* error, so training would paint
    everything black."""
    return (x_hat - x).flatten(1).sum(1)


@mistake
def square_of_the_sum(x: Tensor, x_hat: Tensor) -> Tensor:
    """You square after adding up. Inside the sum, too bright and too dark cancel first: only the average brightness of
    the picture counts, and a grey rectangle is as good as a cat. Square each pixel, then add up."""
    return (x_hat - x).flatten(1).sum(1).square()


@mistake
def difference_of_squares(x: Tensor, x_hat: Tensor) -> Tensor:
    """You square the two pictures and subtract. That is x̂² − x², not (x̂ − x)². It can be negative, and its minimum is
    a black picture. Subtract first."""
    return (x_hat.square() - x.square()).flatten(1).sum(1)


@mistake
def absolute(x: Tensor, x_hat: Tensor) -> Tensor:
    """These are absolute differences (the L1 error). A fair loss, but another one: it asks for the median where squares
    ask for the mean, and large errors weigh less. The rest of the course builds on squares."""
    return (x_hat - x).abs().flatten(1).sum(1)


@mistake
def square_root(x: Tensor, x_hat: Tensor) -> Tensor:
    """You take the root at the end: that is the distance between the two pictures, not its square. Its gradient has
    length 1 however small the error is, and breaks down at exactly 0. And the squares will turn out to be the logarithm
    of a Gaussian; their roots are not. Leave the root out."""
    return (x_hat - x).flatten(1).norm(dim=1)


@mistake
def detached(x: Tensor, x_hat: Tensor) -> Tensor:
    """The numbers are right, but you cut them off from the network (`detach`, `no_grad`, `.data`). For a loss the way
    back is all that matters: with this one `backward` raises an error, or, added to another term, it prints a fine
    curve and teaches nothing."""
    return (x_hat - x).detach().square().flatten(1).sum(1)
