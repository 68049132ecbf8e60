"""Attack models that are not ours: a plain torch module, and PennyLane's TorchLayer where installed."""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import MinMaxScaler

from robustq import run_attack
from robustq.attacks import QuantumAutoAttack
from robustq.threats import Linf


def data(features: int) -> tuple[torch.Tensor, torch.Tensor]:
    table = load_breast_cancer()
    x = MinMaxScaler().fit_transform(table.data[:, :features])
    return torch.tensor(x, dtype=torch.float32), torch.tensor(table.target)


def train(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int = 60) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()


def plain() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))


def pennylane() -> torch.nn.Module:
    import pennylane as qml

    @qml.qnode(qml.device("default.qubit", wires=4), interface="torch", diff_method="backprop")
    def circuit(inputs, weights):
        qml.AngleEmbedding(torch.pi * inputs, wires=range(4), rotation="Y")
        qml.StronglyEntanglingLayers(weights, wires=range(4))
        return [qml.expval(qml.PauliZ(q)) for q in range(2)]

    shape = qml.StronglyEntanglingLayers.shape(n_layers=2, n_wires=4)
    return torch.nn.Sequential(qml.qnn.TorchLayer(circuit, {"weights": shape}))


def main() -> None:
    torch.manual_seed(0)  # for the foreign models' starting weights
    x, y = data(4)
    for build in (plain, pennylane):
        model = build()
        train(model, x[:400], y[:400])
        result = run_attack(
            QuantumAutoAttack(),
            model.eval(),
            x[400:],
            y[400:],
            Linf(0.05, box=(0.0, 1.0)),
            generator=torch.Generator().manual_seed(0),
        )
        clean, robust = result.correct.float().mean(), result.robust.float().mean()
        print(f"{build.__name__}: clean {clean:.1%}, robust {robust:.1%} ({result.queries} queries)")


if __name__ == "__main__":
    main()
