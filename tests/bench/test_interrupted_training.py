"""A unit that is killed while its model is trained goes on from the last epoch that was kept."""

from functools import partial

import pytest

from robustq import bench
from robustq.bench import training
from robustq.bench.entrants import defence_of
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
    study = bench.Assessment.of(bench.parse(SPEC))
    entrant = study.entrants[which]
    recipe = defence_of(entrant, study.spec.defence, study.spec)
    asked = (entrant, study.spec, recipe, study.data, 0)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    training.trained(*asked, whole)
    written = []

    def write(self, *content, keep=Keeper.write):
        keep(self, *content)
        written.append(content)
        if len(written) == 3:
            raise Killed

    monkeypatch.setattr(training, "Checkpoint", partial(Checkpoint, seconds=0))
    monkeypatch.setattr(Keeper, "write", write)
    killed.mkdir()
    with pytest.raises(Killed):
        training.trained(*asked, killed)
    assert [path.name for path in killed.iterdir()] == ["training.safetensors"]
    training.trained(*asked, killed)
    assert len(written) == 5  # three epochs before, two after
    files = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == files
