"""The defences that a specification can name: one line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

from robustq.catalogue import UNSTATED, Entry
from robustq.contracts import Defence, Guard
from robustq.defences.detection.guard import Detection
from robustq.defences.detection.immutable import ImmutableFeatures
from robustq.defences.encoding.approximation import ApproximateEncoding
from robustq.defences.encoding.error_detecting import ErrorDetecting
from robustq.defences.encoding.randomisation import RandomisedEncoding
from robustq.defences.encoding.smooth_step import SmoothedEncoding
from robustq.defences.encoding.trainable import TrainableEncoding
from robustq.defences.filters.clipping import Clipping
from robustq.defences.filters.projection import Projection
from robustq.defences.filters.quantise import FeatureSqueezing
from robustq.defences.filters.smoothing import Smoothing
from robustq.defences.noise.aware import NoiseAware
from robustq.defences.noise.depolarising import Depolarising
from robustq.defences.noise.injection import NoiseInjection
from robustq.defences.noise.phase_damping import PhaseDamping
from robustq.defences.noise.random_inputs import RandomisedInputs
from robustq.defences.training.adversarial import AdversarialTraining
from robustq.defences.training.angles import AngleTraining
from robustq.defences.training.augmentation import NoisyInputs
from robustq.defences.training.certified_bound import CertifiedBound
from robustq.defences.training.certified_radius import CertifiedRadius
from robustq.defences.training.curriculum import Curriculum
from robustq.defences.training.fast import Fast
from robustq.defences.training.free import Free
from robustq.defences.training.gradient_penalty import GradientPenalty
from robustq.defences.training.label_smoothing import LabelSmoothing
from robustq.defences.training.lipschitz_margin import LipschitzMargin
from robustq.defences.training.lipschitz_penalty import LipschitzPenalty
from robustq.defences.training.mart import MART
from robustq.defences.training.mixed_threats import MixedThreats
from robustq.defences.training.plain import Plain
from robustq.defences.training.reweighting import CVaR, GroupDRO
from robustq.defences.training.states import StateTraining
from robustq.defences.training.trades import TRADES

Layer = Literal["data", "encoding", "circuit", "training", "noise", "inference", "not stated"]


@dataclass(frozen=True)
class DefenceEntry(Entry[Defence | Guard]):
    """One defence. It may need the specification's inner attack, the threat to train for, the calibrated device.

    Attributes:
        layer: where in the pipeline it acts.
        cost: of training with it, in plain trainings, or of an answer.
        model: what models it is confined to; None for any.
        own_search: whether it looks for the worst inputs without being given an attack.
    """

    _: KW_ONLY
    layer: Layer = UNSTATED
    cost: str = UNSTATED
    model: str | None = None
    own_search: bool = False

    offers: ClassVar[tuple[str, ...]] = ("attack", "threat", "device")
    outside: ClassVar[tuple[Any, ...]] = (Defence, Guard)

    @property
    def searches(self) -> bool:
        """Whether a step of it takes that of an inner attack."""
        return self.own_search or "attack" in self.needs


DEFENCES: Mapping[str, DefenceEntry] = {
    "none": DefenceEntry(Plain, "ordinary training", "-", layer="training", cost="1x", null=True),
    "adversarial-training": DefenceEntry(
        AdversarialTraining,
        "train on PGD inputs",
        "Madry et al., ICLR 2018",
        needs=("attack", "threat"),
        layer="training",
        cost="about 1 + steps times the training",
    ),
    "lipschitz-margin": DefenceEntry(
        LipschitzMargin,
        "train for margins that a bound certifies",
        "Tsuzuku, Sato & Sugiyama, NeurIPS 2018",
        needs=("threat",),
        layer="training",
        cost="about 1x",
        model="features turn gates",
    ),
    "trades": DefenceEntry(
        TRADES,
        "train for answers that do not change",
        "Zhang et al., ICML 2019",
        needs=("threat",),
        layer="training",
        cost="about 2 + steps times the training",
        own_search=True,
    ),
    "mart": DefenceEntry(
        MART,
        "attacked inputs, the misclassified ones count more",
        "Wang et al., ICLR 2020",
        needs=("attack", "threat"),
        layer="training",
        cost="about 2 + steps times the training",
    ),
    "fast-training": DefenceEntry(
        Fast,
        "train on one step from a random start",
        "Wong, Rice & Kolter, ICLR 2020",
        needs=("threat",),
        layer="training",
        cost="about 2x",
    ),
    "free-training": DefenceEntry(
        Free,
        "one gradient trains the model and attacks it",
        "Shafahi et al., NeurIPS 2019; Zheng et al., CVPR 2020",
        needs=("threat",),
        layer="training",
        cost="about 1x",
    ),
    "curriculum": DefenceEntry(
        Curriculum,
        "an inner adversary that grows",
        "Cai, Liu & Song, IJCAI 2018",
        needs=("attack", "threat"),
        layer="training",
        cost="that of the defence it stands on",
    ),
    "mixed-threats": DefenceEntry(
        MixedThreats,
        "train on attacks in several norms",
        "Tramer & Boneh, NeurIPS 2019",
        needs=("attack", "threat"),
        layer="training",
        cost="about 1 + steps times the training, a norm",
    ),
    "state-training": DefenceEntry(
        StateTraining,
        "train on the worst encoded states",
        "Liu & Wittek, PRA 101 (2020)",
        layer="training",
        cost="about 2x, an eigenproblem a step",
        model="quantum or hybrid, pure up to its encoder",
    ),
    "angle-training": DefenceEntry(
        AngleTraining,
        "train at the worst drift of the gate angles",
        "Wu, Xia & Wang, NeurIPS 2020; Foret et al., ICLR 2021",
        layer="training",
        cost="about 1 + steps times the training",
    ),
    "cvar": DefenceEntry(
        CVaR, "the worst losses of a batch count", "Levy et al., NeurIPS 2020", layer="training", cost="1x"
    ),
    "group-dro": DefenceEntry(
        GroupDRO, "the worst class counts", "Sagawa et al., ICLR 2020", layer="training", cost="1x"
    ),
    "gradient-penalty": DefenceEntry(
        GradientPenalty,
        "small slopes of the loss at the inputs",
        "Ross & Doshi-Velez, AAAI 2018",
        needs=("threat",),
        layer="training",
        cost="about 3x, a second derivative",
    ),
    "noisy-inputs": DefenceEntry(
        NoisyInputs,
        "train under Gaussian noise, to be smoothed",
        "Cohen, Rosenfeld & Kolter, ICML 2019",
        layer="training",
        cost="1x",
    ),
    "label-smoothing": DefenceEntry(
        LabelSmoothing, "labels that are not quite sure", "Szegedy et al., CVPR 2016", layer="training", cost="1x"
    ),
    "lipschitz-penalty": DefenceEntry(
        LipschitzPenalty,
        "slow gates: a penalty on how fast inputs turn them",
        "Berberich et al., PRR 6 (2024)",
        layer="training",
        cost="about 1x",
        model="features turn gates",
    ),
    "certified-radius": DefenceEntry(
        CertifiedRadius,
        "train for the exact l2 radius",
        "after Ding et al., ICLR 2020 (MMA training)",
        needs=("threat",),
        layer="training",
        cost="about 1x, one eigendecomposition a step",
        model="amplitude-encoded",
    ),
    "certified-bound": DefenceEntry(
        CertifiedBound,
        "train for margins that one step of the complete verifier proves",
        "after Gowal et al., ICCV 2019 (interval bounds)",
        needs=("threat",),
        layer="training",
        cost="about 1x, 3^features inputs a step more",
        model="few features turn gates, commensurate",
    ),
    "approximate-encoding": DefenceEntry(
        ApproximateEncoding,
        "amplitudes prepared by few two-qubit gates",
        "West et al., Intelligent Computing 3 (2024); Ran, PRA 101 (2020)",
        layer="encoding",
        cost="1x, a singular value a bond and input",
        model="2^n amplitudes",
    ),
    "feature-squeezing": DefenceEntry(
        FeatureSqueezing, "few bits a feature", "Xu, Evans & Qi, NDSS 2018", layer="data", cost="1x"
    ),
    "clipping": DefenceEntry(
        Clipping, "features within their training quantiles", "Huber 1981 (winsorising)", layer="data", cost="1x"
    ),
    "projection": DefenceEntry(
        Projection,
        "onto the principal components of training data",
        "Bhagoji et al., CISS 2018",
        layer="data",
        cost="1x",
    ),
    "smoothing": DefenceEntry(
        Smoothing,
        "median or mean filter on images",
        "Xu, Evans & Qi, NDSS 2018",
        layer="data",
        cost="1x",
        model="square images",
    ),
    "immutable-features": DefenceEntry(
        ImmutableFeatures,
        "an alarm for inputs that no real row could be",
        "Simonetto et al., IJCAI 2022",
        layer="inference",
        cost="1x",
    ),
    "detection": DefenceEntry(
        Detection,
        "an alarm for suspicious inputs, at a guaranteed false-alarm rate",
        "Lee et al., NeurIPS 2018; Bates et al., Ann. Statist. 2023",
        layer="inference",
        cost="1x to 2x an answer",
    ),
    "noise-aware": DefenceEntry(
        NoiseAware,
        "train under the device's noise",
        "Wang et al., DAC 2022",
        needs=("device",),
        layer="noise",
        cost="a noisy simulation a step",
        model="quantum",
    ),
    "noise-injection": DefenceEntry(
        NoiseInjection,
        "train with error gates; normalised, levelled outputs",
        "Wang et al., DAC 2022",
        needs=("device",),
        layer="noise",
        cost="about 1x",
        model="quantum",
    ),
    "depolarising": DefenceEntry(
        Depolarising,
        "depolarising noise after every gate",
        "Du et al., PRR 3, 023153 (2021)",
        layer="noise",
        cost="a noisy simulation a step",
        model="quantum",
    ),
    "phase-damping": DefenceEntry(
        PhaseDamping,
        "dephasing that blurs every encoded angle",
        "Cohen et al., ICML 2019",
        layer="noise",
        cost="a noisy simulation a step",
        model="features turn gates",
    ),
    "randomised-inputs": DefenceEntry(
        RandomisedInputs,
        "random noise on every input",
        "Cohen et al., ICML 2019",
        layer="inference",
        cost="25 answers a verdict",
    ),
    "randomised-encoding": DefenceEntry(
        RandomisedEncoding,
        "a secret circuit behind the encoder",
        "Gong et al., PRR 6, 023020 (2024)",
        layer="encoding",
        cost="about 1x; redrawn, 25 answers a verdict",
        model="quantum",
    ),
    "error-detecting": DefenceEntry(
        ErrorDetecting,
        "encoded qubits travel within the [[4,2,2]] code",
        "Vaidman et al., PRA 54, R1745 (1996)",
        layer="encoding",
        cost="2x the qubits, 1 - 4p of the runs a pair",
        model="quantum",
    ),
    "smoothed-encoding": DefenceEntry(
        SmoothedEncoding,
        "features through a smooth step",
        "after Xu, Evans & Qi, NDSS 2018",
        layer="encoding",
        cost="1x",
    ),
    "trainable-encoding": DefenceEntry(
        TrainableEncoding,
        "a trained, bounded scale of each feature",
        "Berberich et al., PRR 6, 043326 (2024)",
        layer="encoding",
        cost="about 1x",
    ),
}
