"""python -m tests.clients.triton.loading: tritonclient's load_model() and unload_model(), seen from every worker."""

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from models.layout import CHECKSUMS_FILE, MODEL_FILE
from tests.clients.oracle import MODELS, Oracle, check_bits
from tests.clients.triton.context import Context, Look, look_at_both_clients, refusal
from tests.clients.triton.tensors import inputs_of, tensors_of
from tests.service.processes import halted

TIMES = 10


def unload(context: Context) -> str:
    """unload_model()"""
    model = context.oracles[0].model
    context.client.unload_model(model)
    messages = set()
    for client in _each_worker(context):
        assert not client.is_model_ready(model)
        assert client.is_model_ready(MODELS[1])
        assert client.is_server_ready()
        states = {one["name"]: one["state"] for one in client.get_model_repository_index()}
        assert states == {model: "UNAVAILABLE", MODELS[1]: "READY"}, states
        messages.add(refusal(_infer(client, context.oracles[0]), "404"))
    [message] = messages
    return f"in every worker not ready, UNAVAILABLE in the index, infer() is 404 {message!r}; the other model is ready"


def load(context: Context) -> str:
    """load_model() of what was unloaded"""
    context.client.load_model(context.oracles[0].model)
    _check_served(context, "1")
    return "in every worker ready, the same bits as onnxruntime's"


def again_and_again(context: Context) -> str:
    """unload_model() and load_model() in turn"""
    oracle = context.oracles[0]
    for _ in range(TIMES):
        context.client.unload_model(oracle.model)
        refusal(_infer(context.client, oracle), "404")
        context.client.load_model(oracle.model)
        _infer(context.client, oracle)()
    _check_served(context, "1")
    return f"{TIMES} times, and every call was done when it returned"


def version_that_came(context: Context) -> str:
    """load_model() after a version came into the model's folder"""
    folder = _folder(context)
    shutil.copytree(folder / "1", folder / "2")
    context.client.load_model(folder.name)
    _check_served(context, "1", "2")
    return "in every worker both versions are ready, the highest is the default"


def version_that_is_gone(context: Context) -> str:
    """load_model() after a version went from the model's folder"""
    folder = _folder(context)
    shutil.rmtree(folder / "2")
    context.client.load_model(folder.name)
    _check_served(context, "1")
    for client in _each_worker(context):
        assert not client.is_model_ready(folder.name, "2")
    return "in every worker it is not ready any more"


def refused(context: Context) -> str:
    """load_model() of a file that is no model"""
    folder = context.asked.repository / "broken" / "1"
    folder.mkdir(parents=True)
    try:
        (folder / MODEL_FILE).write_bytes(b"no model")
        checksum = hashlib.sha256(b"no model").hexdigest()
        (folder / CHECKSUMS_FILE).write_text(f"{checksum}  {MODEL_FILE}\n")
        message = refusal(lambda: context.client.load_model("broken"), "400")
        assert not context.client.is_model_ready("broken")
        assert context.client.is_server_ready()
    finally:
        shutil.rmtree(folder.parent)
    refusal(lambda: context.client.load_model("broken"), "400", "404")
    assert "broken" not in str(context.client.get_model_repository_index())
    return f"exception of status 400: {message!r}; the server is ready"


def unknown(context: Context) -> str:
    """load_model() and unload_model() of an unknown name"""
    messages = [
        refusal(lambda: context.client.load_model("unknown"), "400", "404"),
        refusal(lambda: context.client.unload_model("unknown"), "400", "404"),
    ]
    return "exceptions: " + ", ".join(map(repr, messages))


def brought_along(context: Context) -> str:
    """load_model(config=…, files=…): a model that comes with the request, which Heed does not take"""
    folder = _folder(context)
    files = {f"file:1/{MODEL_FILE}": (folder / "1" / MODEL_FILE).read_bytes()}
    messages = [
        refusal(lambda: context.client.load_model(folder.name, config="{}"), "400", "422"),
        refusal(lambda: context.client.load_model(folder.name, config="{}", files=files), "400", "422"),
    ]
    _check_served(context, "1")
    return "exceptions, what is served stays: " + ", ".join(map(repr, messages))


def _folder(context: Context) -> Path:
    """The model's, in the copy of the repository that the service reads."""
    return context.asked.repository / context.oracles[0].model


def _each_worker(context: Context) -> Iterator[Any]:
    """A client for each worker: the others stand still meanwhile, so that none of them answers."""
    for worker in context.asked.workers:
        with contextlib.ExitStack() as stack:
            for other in context.asked.workers:
                if other != worker:
                    stack.enter_context(halted(other))
            yield stack.enter_context(context.open(context.asked.address))


def _check_served(context: Context, *versions: str) -> None:
    """In every worker: ready, in these versions, answering what onnxruntime answers."""
    oracle = context.oracles[0]
    rows = oracle.draw(1)
    for client in _each_worker(context):
        told = client.get_model_metadata(oracle.model)["versions"]
        assert told == list(versions), told
        for version in ("", *versions):
            assert client.is_model_ready(oracle.model, version)
            result = client.infer(oracle.model, inputs_of(oracle, rows), model_version=version)
            check_bits(tensors_of(result), oracle.answer(rows))
            answered = result.get_response()["model_version"]
            assert answered == (version or versions[-1]), answered


def _infer(client: Any, oracle: Oracle) -> Callable[[], object]:
    return lambda: client.infer(oracle.model, inputs_of(oracle, oracle.draw(1)))


LOOKS: tuple[Look, ...] = (
    unload,
    load,
    again_and_again,
    version_that_came,
    version_that_is_gone,
    refused,
    unknown,
    brought_along,
)

if __name__ == "__main__":
    look_at_both_clients(__doc__, LOOKS)
