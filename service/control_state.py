"""What all workers of a service should serve, in a file that they share."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import orjson

from service.problems import ControlFailed
from service.versions import Plan, Verdict

STATE_FILE = "state.json"


@dataclass(frozen=True)
class State:
    """What the service should serve: a plan for each model. `unloaded`: models that a rescan does not bring back;
    `is_complete`: every model that was there at the start is in it.
    """

    plans: dict[str, Plan] = field(default_factory=dict)
    unloaded: frozenset[str] = frozenset()
    is_complete: bool = False

    def with_plan(self, name: str, plan: Plan) -> Self:
        """The next state, where this model is as planned."""
        return replace(self, plans={**self.plans, name: plan}, unloaded=self.unloaded - {name})

    def without(self, name: str, is_unloaded: bool) -> Self:
        """The next state, where this model is not served. `is_unloaded`: because somebody asked for that."""
        plans = {other: plan for other, plan in self.plans.items() if other != name}
        unloaded = self.unloaded | {name} if is_unloaded else self.unloaded - {name}
        return replace(self, plans=plans, unloaded=unloaded)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        plans = {
            name: {version: verdict.document() for version, verdict in plan.items()}
            for name, plan in self.plans.items()
        }
        return {
            "plans": plans,
            "unloaded": sorted(self.unloaded),
            "is_complete": self.is_complete,
        }

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """From JSON."""
        plans = {
            name: {version: Verdict.of(verdict) for version, verdict in plan.items()}
            for name, plan in document["plans"].items()
        }
        return cls(plans, frozenset(document["unloaded"]), document["is_complete"])


def read(directory: Path) -> State:
    """As it was written last; at first there is nothing. Raises ControlFailed where it cannot be read."""
    try:
        return State.of(orjson.loads((directory / STATE_FILE).read_bytes()))
    except FileNotFoundError:
        return State()
    except OSError as error:
        raise ControlFailed(f"the workers cannot agree: {error.strerror}") from error


def write(directory: Path, state: State) -> None:
    """At once or not at all."""
    new = directory / f".{STATE_FILE}"
    new.write_bytes(orjson.dumps(state.document(), option=orjson.OPT_NON_STR_KEYS))
    new.replace(directory / STATE_FILE)
