"""Models whose features are loaded as amplitudes: their scores are quadratic forms."""

from robustq.certify.amplitude.box import AmplitudeBox
from robustq.certify.amplitude.exact import ExactAmplitude
from robustq.certify.amplitude.linf import AmplitudeLinf

__all__ = ["AmplitudeBox", "AmplitudeLinf", "ExactAmplitude"]
