"""What every test may use: one generator a test, one thread, a data folder that may be absent."""

import os

import numpy as np
import pytest
import torch
from hypothesis import settings

# Quick runs repeat their few examples; ``make prove`` draws more, and others every time.
settings.register_profile("quick", max_examples=20, deadline=None, derandomize=True)
settings.register_profile("prove", max_examples=100, deadline=None)
settings.load_profile("quick")


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Tests run side by side; several threads each would only get in each other's way."""
    torch.set_num_threads(1)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(20240501)


@pytest.fixture
def rng():
    return np.random.default_rng(20240501)


@pytest.fixture(scope="session")
def data_dir():
    folder = os.environ.get("ROBUSTQ_DATA_DIR")
    if not folder:
        pytest.skip("ROBUSTQ_DATA_DIR is not set")
    return folder


@pytest.fixture(scope="session")
def codesign_run(tmp_path_factory):
    """A small co-design search, made once for the tests of the search and of its command."""
    from codesign_specs import small
    from in_place import in_place
    from robustq import bench

    folder = tmp_path_factory.mktemp("codesign") / "first"
    with in_place():
        return folder, bench.codesign(bench.parse(small()), folder)
