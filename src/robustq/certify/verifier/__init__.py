"""The complete verifier of models whose logits are trigonometric polynomials."""

from robustq.certify.verifier.complete import Complete
from robustq.certify.verifier.region import Region
from robustq.certify.verifier.search import Decision, Effort, decide

__all__ = ["Complete", "Decision", "Effort", "Region", "decide"]
