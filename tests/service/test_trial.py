"""The process that tries graphs out."""

import asyncio
import os

from service.trial import Limits, Trials
from tests.service.tiny_models import timeseries_model


def test_signals_of_a_terminal_are_not_for_it() -> None:
    """Ctrl+C reaches every process of the service's group: a graph that is being tried out is not refused for it."""

    async def act() -> int:
        trials = Trials(Limits())
        await trials.pace_of(timeseries_model())
        assert trials._process is not None
        group = os.getpgid(trials._process.pid)
        await trials.close()
        return group

    assert asyncio.run(act()) != os.getpgrp()
