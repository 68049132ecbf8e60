"""The defences that a specification can name: one line each.

``layer`` says where in the pipeline a defence acts: data, encoding, circuit, training, noise or inference. A builder
whose parameters are called ``attack``, ``threat`` or ``device`` is given the specification's: an inner attack,
the threat to train for, the calibrated device.
"""

from __future__ import annotations

from collections.abc import Mapping

from robustq.catalogue import Entry
from robustq.defences.adversarial_training import AdversarialTraining
from robustq.defences.detection.guard import Detection
from robustq.defences.filters.clipping import Clipping
from robustq.defences.filters.immutable import ImmutableFeatures
from robustq.defences.filters.projection import Projection
from robustq.defences.filters.quantise import FeatureSqueezing
from robustq.defences.filters.smoothing import Smoothing
from robustq.defences.lipschitz_margin import LipschitzMargin
from robustq.defences.plain import Plain

DEFENCES: Mapping[str, Entry] = {
    "none": Entry(Plain, "ordinary training", "-", {"layer": "training", "cost": "1x"}, null=True),
    "adversarial-training": Entry(AdversarialTraining, "train on PGD inputs", "Madry et al., ICLR 2018",
                                  {"layer": "training", "cost": "about 1 + steps times the training",
                                   "inner": "attack"}),
    "lipschitz-margin": Entry(LipschitzMargin, "train for margins that a bound certifies",
                              "Tsuzuku, Sato & Sugiyama, NeurIPS 2018",
                              {"layer": "training", "cost": "about 1x", "model": "features turn gates"}),
    "feature-squeezing": Entry(FeatureSqueezing, "few bits a feature", "Xu, Evans & Qi, NDSS 2018",
                               {"layer": "data", "cost": "1x"}),
    "clipping": Entry(Clipping, "features within their training quantiles", "Huber 1981 (winsorising)",
                      {"layer": "data", "cost": "1x"}),
    "projection": Entry(Projection, "onto the principal components of training data", "Bhagoji et al., CISS 2018",
                        {"layer": "data", "cost": "1x"}),
    "smoothing": Entry(Smoothing, "median or mean filter on images", "Xu, Evans & Qi, NDSS 2018",
                       {"layer": "data", "cost": "1x", "model": "square images"}),
    "immutable-features": Entry(ImmutableFeatures, "an alarm for inputs that no real row could be",
                                "Simonetto et al., IJCAI 2022", {"layer": "inference", "cost": "1x"}),
    "detection": Entry(Detection, "an alarm for suspicious inputs, at a guaranteed false-alarm rate",
                       "Lee et al., NeurIPS 2018; Bates et al., Ann. Statist. 2023",
                       {"layer": "inference", "cost": "1x to 2x an answer"}),
}  # fmt: skip
