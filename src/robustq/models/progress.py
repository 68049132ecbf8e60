"""A progress bar for :func:`robustq.fit`, as a callback."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from robustq.models.training import Epoch


class ProgressBar:
    """Shows epochs and losses on standard error while a model is trained.

    Args:
        epochs: the number of epochs asked for.

    >>> with ProgressBar(epochs=2) as bar:
    ...     bar(Epoch(1, 0.7, 0.6, 0.5))
    """

    def __init__(self, epochs: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task("training", total=epochs)

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, epoch: Epoch) -> None:
        """Show one more epoch."""
        held = "" if epoch.validation_loss is None else f", held back {epoch.validation_loss:.4f}"
        text = f"loss {epoch.loss:.4f}{held}"
        self._progress.update(self._task, completed=epoch.number, description=text)
