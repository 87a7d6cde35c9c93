"""Where the real market data of the acceptance tests is."""

import os
import pathlib

DATA = pathlib.Path(os.environ.get("PROXIST_TEST_DATA", pathlib.Path(__file__).resolve().parents[3] / "shared/data"))


def require(*paths):
    """Fails the test when a file is not there."""
    for path in paths:
        if not path.exists():
            raise AssertionError(f"{path} is missing: the acceptance test runs on the real data only "
                                 "(PROXIST_TEST_DATA names another place)")
