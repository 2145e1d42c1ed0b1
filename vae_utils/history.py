"""The curve of a training."""

from dataclasses import dataclass, field


@dataclass
class History:
    """The training curve. `terms[name][i]` is the mean since the previous entry, recorded after step `step[i]`."""

    step: list[int] = field(default_factory=list)
    terms: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    stopped: bool = False  # interrupted before the last step

    def __getitem__(self, name: str) -> list[float]:
        return self.terms[name]

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.2f}" for name, values in self.terms.items())
        return f"<{self.step[-1] if self.step else 0} steps in {self.seconds:.1f} s: {last}>"
