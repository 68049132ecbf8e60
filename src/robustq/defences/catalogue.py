"""The defences that a specification can name: one line each.

``layer`` says where in the pipeline a defence acts: data, encoding, circuit, training, noise or inference. A builder
whose parameters are called ``attack``, ``threat`` or ``device`` is given the specification's: an inner attack,
the threat to train for, the calibrated device.
"""

from __future__ import annotations

from collections.abc import Mapping

from robustq.catalogue import Entry
from robustq.defences.adversarial_training import AdversarialTraining
from robustq.defences.certified_bound import CertifiedBound
from robustq.defences.certified_radius import CertifiedRadius
from robustq.defences.filters.quantise import FeatureSqueezing
from robustq.defences.lipschitz_margin import LipschitzMargin
from robustq.defences.lipschitz_penalty import LipschitzPenalty
from robustq.defences.plain import Plain

DEFENCES: Mapping[str, Entry] = {
    "none": Entry(Plain, "ordinary training", "-", {"layer": "training", "cost": "1x"}, null=True),
    "adversarial-training": Entry(AdversarialTraining, "train on PGD inputs", "Madry et al., ICLR 2018",
                                  {"layer": "training", "cost": "about 1 + steps times the training",
                                   "inner": "attack"}),
    "lipschitz-margin": Entry(LipschitzMargin, "train for margins that a bound certifies",
                              "Tsuzuku, Sato & Sugiyama, NeurIPS 2018",
                              {"layer": "training", "cost": "about 1x", "model": "features turn gates"}),
    "lipschitz-penalty": Entry(LipschitzPenalty, "slow gates: a penalty on how fast inputs turn them",
                               "Berberich et al., PRR 6 (2024)",
                               {"layer": "training", "cost": "about 1x", "model": "features turn gates"}),
    "certified-radius": Entry(CertifiedRadius, "train for the exact l2 radius",
                              "after Ding et al., ICLR 2020 (MMA training)",
                              {"layer": "training", "cost": "about 1x, one eigendecomposition a step",
                               "model": "amplitude-encoded"}),
    "certified-bound": Entry(CertifiedBound, "train for margins that one step of the complete verifier proves",
                             "after Gowal et al., ICCV 2019 (interval bounds)",
                             {"layer": "training", "cost": "about 1x, 3^features inputs a step more",
                              "model": "few features turn gates, commensurate"}),
    "feature-squeezing": Entry(FeatureSqueezing, "few bits a feature", "Xu, Evans & Qi, NDSS 2018",
                               {"layer": "data", "cost": "1x"}),
}  # fmt: skip
