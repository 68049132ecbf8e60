"""Build, train, attack and freeze a quantum classifier.

python examples/train_attack_freeze.py
"""

import robustq
from robustq.attacks import PGD
from robustq.circuits import ansaetze, encodings, per_qubit_z, to_text
from robustq.defences import AdversarialTraining
from robustq.noise import NoiseModel
from robustq.seeding import torch_generator
from robustq.threats import Linf


def main() -> None:
    """Six features of the Wisconsin data on six qubits, plain and adversarially trained."""
    data = robustq.data.prepare(robustq.data.load("breast-cancer"), features=6)
    (x, y), (x_test, y_test) = data.tensors("train"), data.tensors("test")
    threat = Linf(0.05, box=(0.0, 1.0))
    circuit = encodings.angle(6).then(ansaetze.strongly_entangling(6, layers=2))
    print(to_text(circuit))

    for defence in (None, AdversarialTraining(PGD(steps=5, restarts=1), threat)):
        model = robustq.models.QuantumNet(circuit, per_qubit_z(2, 6), generator=torch_generator(0, "init"))
        plan = robustq.Training(epochs=15)
        robustq.fit(model, x, y, generator=torch_generator(0, "fit"), training=plan, defence=defence)
        result = robustq.run_attack(PGD(), model, x_test, y_test, threat, generator=torch_generator(0, "attack"))
        noisy = model.freeze(NoiseModel.uniform(gate_error=0.01, readout_error=0.02))
        print(
            f"{defence or 'undefended'}: clean {result.correct.double().mean():.3f}, "
            f"robust {result.robust.double().mean():.3f}, "
            f"under noise {(noisy(x_test).argmax(1) == y_test).double().mean():.3f}"
        )


if __name__ == "__main__":
    main()
