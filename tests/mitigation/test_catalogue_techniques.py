"""Waits, decoupling and partial correction as techniques: the right circuit, the right noise, clear refusals."""

import dataclasses

import numpy as np
import pytest
import torch

from mitigation.random_circuits import errors, problem_of, random_circuit, rms
from robustq.circuits import Circuit, encodings, op, pauli, per_qubit_z, z
from robustq.errors import CircuitError, DataError, SpecError
from robustq.mitigation import PEC, Decoupling, Idle, MitigatedNet, PartialCorrection, ReadoutInversion, Run, Stack
from robustq.mitigation.catalogue import MITIGATIONS, build
from robustq.mitigation.correction import partially_corrected, uncorrected
from robustq.mitigation.correction.technique import PROTECTED
from robustq.mitigation.decoupling import decoupled, timed
from robustq.models import QuantumNet
from robustq.noise import Coupling, Device, NoiseModel, Qubit, mapped

MANILA = Device.bundled("manila")


def known(circuit, observables, device):
    """A problem that knows its fit and its device, as a mitigated model's does."""
    fit = mapped(circuit, observables, device)
    return dataclasses.replace(problem_of(Run.of(fit)), fit=fit, device=device)


def random_problem(rng, device=MANILA):
    return known(random_circuit(rng), [z(q) for q in range(4)], device)


def values(technique, problem):
    return technique.plan(problem).values(problem.inputs, problem.parameters).numpy()


def ring(zz):
    """Qubits that are perfect but for the ZZ coupling of neighbours, in hertz."""
    one = Qubit(1e9, 1e9, gate_duration=40e-9)
    edges = [(k, (k + 1) % 4) for k in range(4)]
    return Device("ring", "2026-01-01", "made up", (one,) * 4, tuple(Coupling(e, 0, 4e-7, zz) for e in edges))


def test_both_are_the_fit_on_its_clock(rng):
    problem = random_problem(rng)
    waiting = timed(problem.fit, MANILA)
    for technique, timing in ((Idle(), waiting), (Decoupling("xy4"), decoupled(waiting, "xy4"))):
        found = technique.rewrite(problem)
        assert found == dataclasses.replace(problem.run, circuit=timing.fitted.circuit, noise=timing.fitted.noise)
    assert not np.allclose(values(Idle(), problem), values(Decoupling(), problem), atol=1e-5)


def test_waits_cost_what_no_clock_hides_and_pulses_save_what_zz_takes():
    """Two qubits in |+> wait side by side while the others work: their coupling turns them, pulses turn them back."""
    both = [op("h", 0), op("h", 1), op("cz", 1, 2), op("cz", 0, 3)]
    circuit = Circuit.of(4, [*both, *[op("cx", 2, 3)] * 8, *both[2:]])
    fit = mapped(circuit, [pauli("X", 0), pauli("X", 1)], ring(1e5))
    problem = dataclasses.replace(problem_of(Run.of(fit)), fit=fit, device=ring(1e5))
    none, idle = errors(Idle(), problem)
    _, pulses = errors(Decoupling(), problem)
    assert rms(idle) > 1.5 * rms(none)
    assert rms(pulses) < 0.2 * rms(idle)


def test_read_out_is_inverted_before_or_after(rng):
    problem = random_problem(rng)
    for first, second in ((ReadoutInversion(), Decoupling()), (Decoupling(), ReadoutInversion())):
        stacked = values(Stack(first, second), problem)
        timing = decoupled(timed(problem.fit, MANILA))
        quiet = NoiseModel(timing.fitted.noise.rules)
        alone = problem_of(Run(timing.fitted.circuit, problem.run.observables, quiet))
        np.testing.assert_allclose(stacked, alone.run.values(alone.inputs, alone.parameters), atol=1e-9)


