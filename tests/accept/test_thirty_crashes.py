"""Thirty rounds of import, kill -9, restart and verify."""

import os
import pathlib
import sys

os.environ.setdefault("PROXIST_CRASH_ROUNDS", "30")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process"))

from test_crashes import Crashes  # noqa: E402, F401
