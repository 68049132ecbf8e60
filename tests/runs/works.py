"""Functions that units of the tests call: found by worker processes, so in a module of their own."""

import json
import os
import signal
import time
from pathlib import Path

from robustq.errors import SpecError


def square(workspace, /, *, number, seconds=0.0):
    """The square of a number, and of what it took."""
    time.sleep(seconds)
    (workspace.folder / "square.json").write_text(json.dumps(number**2))
    (workspace.folder / "timing.json").write_text(json.dumps(time.perf_counter()))


def total(workspace, /):
    """The sum of the squares among the inputs."""
    squares = [json.loads((folder / "square.json").read_text()) for folder in workspace.inputs.values()]
    (workspace.folder / "total.json").write_text(json.dumps(sum(squares)))


def by_stages(workspace, /, *, log):
    """Three stages; a log outside tells how often each was done, and the process is killed once after each."""
    for stage in range(3):
        path = workspace.folder / f"stage-{stage}.json"
        if path.exists():
            continue
        with open(log, "a") as file:
            file.write(f"{stage}\n")
        path.write_text(str(stage))
        os.kill(os.getpid(), signal.SIGKILL)


def refused(workspace, /):
    """An error of the input's."""
    raise SpecError("expected a better world, got this one")


def broken(workspace, /):
    """An error of the code's."""
    return 1 / 0


def once_out_of_space(workspace, /, *, mark):
    """Fails the first time as a full disk would."""
    if not Path(mark).exists():
        Path(mark).touch()
        raise OSError(28, "No space left on device")
    (workspace.folder / "done.json").write_text("1")


def deadly(workspace, /):
    """Kills whoever does it."""
    os.kill(os.getpid(), signal.SIGKILL)


def undecided(workspace, /, *, number):
    """Gives other bytes every time."""
    (workspace.folder / "value.json").write_text(str(time.time_ns()))


def alone(workspace, /, *, log, seconds):
    """Tells when it begins and ends."""
    for word in ("begin", "end"):
        with open(log, "a") as file:
            file.write(f"{word}\n")
        time.sleep(seconds)
    (workspace.folder / "value.json").write_text("1")


def evicted(workspace, /):
    """Is asked to leave in the middle."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)


def once(workspace, /):
    """Keeps what it finds."""
    path = workspace.folder / "value.json"
    if not path.exists():
        path.write_text("1")


def train(workspace, /, *, seed, pause=0.0):
    """Real work: a small quantum classifier trained from its seed, its parameters kept; and time to be killed in."""
    time.sleep(pause)
    import torch

    from robustq.circuits import ansaetze, encodings, per_qubit_z
    from robustq.models import QuantumNet, Training, fit
    from robustq.seeding import torch_generator

    draw = torch_generator(seed, "data")
    x = torch.rand(24, 3, generator=draw)
    y = (x.sum(1) > 1.5).long()
    circuit = encodings.angle(3).then(ansaetze.strongly_entangling(3, layers=1))
    model = QuantumNet(circuit, per_qubit_z(2, 3), generator=torch_generator(seed, "init"))
    fit(model, x, y, training=Training(epochs=3, batch_size=8), generator=torch_generator(seed, "fit"))
    values = [p.detach().double().flatten().tolist() for p in model.parameters()]
    (workspace.folder / "model.json").write_text(json.dumps(values))
