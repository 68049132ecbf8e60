"""What an adversary may do, as values."""

from robustq.threats.box import Box, check_inside
from robustq.threats.l2 import L2
from robustq.threats.linf import Linf

__all__ = ["L2", "Box", "Linf", "check_inside"]
