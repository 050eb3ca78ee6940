"""The routes of the Open Inference Protocol with their documentation: bodies, examples, answers, problems."""

from typing import Any

from service.api_keys import ApiKeys
from service.examples import INFERENCE
from service.inference_body import REQUEST
from service.inference_protocol import InferenceProtocol
from service.load_tools import LoadTools
from service.prediction_routes import HEADERS
from service.problems import (
    BodyTimeout,
    CountsUnreadable,
    DeadlinePassed,
    InvalidInput,
    MalformedBody,
    ModelLoading,
    NoStatistics,
    NotAcceptable,
    TooLarge,
    Unauthorized,
    UnknownModel,
    UnknownVersion,
    UnsupportedMediaType,
    documented_problems,
)
from service.protocol_schemas import (
    InferenceAnswer,
    ModelConfiguration,
    ModelMetadata,
    ModelReady,
    ServerMetadata,
    StatisticsAnswer,
)
from service.routing import JSON, OCTET_STREAM, Document, Doors, LeanRoute

TAG = "inference protocol"
MODEL, VERSION = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"

ALWAYS = (Unauthorized, NotAcceptable, InvalidInput)
OF_MODEL = (*ALWAYS, UnknownModel, UnknownVersion, ModelLoading)
PROBLEMS = documented_problems(
    *OF_MODEL, MalformedBody, InvalidInput, BodyTimeout, TooLarge, UnsupportedMediaType, DeadlinePassed
)

LENGTH = {
    "description": "the length of the JSON, where binary data follows it",
    "schema": {"type": "integer", "minimum": 0, "examples": [168]},
}
BINARY: Document = {
    "schema": {"type": "string", "format": "binary", "description": "JSON, and tensors in binary after it"}
}


def protocol_routes(protocol: InferenceProtocol, tools: LoadTools, keys: ApiKeys, doors: Doors) -> list[LeanRoute]:
    """The routes, ready to stand in the application's router."""
    always, of_model = documented_problems(*ALWAYS), documented_problems(*OF_MODEL)
    counted = documented_problems(*OF_MODEL, NoStatistics, CountsUnreadable)
    counted_of_all = documented_problems(*ALWAYS, NoStatistics, CountsUnreadable)
    read: list[tuple[str, Any, type, Any]] = [
        ("/v2", protocol.describe_server, ServerMetadata, always),
        ("/v2/", protocol.describe_server, ServerMetadata, always),
        # Before the model of that name, whose own path is its version's.
        ("/v2/models/stats", tools.count_all, StatisticsAnswer, counted_of_all),
        (MODEL, protocol.describe_model, ModelMetadata, of_model),
        (VERSION, protocol.describe_version, ModelMetadata, of_model),
        (MODEL + "/ready", protocol.is_model_ready, ModelReady, of_model),
        (VERSION + "/ready", protocol.is_version_ready, ModelReady, of_model),
        (MODEL + "/config", tools.describe_configuration, ModelConfiguration, of_model),
        (VERSION + "/config", tools.describe_configuration_of_version, ModelConfiguration, of_model),
        (MODEL + "/stats", tools.count_model, StatisticsAnswer, counted),
        (VERSION + "/stats", tools.count_version, StatisticsAnswer, counted),
    ]
    asked: list[tuple[str, Any]] = [(MODEL + "/infer", protocol.infer), (VERSION + "/infer", protocol.infer_version)]
    return [
        *(
            LeanRoute(path, endpoint, keys=keys, methods=["GET"], tags=[TAG], response_model=answer, responses=problems)
            for path, endpoint, answer, problems in read
        ),
        *(_inference_route(path, endpoint, keys, doors) for path, endpoint in asked),
    ]


def _inference_route(path: str, endpoint: Any, keys: ApiKeys, doors: Doors) -> LeanRoute:
    content = {JSON: {"schema": REQUEST, "examples": {"example": {"value": INFERENCE}}}, OCTET_STREAM: BINARY}
    header = {**LENGTH, "name": "Inference-Header-Content-Length", "in": "header", "required": False}
    return LeanRoute(
        path,
        endpoint,
        keys=keys,
        doors=doors,
        gives=(JSON, OCTET_STREAM),
        methods=["POST"],
        tags=[TAG],
        response_model=InferenceAnswer,
        response_description="The outputs that were asked for",
        responses={
            200: {
                "content": {OCTET_STREAM: BINARY},
                "headers": {**HEADERS, "Inference-Header-Content-Length": LENGTH},
            },
            **PROBLEMS,
        },
        openapi_extra={"parameters": [header], "requestBody": {"required": True, "content": content}},
    )
