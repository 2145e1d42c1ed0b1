"""What every test stands on: the repository's folders, and no network beyond this machine."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
NOWHERE = "http://127.0.0.1:9"  # the discard port: whoever goes there is refused at once


def pytest_configure(config: pytest.Config) -> None:
    """Set what every program that a test starts inherits: the notebooks' own defaults, and no network."""
    for name in ("VAE_SEED", "VAE_DATASET"):
        os.environ.pop(name, None)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        os.environ[name] = NOWHERE
    os.environ["VAE_PROGRESS"] = "0"
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "localhost,127.0.0.1,::1"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `notebook` once for each notebook."""
    if "notebook" in metafunc.fixturenames:
        metafunc.parametrize("notebook", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS], scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The file that takes longest comes first, so that a second process (-n 2) does not wait for it at the end."""
    items.sort(key=lambda item: item.path.name != "test_notebooks.py")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def notebooks() -> list[Path]:
    """The course's notebooks, in order."""
    return NOTEBOOKS


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> object:
    """Refuse connections from the tests themselves to other machines."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _only_here(getattr(socket.socket, name)))
        yield


def _only_here(connect: object) -> object:
    def guarded(self: socket.socket, address: object) -> object:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
            raise OSError(f"a test reached for the network: {address[0]}")
        return connect(self, address)

    return guarded


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
