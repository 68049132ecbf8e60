"""Attack a model that is not ours: any torch callable from inputs to logits will do.

python examples/assess_your_own_model.py
"""

import torch

import robustq
from robustq import stats
from robustq.attacks import FGSM, PGD, UniformNoise
from robustq.seeding import torch_generator
from robustq.threats import Linf

BOX = (0.0, 1.0)


def main() -> None:
    """Train a plain torch module on real data and attack it in three ways."""
    data = robustq.data.prepare(robustq.data.load("wine"), features=6)
    (x, y), (x_test, y_test) = data.tensors("train"), data.tensors("test")
    torch.manual_seed(0)  # the model below is plain torch, which has no generator of its own
    model = torch.nn.Sequential(torch.nn.Linear(6, 12), torch.nn.Tanh(), torch.nn.Linear(12, 3))
    robustq.fit(model, x, y, generator=torch_generator(0, "fit"))

    for attack in (UniformNoise(), FGSM(), PGD(steps=40, restarts=3)):
        result = robustq.run_attack(
            attack, model, x_test, y_test, Linf(0.1, BOX), generator=torch_generator(0, "attack")
        )
        found = stats.proportion(result.robust.double().numpy())
        print(
            f"{attack}: robust accuracy {found.value:.3f} [{found.low:.3f}, {found.high:.3f}], "
            f"{result.gradients} gradients"
        )


if __name__ == "__main__":
    main()
