"""Repositories of tiny models and the service on one, made once for all tests that do not change them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from service.direct import Direct
from service.http_protocol import DIRECT
from service.known_heads import KnownHeads
from service.settings import Settings
from tests.service.client import Client, running
from tests.service.tiny_models import image_model, publish, timeseries_model

KEY = "a-key-of-the-tests"
SERIES = [[float(step), float(-step) / 2] for step in range(10)]
# One black pixel.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


def fill(repository: Path) -> None:
    """Publish one model of every kind that the service tells apart."""
    publish(repository, "timeseries", "1", timeseries_model(), [{"label": "1", "body": {"sequence": SERIES}}])
    publish(repository, "any_length", "1", timeseries_model("time"))
    publish(repository, "one_feature", "1", timeseries_model(features=1, contributions=False))
    publish(repository, "image", "1", image_model(), [{"label": "0", "body": {"image": PIXEL}}])
    publish(repository, "colour", "1", image_model(6, 4, 3, "stretch", ["night", "day"]))
    publish(repository, "crop", "1", image_model(8, 8, 3, "crop", ["night", "day"]))


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that no test changes."""
    folder = tmp_path_factory.mktemp("model_repository")
    fill(folder)
    return folder


@pytest.fixture(scope="session")
def one_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of one model, that no test changes."""
    folder = tmp_path_factory.mktemp("one_model")
    publish(folder, "timeseries", "1", timeseries_model())
    return folder


@pytest.fixture(scope="session")
def client(repository: Path) -> Iterator[Client]:
    """The service on that repository, with a body limit that a test can reach."""
    with running(
        Settings(
            model_repository=repository,
            max_body_bytes=400_000,
            max_image_pixels=5_000_000,
            max_batch_inputs=40,
            max_time_steps=500,
        )
    ) as service:
        yield service


@pytest.fixture(scope="module")
def keyed(one_model: Path) -> Iterator[Client]:
    """A service with a key."""
    with running(Settings(model_repository=one_model, api_keys=SecretStr(KEY)), is_loaded=False) as client:
        client.wait_until_ready()
        yield client


@pytest.fixture
def direct(keyed: Client) -> Direct:
    """Its way without ASGI; nothing was asked yet."""
    direct: Direct = keyed.state[DIRECT]
    direct.heads = KnownHeads()
    return direct
