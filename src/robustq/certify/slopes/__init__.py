"""Certificates from how fast a margin can fall, for features that turn gates any number of times."""

from robustq.certify.slopes.branching import Branching
from robustq.certify.slopes.curvature import Curvature
from robustq.certify.slopes.falls import largest_falls, largest_swing
from robustq.certify.slopes.lipschitz import Lipschitz

__all__ = ["Branching", "Curvature", "Lipschitz", "largest_falls", "largest_swing"]
