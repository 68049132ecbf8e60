"""The progress bar tells what fit tells it, on standard error."""

import torch

from robustq.models import Training, fit
from robustq.models.progress import ProgressBar


def test_bar_reports_every_epoch(capsys, generator):
    x, y = torch.rand(20, 2, generator=generator), torch.arange(20) % 2
    with ProgressBar(epochs=3) as bar:
        fit(torch.nn.Linear(2, 2), x, y, generator=generator, callbacks=[bar], training=Training(epochs=3))
    captured = capsys.readouterr()
    assert "3/3" in captured.err
    assert "held back" in captured.err
    assert captured.out == ""
