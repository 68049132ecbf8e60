"""Randomised smoothing: the classifier that answers for a Gaussian cloud around its input."""

from robustq.certify.smoothing.exact import ExactSmoothing, smoothed
from robustq.certify.smoothing.sampling import GaussianSmoothing

__all__ = ["ExactSmoothing", "GaussianSmoothing", "smoothed"]
