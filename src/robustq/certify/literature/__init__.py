"""Bounds of the literature on the radius of a state: true, and never larger than :class:`ExactState`'s."""

from robustq.certify.literature.depolarising import Depolarised, Depolarising
from robustq.certify.literature.guan import Guan
from robustq.certify.literature.hoelder import Hoelder
from robustq.certify.literature.hypothesis_testing import HypothesisTesting
from robustq.certify.literature.spectral_box import SpectralBox

__all__ = ["Depolarised", "Depolarising", "Guan", "Hoelder", "HypothesisTesting", "SpectralBox"]
