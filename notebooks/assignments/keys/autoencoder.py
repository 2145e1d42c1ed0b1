"""Assignment 1: answers, known mistakes and hidden probes. For graders; students get nothing of it."""

import torch
from torch import Tensor

from scripts.grading.question import Mistakes, Part, Question
from scripts.grading.terms import Term


def pca_reconstruct(x: Tensor, x_train: Tensor, k: int) -> Tensor:
    mean = x_train.mean(0)
    centered = x_train - mean
    vectors = torch.linalg.eigh(centered.T @ centered).eigenvectors.flip(1)[:, :k]
    return (x - mean) @ vectors @ vectors.T + mean


def _vectors(x_train: Tensor) -> Tensor:
    """Return all principal directions, as columns, the largest first."""
    return torch.linalg.svd(x_train - x_train.mean(0), full_matrices=False)[2].T


PCA_RECONSTRUCT = Mistakes()


@PCA_RECONSTRUCT("training", "new", "ends")
def not_centered(x: Tensor, x_train: Tensor, k: int) -> Tensor:
    """You look for the directions without taking the mean away first. The first direction then mostly points from 0 to
    the mean picture, and is lost for what varies. Subtract the mean of `x_train` before the decomposition and before
    the projection, and add it at the end."""
    vectors = torch.linalg.svd(x_train, full_matrices=False)[2][:k].T
    return x @ vectors @ vectors.T


@PCA_RECONSTRUCT("training", "new", "ends")
def mean_not_added(x: Tensor, x_train: Tensor, k: int) -> Tensor:
    """You take the mean away and do not add it again. The decoder starts from the mean picture: with a code of no
    numbers it must give the mean, and yours gives zeros."""
    vectors = _vectors(x_train)[:, :k]
    return (x - x_train.mean(0)) @ vectors @ vectors.T


@PCA_RECONSTRUCT("new")
def mean_of_the_new_pictures(x: Tensor, x_train: Tensor, k: int) -> Tensor:
    """You center new pictures at their own mean. On the training set nobody sees it. An autoencoder that is trained
    keeps its mean: a single new picture would come back perfect, whatever the directions."""
    vectors = _vectors(x_train)[:, :k]
    return (x - x.mean(0)) @ vectors @ vectors.T + x.mean(0)


@PCA_RECONSTRUCT("new")
def fitted_to_the_new_pictures(x: Tensor, x_train: Tensor, k: int) -> Tensor:
    """You look for the directions in `x`. The autoencoder is trained on `x_train`; on new pictures the directions are
    used and not looked for again. Otherwise the test error is a training error."""
    return pca_reconstruct(x, x, k)


@PCA_RECONSTRUCT("training", "new")
def smallest_directions(x: Tensor, x_train: Tensor, k: int) -> Tensor:
    """You keep the directions in which the pictures vary least. `torch.linalg.eigh` sorts from small to large: the last
    columns are the ones to keep."""
    vectors = _vectors(x_train).flip(1)[:, :k]
    return (x - x_train.mean(0)) @ vectors @ vectors.T + x_train.mean(0)


@PCA_RECONSTRUCT("training", "new")
def rows_for_columns(x: Tensor, x_train: Tensor, k: int) -> Tensor:
    """You take rows where the directions are columns (or the other way round). `svd` returns V transposed, with a
    direction in each row; the eigenvectors of `eigh` are columns."""
    directions = _vectors(x_train)[:k]
    return (x - x_train.mean(0)) @ directions.T @ directions + x_train.mean(0)


@PCA_RECONSTRUCT("training", "new", "ends")
def one_too_many(x: Tensor, x_train: Tensor, k: int) -> Tensor:
    """You keep k + 1 directions. With k = 0 nothing but the mean picture may come back."""
    return pca_reconstruct(x, x_train, k + 1)


