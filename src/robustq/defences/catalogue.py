"""The defences that a specification can name: one line each.

``layer`` says where in the pipeline a defence acts: data, encoding, circuit, training, noise or inference. A builder
whose parameters are called ``attack``, ``threat`` or ``device`` is given the specification's: an inner attack,
the threat to train for, the calibrated device.
"""

from __future__ import annotations

from collections.abc import Mapping

from robustq.catalogue import Entry
from robustq.defences.adversarial_training import AdversarialTraining
from robustq.defences.encoding.error_detecting import ErrorDetecting
from robustq.defences.encoding.randomised import RandomisedEncoding
from robustq.defences.encoding.smoothed import SmoothedEncoding
from robustq.defences.encoding.trainable import TrainableEncoding
from robustq.defences.filters.quantise import FeatureSqueezing
from robustq.defences.lipschitz_margin import LipschitzMargin
from robustq.defences.noise.aware import NoiseAware
from robustq.defences.noise.depolarising import Depolarising
from robustq.defences.noise.injection import NoiseInjection
from robustq.defences.noise.phase_damping import PhaseDamping
from robustq.defences.noise.random_inputs import RandomisedInputs
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
    "noise-aware": Entry(NoiseAware, "train under the device's noise", "Wang et al., DAC 2022",
                         {"layer": "noise", "cost": "a noisy simulation a step", "model": "quantum"}),
    "noise-injection": Entry(NoiseInjection, "train with error gates; normalised, levelled outputs",
                             "Wang et al., DAC 2022", {"layer": "noise", "cost": "about 1x", "model": "quantum"}),
    "depolarising": Entry(Depolarising, "depolarising noise after every gate", "Du et al., PRR 3, 023153 (2021)",
                          {"layer": "noise", "cost": "a noisy simulation a step", "model": "quantum"}),
    "phase-damping": Entry(PhaseDamping, "dephasing that blurs every encoded angle", "Cohen et al., ICML 2019",
                           {"layer": "noise", "cost": "a noisy simulation a step",
                            "model": "features turn gates"}),
    "randomised-inputs": Entry(RandomisedInputs, "random noise on every input", "Cohen et al., ICML 2019",
                               {"layer": "inference", "cost": "25 answers a verdict"}),
    "randomised-encoding": Entry(RandomisedEncoding, "a secret circuit behind the encoder",
                                 "Gong et al., PRR 6, 023020 (2024)",
                                 {"layer": "encoding", "cost": "about 1x; redrawn, 25 answers a verdict",
                                  "model": "quantum"}),
    "error-detecting": Entry(ErrorDetecting, "encoded qubits travel within the [[4,2,2]] code",
                             "Vaidman et al., PRA 54, R1745 (1996)",
                             {"layer": "encoding", "cost": "2x the qubits, 1 - 4p of the runs a pair",
                              "model": "quantum"}),
    "smoothed-encoding": Entry(SmoothedEncoding, "features through a smooth step",
                               "after Xu, Evans & Qi, NDSS 2018", {"layer": "encoding", "cost": "1x"}),
    "trainable-encoding": Entry(TrainableEncoding, "a trained, bounded scale of each feature",
                                "Berberich et al., PRR 6, 043326 (2024)",
                                {"layer": "encoding", "cost": "about 1x"}),
}  # fmt: skip
