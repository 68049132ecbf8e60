"""What an adversary may do, as values."""

from robustq.threats.access import Access
from robustq.threats.box import Box, check_inside
from robustq.threats.knobs import Knobs
from robustq.threats.l0 import L0
from robustq.threats.l1 import L1
from robustq.threats.l2 import L2
from robustq.threats.linf import Linf
from robustq.threats.poisoning import Poisoning
from robustq.threats.rates import Rates
from robustq.threats.states import Fidelity, Sphere, TraceDistance
from robustq.threats.switches import Switches

__all__ = [
    "L0",
    "L1",
    "L2",
    "Access",
    "Box",
    "Fidelity",
    "Knobs",
    "Linf",
    "Poisoning",
    "Rates",
    "Sphere",
    "Switches",
    "TraceDistance",
    "check_inside",
]
