"""The Open Inference Protocol v2: what is served, and inference in JSON and binary, on the same core as /predict."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from models.contract import Contract, TensorSpec
from service.datatypes import datatype_of
from service.deadline import Deadlines
from service.inference_decode import InferenceDecoder
from service.inference_outputs import Inference, answered, outputs_of
from service.problems import DeadlinePassed
from service.repository import Repository
from service.routing import Document, Received, Write
from service.session import Tensors
from service.versions import ServedModel

PLATFORM = "onnx_onnxv1"


@dataclass(frozen=True)
class Server:
    """What the server says of itself."""

    name: str
    version: str
    extensions: tuple[str, ...]


@dataclass(frozen=True)
class InferenceProtocol:
    """The handlers of /v2: decode, call, answer."""

    server: Server
    repository: Repository
    decoder: InferenceDecoder
    deadlines: Deadlines

    async def describe_server(self) -> Document:
        """Name, version, and the extensions of the protocol that are there."""
        return {"name": self.server.name, "version": self.server.version, "extensions": self.server.extensions}

    async def describe_model(self, name: str) -> Document:
        """The inputs and outputs of the model's default version. Attention outputs carry their meaning."""
        return self._description(self.repository.served(name, None))

    async def describe_version(self, name: str, version: str) -> Document:
        """The inputs and outputs of a version. Attention outputs carry their meaning."""
        return self._description(self.repository.served(name, version))

    async def is_model_ready(self, name: str) -> Document:
        """The model answers requests; 200 says so, any other status that it does not."""
        return {"name": self.repository.served(name, None).name, "ready": True}

    async def is_version_ready(self, name: str, version: str) -> Document:
        """The version answers requests; 200 says so, any other status that it does not."""
        return {"name": self.repository.served(name, version).name, "ready": True}

    async def infer(self, name: str, received: Received) -> Write:
        """Inference by the model's default version, in JSON or binary, attention and contributions included."""
        return await self._infer(self.repository.served(name, None), received)

    async def infer_version(self, name: str, version: str, received: Received) -> Write:
        """Inference by a version, in JSON or binary, attention and contributions included."""
        return await self._infer(self.repository.served(name, version), received)

    async def _infer(self, model: ServedModel, received: Received) -> Write:
        received.exchange.model = model.batcher.metrics
        inference = await self.decoder.inference(received, model)
        tensors = await self._run(model, inference, received)
        return partial(answered, model, inference, tensors)

    async def _run(self, model: ServedModel, inference: Inference, received: Received) -> Tensors:
        # In the graph's order, so that equal sets meet in a batch.
        asked = {output.name for output in inference.outputs}
        names = tuple(name for name in model.session.outputs if name in asked)
        exchange, seconds = received.exchange, inference.timeout_seconds
        left = None if seconds is None else seconds - exchange.seconds
        if left is not None and left <= 0:
            raise DeadlinePassed("the request's own time, parameters.timeout, was over before its run")
        running = model.batcher.run_tensor(inference.rows, names, received.exchange)
        if left is None:
            return await running
        return await self.deadlines.in_time(running, exchange.loop.time() + left, exchange.loop)

    def _description(self, model: ServedModel) -> Document:
        session, contract = model.session, model.contract
        versions = self.repository.versions_of(model.name)
        return {
            "name": model.name,
            "versions": [version for version, found in versions.items() if found.served],
            "platform": PLATFORM,
            "inputs": [_tensor(name, spec) for name, spec in session.inputs.items()],
            "outputs": [_tensor(name, session.outputs[name]) | _meaning(contract, name) for name in outputs_of(model)],
        }


def _tensor(name: str, spec: TensorSpec) -> Document:
    datatype = datatype_of(spec)
    assert datatype is not None, "others are no inputs, nor among the outputs that can be answered"
    shape = [-1 if size is None else size for size in spec.shape]
    return {"name": name, "datatype": datatype.name, "shape": shape}


def _meaning(contract: Contract, output: str) -> dict[str, Any]:
    """The contract's entry of an attention output."""
    entry = next((entry for entry in contract.attention if entry.output == output), None)
    return {} if entry is None else {"parameters": entry.model_dump(mode="json")}
