"""Fashion-MNIST (Xiao et al., 2017): pictures of clothes, 60,000 to train and 10,000 to test, grey, (1, 28, 28)."""

from .torchvision_sets import TorchvisionSet

_CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_SET = TorchvisionSet("fashion_mnist", "FashionMNIST", _CLOTHES, ("T-shirt/top", "Ankle boot"))
load, where = _SET.load, _SET.where
