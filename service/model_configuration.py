"""A version of a model as Triton's model configuration describes one: what load tools look for in it."""

from models.contract import TensorSpec
from models.layout import MODEL_FILE
from service.datatypes import Datatype, datatype_of
from service.inference_outputs import outputs_of
from service.routing import Document
from service.versions import ServedModel

PLATFORM, BACKEND = "onnxruntime_onnx", "onnxruntime"
STRINGS = "TYPE_STRING"


def configuration(model: ServedModel, most_rows: int) -> Document:
    """Triton's document. `most_rows`: in one request, which is what its `max_batch_size` is; a run takes fewer, told as
    `preferred_batch_size`. Shapes are without the batch axis.
    """
    session, limits = model.session, model.batcher.limits
    outputs = outputs_of(model)
    return {
        "name": model.name,
        "platform": PLATFORM,
        "backend": BACKEND,
        "default_model_filename": MODEL_FILE,
        "version_policy": {"all": {}},
        "max_batch_size": most_rows,
        "input": [_tensor(name, spec, datatype_of(spec)) for name, spec in session.inputs.items()],
        "output": [_tensor(name, session.outputs[name], datatype) for name, datatype in outputs.items()],
        "instance_group": [{"name": model.name, "kind": "KIND_CPU", "count": limits.parallel_runs}],
        "dynamic_batching": {
            "preferred_batch_size": [limits.max_batch_size],
            "max_queue_delay_microseconds": round(model.batcher.queue_delay_seconds * 1e6),
        },
    }


def _tensor(name: str, spec: TensorSpec, datatype: Datatype | None) -> Document:
    assert datatype is not None, "others are no inputs, nor among the outputs that can be answered"
    kind = STRINGS if datatype.name == "BYTES" else f"TYPE_{datatype.name}"
    dimensions = [-1 if size is None else size for size in spec.shape[1:]]
    return {"name": name, "data_type": kind, "dims": dimensions}
