"""python -m tests.clients.triton.inference: what tritonclient's infer() sends and is answered."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult

from tests.clients.asked import Answer, plainly
from tests.clients.oracle import MODELS, Oracle, Tensor, check_bits, difference
from tests.clients.triton.context import INPUTS, Context, Look, look_at_both_clients, refusal
from tests.clients.triton.tensors import forms_of, inputs_of, outputs_of, tensors_of

BATCHES = (2, 5, 32, 70)
BATCH_TOLERANCE = 1e-5  # beside a run of as many rows; the service may make several of it
ENOUGH_MICROSECONDS = 5_000_000
HEADER_LENGTH = "inference-header-content-length"


def binary(context: Context) -> str:
    """infer(): binary both ways, as it comes; one request after the other"""
    for oracle, rows in context.drawn():
        result = _infer(context, oracle, rows)
        assert forms_of(result) == {"binary"}, result.get_response()
        check_bits(tensors_of(result), oracle.answer(rows))
    return f"{INPUTS} inputs for each of {', '.join(MODELS)}: every output the same bits, attention included"


def as_json(context: Context) -> str:
    """infer(): JSON both ways (binary_data=False)"""
    for oracle, rows in context.drawn():
        result = context.client.infer(
            oracle.model, inputs_of(oracle, rows, is_binary=False), outputs=outputs_of(oracle, is_binary=False)
        )
        assert forms_of(result) == {"JSON"}, result.get_response()
        check_bits(tensors_of(result), oracle.answer(rows))
    return f"{INPUTS} inputs for each model: the same bits"


def mixed(context: Context) -> str:
    """infer(): JSON in and binary out; binary in and JSON out; one output binary, the others JSON"""
    for oracle, rows in context.drawn():
        one, *others = oracle.output_names
        outputs = [InferRequestedOutput(one), *(InferRequestedOutput(name, binary_data=False) for name in others)]
        results = [
            context.client.infer(oracle.model, inputs_of(oracle, rows, is_binary=False)),
            _infer(context, oracle, rows, outputs=outputs_of(oracle, is_binary=False)),
            _infer(context, oracle, rows, outputs=outputs),
        ]
        assert [forms_of(result) for result in results] == [{"binary"}, {"JSON"}, {"binary", "JSON"}]
        for result in results:
            check_bits(tensors_of(result), oracle.answer(rows))
    return f"{3 * INPUTS} requests for each model: the same bits"


def chosen_outputs(context: Context) -> str:
    """infer(outputs=…): some of them, in another order than the graph's"""
    for oracle, rows in context.drawn():
        expected = oracle.answer(rows)
        names = [oracle.output_names[-1], oracle.output_names[0]]
        result = _infer(context, oracle, rows, outputs=[InferRequestedOutput(name) for name in names])
        check_bits(tensors_of(result), {name: expected[name] for name in names})
    return "those outputs alone, in the order asked for, the same bits"


def batches(context: Context) -> str:
    """infer() with several inputs in one request"""
    told = []
    for oracle in context.oracles:
        for rows in BATCHES:
            drawn = oracle.draw(rows, rows)
            largest = difference(tensors_of(_infer(context, oracle, drawn)), oracle.answer(drawn))
            assert largest <= BATCH_TOLERANCE, f"{rows} inputs of {oracle.model}: it differs by {largest:.2g}"
            told.append(f"{oracle.model} × {rows}: {f'within {largest:.1g}' if largest else 'the same numbers'}")
    return ", ".join(told)


def compression(context: Context) -> str:
    """infer(request_compression_algorithm=…, response_compression_algorithm=…): gzip, deflate; each alone and both"""
    for way in ("gzip", "deflate"):
        request, response = {"request_compression_algorithm": way}, {"response_compression_algorithm": way}
        for oracle, rows in context.drawn():
            expected = oracle.answer(rows)
            for options in (request, response, request | response):
                check_bits(tensors_of(_infer(context, oracle, rows, **options)), expected)
                result = _infer(context, oracle, rows, outputs=outputs_of(oracle, is_binary=False), **options)
                check_bits(tensors_of(result), expected)
    return f"the same bits; Content-Encoding of the answers: {', '.join(_encodings(context))}"


def _encodings(context: Context) -> Iterator[str]:
    """What the server chose, which the client's result does not show."""
    oracle = context.oracles[0]
    for way in ("gzip", "deflate"):
        answer = _plainly(context, oracle, inputs_of(oracle, oracle.draw(1)), {"Accept-Encoding": way})
        yield f"{answer.headers.get('content-encoding', 'none')} where {way} is asked for"


def request_id(context: Context) -> str:
    """infer(request_id=…), and without one"""
    oracle = context.oracles[0]
    for name in ("42", "a b/ü", "x" * 100):
        told = _infer(context, oracle, oracle.draw(1), request_id=name).get_response()["id"]
        assert told == name, told
    answered = _infer(context, oracle, oracle.draw(1)).get_response()
    assert "id" not in answered, answered
    return "the request's own; none where none was sent"


def timeout(context: Context) -> str:
    """infer(timeout=…) in microseconds: enough, and one"""
    oracle = context.oracles[1]
    rows = oracle.draw(1)
    check_bits(tensors_of(_infer(context, oracle, rows, timeout=ENOUGH_MICROSECONDS)), oracle.answer(rows))
    message = refusal(lambda: _infer(context, oracle, oracle.draw(1, 200), timeout=1), "504")
    return f"answered; exception of status 504: {message!r}"


