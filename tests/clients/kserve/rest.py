"""python -m tests.clients.kserve.rest: KServe's InferenceRESTClient, what version 2 of its protocol has."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from kserve import InferenceRESTClient, InferInput, InferRequest, InferResponse
from kserve.errors import UnsupportedProtocol
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import RequestedOutput

from tests.clients.asked import LONGEST_ANSWER_SECONDS, Asked, asked_from_arguments
from tests.clients.oracle import MODELS, Oracle, Question, Tensor, Tensors, check_bits, oracles, questions
from tests.clients.seen import Seen, described

INPUTS = 24
REQUESTS = 1024
IN_FLIGHT = 64


@dataclass(frozen=True)
class Context:
    """What every look needs."""

    asked: Asked
    client: InferenceRESTClient
    oracles: Sequence[Oracle]

    @property
    def url(self) -> str:
        """Where the service is."""
        return f"http://{self.asked.address}"

    async def infer(self, oracle: Oracle, rows: Tensor, is_binary: bool = True, **options: Any) -> InferResponse:
        """One request: its input binary or JSON; the outputs as the options say."""
        request = InferRequest(oracle.model, [_input(oracle, rows, is_binary)], **options)
        return await self.client.infer(self.url, request, model_name=oracle.model)


async def health(context: Context) -> str:
    """is_server_live(), is_server_ready()"""
    assert await context.client.is_server_live(context.url) is True
    assert await context.client.is_server_ready(context.url) is True
    return "both true"


async def model_ready(context: Context) -> str:
    """is_model_ready(), and of an unknown name"""
    for model in MODELS:
        assert await context.client.is_model_ready(context.url, model) is True
    assert await context.client.is_model_ready(context.url, "unknown") is False
    return "true, false"


async def binary(context: Context) -> str:
    """infer(): binary both ways (binary_data_output); one request after the other"""
    return await _same_bits(context, is_binary=True, parameters={"binary_data_output": True})


async def as_json(context: Context) -> str:
    """infer(): JSON both ways"""
    return await _same_bits(context, is_binary=False)


async def mixed(context: Context) -> str:
    """infer(): binary in and JSON out; JSON in and binary out"""
    await _same_bits(context, is_binary=True)
    return await _same_bits(context, is_binary=False, parameters={"binary_data_output": True})


async def chosen_outputs(context: Context) -> str:
    """infer() with request_outputs: one binary, one JSON"""
    for oracle in context.oracles:
        rows = oracle.draw(1)
        expected = oracle.answer(rows)
        names = oracle.output_names[-1], oracle.output_names[0]
        outputs = [RequestedOutput(names[0], {"binary_data": True}), RequestedOutput(names[1], {"binary_data": False})]
        answered = _tensors(await context.infer(oracle, rows, request_outputs=outputs))
        check_bits(answered, {name: expected[name] for name in names})
    return "those outputs alone, the same bits"


async def without_attention(context: Context) -> str:
    """infer() with parameters={'attention': False}"""
    told = []
    for oracle in context.oracles:
        rows = oracle.draw(1)
        answered = _tensors(await context.infer(oracle, rows, parameters={"attention": False}))
        assert set(answered) == {"probabilities", "logits"}, list(answered)
        check_bits(answered, {name: oracle.answer(rows)[name] for name in answered})
        told.append(f"{oracle.model}: {', '.join(answered)} alone, the same bits")
    return "; ".join(told)


async def at_once(context: Context) -> str:
    """infer() in many tasks"""
    largest, turns = 0.0, iter(questions(list(context.oracles), REQUESTS))

    async def ask(number: int) -> None:
        nonlocal largest
        for question in turns:
            largest = max(largest, await _check(context, question, is_binary=number % 2 == 0))

    await asyncio.gather(*map(ask, range(IN_FLIGHT)))
    return (
        f"{REQUESTS:,} requests, {IN_FLIGHT} in flight, half of them JSON; each answer has its own id and its own "
        f"payload's outputs, {'the same numbers as' if not largest else f'within {largest:.1g} of'} onnxruntime's"
    )


async def _check(context: Context, question: Question, is_binary: bool) -> float:
    parameters = {"binary_data_output": is_binary}
    answer = await context.infer(
        question.oracle, question.rows, is_binary, request_id=question.id, parameters=parameters
    )
    return question.check(answer.id, _tensors(answer))


async def wrong_inputs(context: Context) -> str:
    """infer() of an unknown model, and with too few time steps"""
    oracle = context.oracles[0]
    rows = oracle.draw(1)
    request = InferRequest("unknown", [_input(oracle, rows, True)])
    refusals = [
        await _refusal(context.client.infer(context.url, request, model_name="unknown")),
        await _refusal(context.infer(oracle, rows[:, 1:])),
        await _refusal(context.infer(oracle, rows[:, 1:], is_binary=False)),
    ]
    statuses = [refusal.response.status_code for refusal in refusals]
    assert statuses == [404, 422, 422], statuses
    details = [refusal.response.json()["error"] for refusal in refusals]
    shown = (
        "shows" if all(detail in str(refusal) for detail, refusal in zip(details, refusals, strict=True)) else "hides"
    )
    return f"HTTPStatusError {statuses}, its response with the detail, which its message {shown}: {details[1]!r}"


async def explain(context: Context) -> str:
    """explain(), which version 2 of the protocol does not have"""
    try:
        await context.client.explain(context.url, MODELS[0], {})
    except UnsupportedProtocol as refusal:
        return f"the client itself refuses: {type(refusal).__name__}"
    raise AssertionError("no exception")


async def _same_bits(context: Context, is_binary: bool, **options: Any) -> str:
    for oracle in context.oracles:
        for seed in range(INPUTS):
            rows = oracle.draw(seed)
            check_bits(_tensors(await context.infer(oracle, rows, is_binary, **options)), oracle.answer(rows))
    return f"{INPUTS} inputs for each of {', '.join(MODELS)}: every output the same bits, attention included"


async def _refusal(answer: Awaitable[object]) -> httpx.HTTPStatusError:
    try:
        told = await answer
    except httpx.HTTPStatusError as refusal:
        return refusal
    raise AssertionError(f"no exception, but {told}")


def _input(oracle: Oracle, rows: Tensor, is_binary: bool) -> InferInput:
    tensor = InferInput(oracle.input_name, list(rows.shape), oracle.datatype)
    tensor.set_data_from_numpy(rows, binary_data=is_binary)
    return tensor


def _tensors(answer: InferResponse) -> Tensors:
    return {output.name: output.as_numpy() for output in answer.outputs}


LOOKS: tuple[Callable[[Context], Awaitable[str]], ...] = (
    health,
    model_ready,
    binary,
    as_json,
    mixed,
    chosen_outputs,
    without_attention,
    at_once,
    wrong_inputs,
    explain,
)


async def main() -> None:
    """Call everything."""
    asked, seen = asked_from_arguments(__doc__), Seen("kserve.InferenceRESTClient")
    async with InferenceRESTClient(RESTConfig(protocol="v2", timeout=LONGEST_ANSWER_SECONDS)) as client:
        context = Context(asked, client, oracles(asked.repository))
        for look in LOOKS:
            with seen.row(described(look)) as told:
                told.append(await look(context))
    sys.exit(seen.wrong > 0)


if __name__ == "__main__":
    asyncio.run(main())
