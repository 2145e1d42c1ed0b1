"""What `examine` found: questions, answers, and what can't be seen from outside."""

import textwrap
from dataclasses import dataclass

UNSEEN = (
    "how the loss was trained: gradients that were never zeroed, a learning rate, too few steps, the same batch again",
    "how figures were reported: z = mu at test time, sums beside means, training pictures in the test",
    "whether the pictures are what they should be, the likelihood suits them and the network is large enough",
    "a constant in the loss, which changes no gradient",
)
UNSEEN_WITHOUT_LOSS = (
    "the weight of the KL to better than a third, and not at all if p(x|z) is unknown or no number is active",
    "the scale of the reconstruction if the model does not say its sigma: a squared error without 1/(2 sigma^2) is a "
    "right loss for another one",
)


@dataclass(frozen=True)
class Finding:
    """One question and its answer; `healthy` is None if it could not be asked."""

    name: str
    healthy: bool | None
    sentence: str

    def __str__(self) -> str:
        return f"{'?' if self.healthy is None else '✔' if self.healthy else '✘'} {self.name}: {self.sentence}"


@dataclass(frozen=True)
class Report:
    """The findings of `examine`. Printed, it has a line for each question and a list of what `examine` can't see."""

    findings: tuple[Finding, ...]
    unseen: tuple[str, ...]

    @property
    def wrong(self) -> tuple[str, ...]:
        """The names of the findings that look wrong."""
        return tuple(finding.name for finding in self.findings if finding.healthy is False)

    def __getitem__(self, name: str) -> Finding:
        found = {finding.name: finding for finding in self.findings}
        if name not in found:
            raise KeyError(f"no finding is called {name!r}; this report has {', '.join(found)}")
        return found[name]

    def __str__(self) -> str:
        count = len(self.wrong)
        head = f"{count} finding{'s' * (count != 1)}: {', '.join(self.wrong)}" if count else "Nothing looks wrong."
        if not count and any((finding.name, finding.healthy) == ("loss", None) for finding in self.findings):
            head = "The loss could not be asked; nothing else looks wrong."
        lines = [head, *map(str, self.findings), "Not seen from here:", *(f"  - {line}" for line in self.unseen)]
        return "\n".join(textwrap.fill(line, 88, subsequent_indent="    ") for line in lines)

    __repr__ = __str__
