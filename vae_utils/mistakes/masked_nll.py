"""Wrong ways to write `masked_nll`: the loss where entries of a table are missing."""

from torch import Tensor

from .mistake import mistake


@mistake
def multiplied(nll: Tensor, known: Tensor) -> Tensor:
    """You multiply by the mask. What is missing is NaN in a table, and NaN · 0 is NaN: one gap, and the loss is gone.
    Choose with `torch.where(known, nll, 0)` or `nll.where(known, 0)`: it does not look at what it leaves out."""
    return (nll * known).sum(1)


@mistake
def all_entries(nll: Tensor, known: Tensor) -> Tensor:
    """You add up all entries, the missing ones, too. What was never seen can't be explained: leave it out of the
    sum."""
    return nll.sum(1)


@mistake
def mask_reversed(nll: Tensor, known: Tensor) -> Tensor:
    """You keep the missing entries and drop the known ones. `known` is true where there is a value."""
    return nll.where(~known, 0).sum(1)


@mistake
def average_of_known(nll: Tensor, known: Tensor) -> Tensor:
    """You average over the known entries. A row's log-likelihood is a sum over what is known of it; averaged, it weighs
    little beside the KL, and a row of two values counts as much as one of thirty."""
    return nll.where(known, 0).sum(1) / known.sum(1)


@mistake
def average_of_all(nll: Tensor, known: Tensor) -> Tensor:
    """You average over the columns. A log-likelihood is a sum over entries: averaged, the KL outweighs it, and the
    code collapses."""
    return nll.where(known, 0).mean(1)


@mistake
def stretched_to_full(nll: Tensor, known: Tensor) -> Tensor:
    """You scale the sum up as if all entries were known. Then a row with gaps claims to know more than it does, and
    its cloud becomes too narrow. Fewer known values: a smaller sum."""
    return nll.where(known, 0).sum(1) * known.shape[1] / known.sum(1).clamp(min=1)


@mistake
def whole_batch(nll: Tensor, known: Tensor) -> Tensor:
    """You add up the whole batch to one number. Each row has a loss of its own: sum over axis 1."""
    return nll.where(known, 0).sum()


@mistake
def over_rows(nll: Tensor, known: Tensor) -> Tensor:
    """You add up over rows (axis 0), so that a number for each column comes out. Each row has a loss of its own: sum
    over axis 1."""
    return nll.where(known, 0).sum(0)


@mistake
def complete_rows_only(nll: Tensor, known: Tensor) -> Tensor:
    """You count rows without a gap only: most of a table with gaps would be lost. A row's known entries say
    something by themselves."""
    return nll.where(known, 0).sum(1) * known.all(1)


@mistake
def entries_kept(nll: Tensor, known: Tensor) -> Tensor:
    """You return an entry for each column, with zeros in the gaps. That is half of it: add them up to one number for
    each row."""
    return nll.where(known, 0)


@mistake
def sign_turned(nll: Tensor, known: Tensor) -> Tensor:
    """What goes in is the *negative* log-likelihood already, which training makes small. With the sign turned it would
    learn to explain rows as badly as it can."""
    return -nll.where(known, 0).sum(1)


@mistake
def whatever_is_no_nan(nll: Tensor, known: Tensor) -> Tensor:
    """You leave out what is NaN and never ask `known`. A gap may hold any number, for instance a 0 that somebody filled
    in: `known` says which entries count."""
    return nll.nansum(1)


@mistake
def average_of_known_or_0(nll: Tensor, known: Tensor) -> Tensor:
    """You average over the known entries. A row's log-likelihood is a sum over what is known of it; averaged, it weighs
    little beside the KL, and a row of two values counts as much as one of thirty."""
    return nll.where(known, 0).sum(1) / known.sum(1).clamp(min=1)
