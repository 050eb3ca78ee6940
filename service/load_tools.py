"""What load tools read: Triton's model configuration and statistics extensions, as perf_analyzer asks for them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from service.metrics import Metrics
from service.model_configuration import configuration
from service.model_statistics import statistics, totals_of
from service.problems import NoStatistics
from service.repository import Repository
from service.routing import Document
from service.series import Version


@dataclass(frozen=True)
class LoadTools:
    """The handlers of …/config and …/stats. `most_rows`: of one request; `counting_seconds`: after so long every worker
    has made visible what it has counted.
    """

    repository: Repository
    metrics: Metrics
    most_rows: int
    counting_seconds: float = 0.0

    async def describe_configuration(self, name: str) -> Document:
        """The configuration of the model's default version, in Triton's words."""
        return configuration(self.repository.served(name, None), self.most_rows)

    async def describe_configuration_of_version(self, name: str, version: str) -> Document:
        """The configuration of a version, in Triton's words."""
        return configuration(self.repository.served(name, version), self.most_rows)

    async def count_all(self) -> Document:
        """What all workers have counted of every version that is served, since the service started."""
        return await self._statistics([of for name in self.repository.versions for of in self._served(name)])

    async def count_model(self, name: str) -> Document:
        """What all workers have counted of each version of a model, since the service started."""
        # Raises where there is no such model, or none of its versions is served.
        self.repository.served(name, None)
        return await self._statistics(self._served(name))

    async def count_version(self, name: str, version: str) -> Document:
        """What all workers have counted of a version, since the service started."""
        self.repository.served(name, version)
        return await self._statistics([(name, version)])

    def _served(self, name: str) -> list[Version]:
        return [(name, version) for version, found in self.repository.versions_of(name).items() if found.served]

    async def _statistics(self, versions: Sequence[Version]) -> Document:
        if not self.metrics.is_counting:
            raise NoStatistics("nothing is counted while the setting HEED_METRICS is false")
        if self.metrics.is_shared:
            # Whoever was answered before this question is counted, by whichever worker it was.
            await asyncio.sleep(self.counting_seconds)
        self.metrics.count()
        # In a thread: it reads the files of every worker.
        totals = await asyncio.to_thread(lambda: totals_of(self.metrics.samples()))
        return {"model_stats": [statistics(one, totals.get(one, {})) for one in versions]}