def hidden_error(x_hat: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    errors = torch.where(hidden, (x_hat - x) ** 2, torch.zeros_like(x))
    count = hidden.sum(1)
    return errors.sum(1) / torch.where(count > 0, count, torch.ones_like(count))


HIDDEN_ERROR = Mistakes()


@HIDDEN_ERROR("values", "gradient")
def divided_by_all_pixels(x_hat: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    """You divide by the number of all pixels. A picture with few hidden pixels then looks well filled in, however wrong
    they are. Divide by the number of hidden ones, each picture by its own."""
    return ((x_hat - x).square() * hidden).mean(1)


@HIDDEN_ERROR("values", "none", "gradient")
def the_visible_pixels(x_hat: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    """You measure the pixels that were not hidden. `hidden` is True where the autoencoder could not look, and these
    pixels count."""
    return hidden_error(x_hat, x, ~hidden)


@HIDDEN_ERROR("values", "gradient")
def a_sum(x_hat: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    """You return the sum over the hidden pixels. The task asks for the average: pictures with more hidden pixels must
    not look worse for that alone."""
    return ((x_hat - x).square() * hidden).sum(1)


@HIDDEN_ERROR("values", "none", "gradient")
def one_number_for_the_batch(x_hat: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    """You return one number for the whole batch. Each picture has its own."""
    return hidden_error(x_hat, x, hidden).mean()


@HIDDEN_ERROR("values", "gradient")
def pooled(x_hat: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    """You average over the hidden pixels of all pictures together. Each picture has its own error and its own number of
    hidden pixels: sum along dimension 1 only."""
    """Average over all hidden pixels of the batch together, whichever picture they are in."""
    return (((x_hat - x).square() * hidden).sum() / hidden.sum().clamp(min=1)).expand(len(x))


@HIDDEN_ERROR("none")
def not_a_number(x_hat: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    """Where no pixel is hidden you divide 0 by 0. One such picture makes the average over a batch NaN. Divide by at
    least 1, `.clamp(min=1)`."""
    return ((x_hat - x).square() * hidden).sum(1) / hidden.sum(1)


@HIDDEN_ERROR("values", "gradient")
def not_squared(x_hat: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    """You average absolute errors. The task asks for squared ones."""
    return ((x_hat - x).abs() * hidden).sum(1) / hidden.sum(1).clamp(min=1)


@HIDDEN_ERROR("gradient")
def gradient_cut_off(x_hat: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    """The numbers are right, and no gradient reaches `x_hat`: something cuts the path (`.detach()`, `.data`,
    `torch.no_grad()`, NumPy). A network could not learn from this error."""
    return hidden_error(x_hat.detach(), x, hidden)


def undo(z_moved: Tensor, A: Tensor, b: Tensor) -> Tensor:
    return (z_moved - b) @ torch.linalg.inv(A).T


UNDO = Mistakes()


@UNDO("rotation", "any")
def moved_again(z_moved: Tensor, A: Tensor, b: Tensor) -> Tensor:
    """You multiply by A once more. To go back, take `b` away and then multiply by the inverse of A, or solve a linear
    system with `torch.linalg.solve`."""
    return (z_moved - b) @ A.T


@UNDO("rotation", "any")
def transposed(z_moved: Tensor, A: Tensor, b: Tensor) -> Tensor:
    """You use the inverse of A on the wrong side. Codes are rows, so `move` multiplies them by `A.T` from the right; to
    undo it, multiply by the inverse of `A.T`."""
    return (z_moved - b) @ torch.linalg.inv(A)


@UNDO("any")
def transpose_for_inverse(z_moved: Tensor, A: Tensor, b: Tensor) -> Tensor:
    """You use the transpose of A as its inverse. That is true of rotations only. A shear or a stretch needs the
    inverse."""
    return (z_moved - b) @ A


@UNDO("rotation", "any")
def wrong_order(z_moved: Tensor, A: Tensor, b: Tensor) -> Tensor:
    """You multiply first and take `b` away afterwards. What was done last is undone first: `b` goes first."""
    return z_moved @ torch.linalg.inv(A).T - b


def questions(term: Term) -> tuple[Question, ...]:
    generator = torch.Generator().manual_seed(term.seed)
    code, bits = term.constants["autoencoder"]["CODE"], term.constants["autoencoder"]["BITS"]

    def some(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def pictures(count: int, pixels: int) -> Tensor:
        """Draw pixels that vary by very different amounts, away from 0, so that directions are clear."""
        turn = torch.linalg.qr(some(pixels, pixels))[0]
        return some(count, pixels) * torch.logspace(0.5, -1, pixels) @ turn + 2 + some(pixels)

    def half(*shape: int) -> Tensor:
        """Draw booleans, at least one True and one False in each row."""
        drawn = torch.rand(*shape, generator=generator) < 0.5
        drawn[:, 0], drawn[:, 1] = True, False
        return drawn

    sets = [pictures(9, 4), pictures(40, 6)]
    turn = torch.linalg.qr(some(3, 3))[0]
    angle = 0.3 + 0.8 * torch.rand((), generator=generator)
    plane = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    ratio = Mistakes()

    @ratio("value")
    def bits_forgotten() -> float:
        """You compare how many numbers there are. A number of the code takes `BITS` bits, one of a picture 8."""
        return 3 * 32 * 32 / code

    @ratio("value")
    def upside_down() -> float:
        """This is the code's size over the picture's. Asked was how many times smaller the code is."""
        return code * bits / (3 * 32 * 32 * 8)

    @ratio("value")
    def colors_forgotten() -> float:
        """You counted one number for each pixel. A color pixel has three."""
        return 32 * 32 * 8 / (code * bits)

    return (
        Question(
            "pca_reconstruct",
            pca_reconstruct,
            {
                "training": Part(
                    "Reconstructions of the training pictures themselves.",
                    [{"x": x, "x_train": x, "k": k} for x, k in ((sets[0], 1), (sets[0], 2), (sets[1], 3))],
                ),
                "new": Part(
                    "Reconstructions of pictures that are not in the training set.",
                    [
                        {"x": 1 + some(n, x.shape[1]), "x_train": x, "k": k}
                        for n, x, k in ((1, sets[0], 1), (5, sets[0], 2), (9, sets[1], 2))
                    ],
                ),
                "ends": Part(
                    "Codes of no numbers at all, and of as many as there are pixels.",
                    [{"x": x, "x_train": x, "k": k} for x, k in ((sets[0], 0), (sets[0], 4), (sets[1], 6))],
                ),
            },
            PCA_RECONSTRUCT,
        ),
        Question(
            "hidden_error",
            hidden_error,
            {
                "values": Part(
                    "The errors, with a different number of hidden pixels in each picture.",
                    [
                        {"x_hat": some(2, 4), "x": some(2, 4), "hidden": half(2, 4)},
                        {"x_hat": some(1, 5), "x": some(1, 5), "hidden": half(1, 5)},
                        {"x_hat": some(6, 30), "x": some(6, 30), "hidden": half(6, 30)},
                    ],
                ),
                "none": Part(
                    "Pictures in which no pixel is hidden: 0, not NaN.",
                    [{"x_hat": some(3, 4), "x": some(3, 4), "hidden": torch.zeros(3, 4, dtype=torch.bool)}],
                ),
                "gradient": Part(
                    "The gradient with respect to x_hat.",
                    [{"x_hat": some(3, 7), "x": some(3, 7), "hidden": half(3, 7)}],
                    gradients=("x_hat",),
                ),
            },
            HIDDEN_ERROR,
        ),
        Question(
            "undo",
            undo,
            {
                "rotation": Part(
                    "A is a rotation of the plane.",
                    [{"z_moved": some(n, 2), "A": plane, "b": some(2)} for n in (1, 4)],
                ),
                "any": Part(
                    "Any A that has an inverse, also with more latents.",
                    [
                        {"z_moved": some(1, 2), "A": torch.tensor([[1.0, 2.0], [0.0, 1.0]]), "b": some(2)},
                        {"z_moved": some(5, 3), "A": turn * torch.tensor([3.0, 1.0, 0.5]), "b": some(3)},
                    ],
                ),
            },
            UNDO,
        ),
        Question(
            "ratio",
            lambda: 3 * 32 * 32 * 8 / (code * bits),
            {"value": Part("How many times smaller the code is.", tolerance=5e-3)},
            ratio,
        ),
    )