def without_attention(context: Context) -> str:
    """infer(parameters={'attention': False})"""
    told = []
    for oracle, rows in context.drawn():
        expected = oracle.answer(rows)
        answered = tensors_of(_infer(context, oracle, rows, parameters={"attention": False}))
        assert set(answered) == {"probabilities", "logits"}, list(answered)
        check_bits(answered, {name: expected[name] for name in answered})
        told.append(f"{oracle.model}: {', '.join(answered)} alone, the same bits")
    return "; ".join(dict.fromkeys(told))


def other_parameters(context: Context) -> str:
    """infer(priority=1, sequence_id=7, sequence_start=True, parameters={'unknown': 'word'})"""
    options = {"priority": 1, "sequence_id": 7, "sequence_start": True, "parameters": {"unknown": "word"}}
    for oracle, rows in context.drawn():
        check_bits(tensors_of(_infer(context, oracle, rows, **options)), oracle.answer(rows))
    return "answered as without them"


def own_transport(context: Context) -> str:
    """generate_request_body(), parse_response_body(): the bytes go over another connection than the client's"""
    for oracle, rows in context.drawn():
        answer = _plainly(context, oracle, inputs_of(oracle, rows))
        length = int(answer.headers[HEADER_LENGTH])
        result = InferenceServerClient.parse_response_body(answer.body, header_length=length)
        check_bits(tensors_of(result), oracle.answer(rows))
    return "the same bits"


def wrong_inputs(context: Context) -> str:
    """infer() with inputs that the model does not take"""
    oracle = context.oracles[0]
    rows = oracle.draw(1)
    unnamed = InferInput("unknown", list(rows.shape), oracle.datatype)
    unnamed.set_data_from_numpy(rows)
    doubles = InferInput(oracle.input_name, list(rows.shape), "FP64")
    doubles.set_data_from_numpy(rows.astype("float64"))
    shared = InferInput(oracle.input_name, list(rows.shape), oracle.datatype)
    shared.set_shared_memory("region", rows.nbytes)
    ways: dict[str, list[InferInput]] = {
        "too few steps": inputs_of(oracle, rows[:, 1:]),
        "too few features": inputs_of(oracle, rows[:, :, 1:]),
        "no batch axis": inputs_of(oracle, rows[0]),
        "an empty batch": inputs_of(oracle, rows[:0]),
        "another type": [doubles],
        "another name": [unnamed],
        "twice": inputs_of(oracle, rows) * 2,
        "NaN": inputs_of(oracle, rows * float("nan")),
        "in shared memory": [shared],
    }
    told = []
    for way, inputs in ways.items():
        problem = _plainly(context, oracle, inputs)
        message = refusal(partial(context.client.infer, oracle.model, inputs), str(problem.status))
        assert 400 <= problem.status < 500, f"{way}: {problem}"
        assert message == problem.document["detail"], f"{way}: {message!r} instead of {problem.document}"
        told.append(f"{way}: {problem.status} {message!r}")
    return "exceptions with the problem's detail; " + "; ".join(told)


def refused_outputs(context: Context) -> str:
    """infer(outputs=…) of an unknown output, of classes, and into shared memory"""
    oracle = context.oracles[0]
    shared = InferRequestedOutput("logits")
    shared.set_shared_memory("region", 8)
    outputs = InferRequestedOutput("unknown"), InferRequestedOutput("logits", class_count=2), shared
    ask = partial(_infer, context, oracle, oracle.draw(1))
    messages = [refusal(partial(ask, outputs=[output]), "400", "422") for output in outputs]
    return "exceptions: " + "; ".join(map(repr, messages))


def unknown_model(context: Context) -> str:
    """infer() of an unknown model and of an unknown version"""
    oracle = context.oracles[0]
    inputs = inputs_of(oracle, oracle.draw(1))
    messages = [
        refusal(lambda: context.client.infer("unknown", inputs), "404"),
        refusal(lambda: context.client.infer(oracle.model, inputs, model_version="99"), "404"),
    ]
    return "exceptions of status 404: " + ", ".join(map(repr, messages))


def _infer(context: Context, oracle: Oracle, rows: Tensor, **options: Any) -> InferResult:
    return context.client.infer(oracle.model, inputs_of(oracle, rows), **options)


def _plainly(
    context: Context, oracle: Oracle, inputs: list[InferInput], headers: dict[str, str] | None = None
) -> Answer:
    """The same request as the client's, over a connection of its own."""
    body, length = InferenceServerClient.generate_request_body(inputs)
    own = {HEADER_LENGTH: str(length)} if length else {}
    return plainly(context.asked.address, f"/v2/models/{oracle.model}/infer", body, own | (headers or {}))


LOOKS: tuple[Look, ...] = (
    binary,
    as_json,
    mixed,
    chosen_outputs,
    batches,
    compression,
    request_id,
    timeout,
    without_attention,
    other_parameters,
    own_transport,
    wrong_inputs,
    refused_outputs,
    unknown_model,
)

if __name__ == "__main__":
    look_at_both_clients(__doc__, LOOKS)
