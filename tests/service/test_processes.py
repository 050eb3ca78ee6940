"""How other processes ended."""

import pytest

from service.processes import named


@pytest.mark.parametrize(
    ("status", "name"), [(0, "status 0"), (3, "status 3"), (-9, "SIGKILL"), (-11, "SIGSEGV"), (-35, "signal 35")]
)
def test_end_of_a_process_has_a_name(status: int, name: str) -> None:
    """Also by a signal that has none: who watches over workers must not fall over it."""
    assert named(status) == name
