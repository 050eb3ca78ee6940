"""onnxruntime, told to report to nobody. Whoever needs it has it from here.

Since 1.29 its builds report sessions, with their models' names and digests, to their maker. They begin as soon as they
are imported, and keep an identifier of the machine, unless the environment says no before.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as errors

__all__ = ["errors", "onnxruntime"]
