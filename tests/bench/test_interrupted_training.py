"""A unit that is killed while its model is trained goes on from the last epoch that was kept."""

from functools import partial

import pytest

from robustq import bench
from robustq.bench import unit
from robustq.bench.entrants import entrants
from robustq.models import Checkpoint
from robustq.models.checkpoint import Keeper

SPEC = {
    "data": {"name": "iris", "features": 3, "classes": ["versicolor", "virginica"]},
    "model": {"options": {"layers": 1}},
    "training": {"epochs": 5},
    "threat": {"eps": [0.05], "reference": 0.05},
    "attack": {"options": {"steps": 2, "restarts": 1}},
    "defence": {"steps": 2},
}


class Killed(BaseException):
    pass


@pytest.mark.parametrize("which", [0, 1], ids=["plain", "defended"])
def test_a_unit_killed_in_training_ends_with_the_same_files(monkeypatch, tmp_path, which):
    spec = bench.parse(SPEC)
    data, entrant = spec.dataset(), entrants(spec)[which]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    unit.trained(spec, data, entrant, 0, whole)
    written = []

    def write(self, *content, keep=Keeper.write):
        keep(self, *content)
        written.append(content)
        if len(written) == 3:
            raise Killed

    monkeypatch.setattr(unit, "Checkpoint", partial(Checkpoint, seconds=0))
    monkeypatch.setattr(Keeper, "write", write)
    killed.mkdir()
    with pytest.raises(Killed):
        unit.trained(spec, data, entrant, 0, killed)
    assert [path.name for path in killed.iterdir()] == ["training.safetensors"]
    unit.trained(spec, data, entrant, 0, killed)
    assert len(written) == 5  # three epochs before, two after
    files = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == files
