"""Two hundred blows to the server and its ClickHouse under load."""

import os
import pathlib
import sys

os.environ.setdefault("PROXIST_KILLS", "200")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process"))

from test_kills_under_load import KillsUnderLoad  # noqa: E402, F401
