"""MNIST (LeCun et al., 1998): handwritten digits, 60,000 to train and 10,000 to test, grey, (1, 28, 28)."""

from .torchvision_sets import TorchvisionSet

_SET = TorchvisionSet("mnist", "MNIST", tuple("0123456789"), ("3", "5"))
load, where = _SET.load, _SET.where
