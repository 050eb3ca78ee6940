"""python -m tests.clients.triton.calls: what tritonclient's methods tell about server and models."""

from collections.abc import Callable
from functools import partial

from tests.clients.asked import plainly
from tests.clients.oracle import MODELS
from tests.clients.triton.context import Context, Look, look_at_both_clients, refusal
from tests.clients.triton.tensors import inputs_of

PLATFORM = "onnx_onnxv1"
EXTENSIONS = {"binary_tensor_data", "model_repository"}
COUNTED = 7


def health(context: Context) -> str:
    """is_server_live(), is_server_ready()"""
    assert context.client.is_server_live()
    assert context.client.is_server_ready()
    return "both true"


def model_ready(context: Context) -> str:
    """is_model_ready(name), (name, version), an unknown version, an unknown name"""
    for model in MODELS:
        assert context.client.is_model_ready(model)
        assert context.client.is_model_ready(model, "1")
        assert not context.client.is_model_ready(model, "99")
    assert not context.client.is_model_ready("unknown")
    return "true, true, false, false"


def server_metadata(context: Context) -> str:
    """get_server_metadata()"""
    told = context.client.get_server_metadata()
    assert told["name"], told
    assert told["version"], told
    assert set(told["extensions"]) >= EXTENSIONS, told["extensions"]
    return f"{told['name']} {told['version']}, extensions {', '.join(told['extensions'])}"


def model_metadata(context: Context) -> str:
    """get_model_metadata(name), (name, version)"""
    tensors = []
    for oracle in context.oracles:
        told = context.client.get_model_metadata(oracle.model)
        assert context.client.get_model_metadata(oracle.model, "1") == told
        assert (told["name"], told["versions"], told["platform"]) == (oracle.model, ["1"], PLATFORM), told
        [taken] = told["inputs"]
        assert (taken["name"], taken["datatype"]) == (oracle.input_name, oracle.datatype), taken
        assert taken["shape"] == [-1, *oracle.row_shape], taken
        assert [output["name"] for output in told["outputs"]] == oracle.output_names, told["outputs"]
        looks = [output["name"] for output in told["outputs"] if "axes" in str(output.get("parameters"))]
        assert looks, f"no output of {oracle.model} carries its contract entry"
        tensors.append(
            f"{oracle.model}: {taken['name']} {taken['datatype']} {taken['shape']}, "
            f"contract entries with {', '.join(looks)}"
        )
    return "; ".join(tensors)


def model_config(context: Context) -> str:
    """get_model_config(name), (name, version)"""
    sizes = []
    for oracle in context.oracles:
        told = context.client.get_model_config(oracle.model)
        assert context.client.get_model_config(oracle.model, "1") == told
        assert told["name"] == oracle.model, told
        assert [tensor["name"] for tensor in told["input"]] == [oracle.input_name], told["input"]
        assert [tensor["name"] for tensor in told["output"]] == oracle.output_names, told["output"]
        sizes.append(f"{oracle.model}: max_batch_size {told['max_batch_size']}")
    return ", ".join(sizes)


def statistics(context: Context) -> str:
    """get_inference_statistics(name), (name, version), (): counted over all workers"""
    oracle = context.oracles[0]
    before = _inferences(context, oracle.model, "1")
    for seed in range(COUNTED):
        # A connection of its own, so that any worker may answer it.
        with context.open(context.asked.address) as client:
            client.infer(oracle.model, inputs_of(oracle, oracle.draw(seed)))
    after = [_inferences(context, oracle.model, version) for version in ("1", "")]
    assert after == [before + COUNTED] * 2, f"{before}, then {COUNTED} requests, then {after}"
    everything = context.client.get_inference_statistics()["model_stats"]
    assert {one["name"] for one in everything} == set(MODELS), everything
    return f"inference_count {before}, and after {COUNTED} requests over {COUNTED} connections {after[0]}"


def _inferences(context: Context, model: str, version: str) -> int:
    [told] = context.client.get_inference_statistics(model, version)["model_stats"]
    assert (told["name"], told["version"]) == (model, "1"), told
    assert told["inference_stats"]["success"]["count"] == told["inference_count"], told
    count: int = told["inference_count"]
    return count


def repository_index(context: Context) -> str:
    """get_model_repository_index()"""
    told = context.client.get_model_repository_index()
    entries = sorted((one["name"], one["version"], one["state"]) for one in told)
    assert entries == [(model, "1", "READY") for model in sorted(MODELS)], told
    return ", ".join(" ".join(entry) for entry in entries)


def unknown_names(context: Context) -> str:
    """metadata, configuration and statistics of an unknown model and an unknown version"""
    client = context.client
    ways = {
        "": client.get_model_metadata,
        "/config": client.get_model_config,
        "/stats": client.get_inference_statistics,
    }
    messages = []
    for ending, ask in ways.items():
        for model, version in (("unknown", ""), ("unknown", "1"), (MODELS[0], "99"), (MODELS[0], "latest")):
            path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + ending
            problem = plainly(context.asked.address, path)
            assert problem.headers["content-type"] == "application/problem+json", problem
            message = refusal(partial(ask, model, version), "404")
            assert message == problem.document["detail"], f"{path}: {message}"
            messages.append(message)
    return f"{len(messages)} exceptions of status 404, each with the problem's detail: {messages[0]!r}"


def not_offered(context: Context) -> str:
    """shared memory, trace settings, log settings, which Heed does not have"""
    client = context.client
    calls: dict[str, Callable[[], object]] = {
        "get_system_shared_memory_status": client.get_system_shared_memory_status,
        "register_system_shared_memory": lambda: client.register_system_shared_memory("region", "/region", 80),
        "unregister_system_shared_memory": client.unregister_system_shared_memory,
        "get_cuda_shared_memory_status": client.get_cuda_shared_memory_status,
        "register_cuda_shared_memory": lambda: client.register_cuda_shared_memory("region", "AAAA", 0, 80),
        "unregister_cuda_shared_memory": client.unregister_cuda_shared_memory,
        "get_trace_settings": client.get_trace_settings,
        "update_trace_settings": lambda: client.update_trace_settings(settings={"trace_level": ["OFF"]}),
        "get_log_settings": client.get_log_settings,
        "update_log_settings": lambda: client.update_log_settings({"log_info": False}),
    }
    messages = {name: refusal(call, "404") for name, call in calls.items()}
    return f"{len(messages)} methods, each an exception of status 404: {messages['get_log_settings']!r}"


LOOKS: tuple[Look, ...] = (
    health,
    model_ready,
    server_metadata,
    model_metadata,
    model_config,
    statistics,
    repository_index,
    unknown_names,
    not_offered,
)

if __name__ == "__main__":
    look_at_both_clients(__doc__, LOOKS)
