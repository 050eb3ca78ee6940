"""A version of a model: what was found, what became of it, and the plan by which every worker serves the same."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, Self, get_args

import orjson

from models.answer import Detail, outputs_needed
from models.answer_text import AnswerText
from models.contract import Contract
from service.batcher import Batcher
from service.pace import Pace, pace_of
from service.sequences import SequenceReader
from service.session import Session

Status = Literal["served", "refused", "loading"]


@dataclass(frozen=True)
class ServedModel:
    """A version that answers requests. `samples`: request bodies that came with it, as JSON; None where none did."""

    name: str
    version: str
    session: Session
    batcher: Batcher
    samples: orjson.Fragment | None

    @cached_property
    def contract(self) -> Contract:
        """What the graph means."""
        return self.session.contract

    @cached_property
    def sequences(self) -> SequenceReader:
        """How bodies of time series become its inputs; of a model whose rows are (time, feature)."""
        steps, features = self.session.row_shape
        # The contract's check has refused every time-series graph that leaves it open.
        assert features is not None
        return SequenceReader(self.name, steps, features)

    @cached_property
    def outputs_of(self) -> dict[Detail, tuple[str, ...]]:
        """The graph's outputs that an answer of each detail needs."""
        return {detail: outputs_needed(self.contract, detail) for detail in get_args(Detail)}

    @cached_property
    def text_of(self) -> dict[Detail, AnswerText]:
        """How its answers of each detail are written."""
        return {detail: AnswerText(self.contract, detail, {"model": self.identity}) for detail in get_args(Detail)}

    @cached_property
    def identity(self) -> dict[str, str]:
        """What an answer says about its model."""
        return {"name": self.name, "version": self.version, "task": self.contract.task}


@dataclass(frozen=True)
class Verdict:
    """What was decided of a version's files, once for all workers. `digest`: of the files that it was decided of,
    empty where they could not be read. `reason`: why they are refused, or why newer files in their place are. `pace`:
    how long its runs take, None where that was not measured yet.
    """

    digest: str
    is_refused: bool = False
    reason: str | None = None
    pace: Pace | None = None

    def document(self) -> dict[str, Any]:
        """As JSON, for other workers."""
        return asdict(self)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """From JSON."""
        return cls(**{**document, "pace": document["pace"] and pace_of(document["pace"])})


def refused(reason: str, digest: str = "") -> Verdict:
    """Not to be served, because of this."""
    return Verdict(digest, True, reason)


# Of one model: its versions in their order. Empty: the model is not served, and not shown.
Plan = dict[str, Verdict]


@dataclass(frozen=True)
class FoundVersion:
    """A version and what became of it. `reason`: why it was refused, or why its newer files were."""

    name: str
    version: str
    status: Status = "loading"
    reason: str | None = None
    served: ServedModel | None = None
    digest: str = ""


# The versions of one model, in their order.
Found = dict[str, FoundVersion]