def test_what_was_decoupled_can_be_extrapolated(rng):
    before, after = [], []
    for _ in range(4):
        problem = random_problem(rng)
        before.append(errors(Stack(ReadoutInversion(), Idle()), problem)[1])
        after.append(errors(build("readout+idle+zne"), problem)[1])
    assert rms(after) < 0.5 * rms(before)


def test_a_model_gives_its_clock_to_the_technique(generator):
    net = QuantumNet(
        encodings.angle(3).then(random_circuit(np.random.default_rng(1), qubits=3)),
        per_qubit_z(2, 3),
        generator=generator,
    )
    x = torch.rand(4, 3, generator=generator).double()
    fit = net.fitted(MANILA)
    options = {"inputs": x, "generator": generator}
    first = MitigatedNet(net, MANILA, Decoupling(), **options)
    second = MitigatedNet(net, fit, Decoupling(), device=MANILA, **options)
    np.testing.assert_array_equal(first(x).detach(), second(x).detach())
    with pytest.raises(
        CircuitError, match="and that device, for durations of gates, got no device; give MitigatedNet a Device"
    ):
        MitigatedNet(net, fit, Idle(), **options)
    with pytest.raises(CircuitError, match="got no fit and no device"):
        MitigatedNet(net, fit.noise, Idle(), **options)
    with pytest.raises(CircuitError, match="got 'guadalupe', whose noise differs"):
        MitigatedNet(net, fit, Idle(), device=Device.bundled("guadalupe"), **options)


@pytest.mark.parametrize("technique", [Idle(), Decoupling(), PartialCorrection(1e-3)])
def test_circuits_that_were_changed_before_are_refused(technique, rng):
    problem = random_problem(rng)
    with pytest.raises(CircuitError, match="joined by"):
        Stack(PEC(), technique).plan(problem)
    with pytest.raises(CircuitError, match="joined by"):
        Stack(Decoupling(), technique).plan(problem)


def test_partial_correction_of_uniform_noise_is_the_model_of_its_name(rng):
    circuit = random_circuit(rng)
    gates = tuple(o for o in circuit.operations if o.gate != "rzz")
    circuit, observables = Circuit.of(4, gates), tuple(z(q) for q in range(4))
    struck = problem_of(Run(circuit, observables, uncorrected(0.05)))
    wanted = problem_of(Run(circuit, observables, partially_corrected(0.05, 0.01)))
    found = values(PartialCorrection(0.01), struck)
    np.testing.assert_allclose(found, wanted.run.values(wanted.inputs, wanted.parameters), atol=1e-12)


@pytest.mark.parametrize("name", ["manila", "guadalupe", "melbourne"])
def test_partial_correction_of_a_device_touches_protected_gates_only(name, rng):
    problem = random_problem(rng, Device.bundled(name))
    before, after = problem.run.noise, PartialCorrection(0.003).rewrite(problem).noise
    assert after.readouts == before.readouts
    assert after.couplings == before.couplings
    protected = 0
    for operation in problem.run.circuit.operations:
        strikes = after.after(operation)
        if operation.gate in PROTECTED:
            (((channel, qubits)),) = strikes
            assert (channel.name, channel.p, qubits) == ("depolarising-2", 0.003, operation.qubits)
            protected += 1
        else:
            assert strikes == before.after(operation)
    assert protected > 3
    plain, left = errors(PartialCorrection(0.0), problem)
    assert rms(left) < rms(plain)


def test_names_and_what_is_refused():
    assert "compare with idle" in MITIGATIONS["decoupling"].summary
    assert str(build("decoupling", {"decoupling": {"sequence": "cpmg"}})) == "decoupling by cpmg"
    assert build("partial-correction", {"partial-correction": {"logical": 0.01}}).logical == 0.01
    with pytest.raises(SpecError, match="expected the option 'logical', got none"):
        build("partial-correction")
    with pytest.raises(SpecError, match="decoupling sequence"):
        Decoupling("xyz")
    with pytest.raises(DataError, match=r"logical rate in \[0, 1\]"):
        PartialCorrection(-0.1)
