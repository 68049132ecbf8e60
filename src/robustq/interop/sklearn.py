"""A scikit-learn classifier around a quantum model: pipelines, grid search and joblib just work."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from robustq.catalogue import resolve
from robustq.contracts import Defence
from robustq.models import Training, fit
from robustq.models.catalogue import MODELS
from robustq.seeding import torch_generator


class RobustQClassifier(ClassifierMixin, BaseEstimator):
    """Any model of the catalogue as a scikit-learn classifier.

    Features are scaled to [0, 1] on the training data (and clipped to it later); more features than
    ``max_qubits`` are first reduced by PCA when the model spends one qubit a feature.

    Args:
        model: a gradient-trained name in ``robustq list models``.
        options: the model builder's options.
        max_qubits: widest register an angle encoding may use.
        epochs: passes over the training data, at most.
        batch_size: rows a step.
        lr: Adam's learning rate.
        validation: share of the rows held back to choose the best epoch.
        patience: epochs without improvement before stopping.
        defence: a value from ``robustq.defences``; None for ordinary training.
        random_state: seeds everything.

    >>> from sklearn.datasets import load_iris
    >>> x, y = load_iris(return_X_y=True)
    >>> bool(RobustQClassifier(epochs=20, random_state=0).fit(x, y).score(x, y) > 0.8)
    True
    """

    def __init__(
        self,
        model: str = "qnn",
        *,
        options: dict[str, Any] | None = None,
        max_qubits: int = 6,
        epochs: int = 30,
        batch_size: int = 16,
        lr: float = 0.1,
        validation: float = 0.0,
        patience: int = 0,
        defence: Defence | None = None,
        random_state: int | None = None,
    ) -> None:
        self.model = model
        self.options = options
        self.max_qubits = max_qubits
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.validation = validation
        self.patience = patience
        self.defence = defence
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> RobustQClassifier:
        """Train on ``(rows, features)`` and labels ``(rows,)`` of any kind scikit-learn takes."""
        rows, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_ = unique_labels(labels)
        if len(self.classes_) < 2:
            raise ValueError(f"expected at least 2 classes, got 1 class: {self.classes_[0]!r}")
        numbers = np.searchsorted(self.classes_, labels)
        inputs = self._fit_scaling(rows)
        seed = int(check_random_state(self.random_state).randint(2**31))
        self.module_ = self._build(inputs.shape[1], seed)
        plan = Training(
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            validation=self.validation,
            patience=self.patience,
        )
        self.history_ = fit(
            self.module_,
            torch.tensor(inputs, dtype=torch.float32),
            torch.tensor(numbers),
            generator=torch_generator(seed, "fit"),
            training=plan,
            defence=self.defence,
        )
        self.n_iter_ = len(self.history_.epochs)
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Logits ``(rows, classes)``; for two classes the difference, ``(rows,)``."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Softmax of the logits, ``(rows, classes)``."""
        return torch.softmax(torch.tensor(self._logits(X)), dim=1).numpy()

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most likely label of each row."""
        winners = self._logits(X).argmax(1)
        labels: NDArray[Any] = self.classes_[winners]
        return labels

    def _build(self, features: int, seed: int) -> torch.nn.Module:
        options = dict(self.options or {})
        classes = len(self.classes_)
        if self.model == "qnn" and "readout" not in options:
            width = features if options.get("encoding", "angle") == "angle" else 0
            options["readout"] = "per-qubit-z" if classes <= width else "basis-groups"
        module: torch.nn.Module = resolve("model", self.model, MODELS).make(
            features, classes, generator=torch_generator(seed, "init"), **options
        )
        return module

    def _fit_scaling(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fit the reduction and scaling; returns the scaled training rows."""
        limit = self._width_limit(X.shape[1])
        self.reducer_ = PCA(limit, svd_solver="full").fit(X) if limit < X.shape[1] else None
        reduced = X if self.reducer_ is None else self.reducer_.transform(X)
        self.scaler_ = MinMaxScaler(clip=True).fit(reduced)
        return self._scale(X)

    def _width_limit(self, features: int) -> int:
        """Features the model can take: one a qubit for angle encodings, any number otherwise."""
        encoding = (self.options or {}).get("encoding", "angle")
        if self.model != "qnn" or encoding in ("amplitude",):
            return features
        return max(1, self.max_qubits * (2 if encoding == "dense-angle" else 1))

    def _scale(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        reduced = X if self.reducer_ is None else self.reducer_.transform(X)
        scaled: NDArray[np.float64] = self.scaler_.transform(reduced)
        # A register narrower than the read-out needs is padded with features that never change.
        needed = max(1, (len(self.classes_) - 1).bit_length())
        if self.model == "qnn" and scaled.shape[1] < needed:
            scaled = np.pad(scaled, ((0, 0), (0, needed - scaled.shape[1])))
        return scaled

    def _logits(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        with torch.no_grad():  # in float64, so that a row's answer does not depend on its batch
            logits: NDArray[np.float64] = self.module_(torch.tensor(self._scale(rows))).numpy()
        return logits
