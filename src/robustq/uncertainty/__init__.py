"""How sure an answer is: posteriors over models, scores of doubt, and where the doubt comes from."""

from robustq.uncertainty.ensemble import Ensemble
from robustq.uncertainty.laplace import Laplace
from robustq.uncertainty.mean_field import MeanField
from robustq.uncertainty.members import Members
from robustq.uncertainty.panel import Panel, ShotPanel, Tangent, mixture
from robustq.uncertainty.point import Point
from robustq.uncertainty.scaling import Scaled, Scaling, scaled
from robustq.uncertainty.scores import SCORES
from robustq.uncertainty.shots import drawn
from robustq.uncertainty.split import Split, decomposed, split
from robustq.uncertainty.swag import Swag
from robustq.uncertainty.trainer import Method, Trainer

__all__ = [
    "SCORES",
    "Ensemble",
    "Laplace",
    "MeanField",
    "Members",
    "Method",
    "Panel",
    "Point",
    "Scaled",
    "Scaling",
    "ShotPanel",
    "Split",
    "Swag",
    "Tangent",
    "Trainer",
    "decomposed",
    "drawn",
    "mixture",
    "scaled",
    "split",
]
