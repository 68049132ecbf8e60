"""Two classes of a model as a model: every description of it says the same."""

import pytest
import torch

from certify.quadratic_models import random_net
from robustq.certify import Auto, Complete
from robustq.contracts import AmplitudeClassifier, FrozenClassifier, QuantumClassifier
from robustq.errors import CertificateError, ModelError
from robustq.noise import Device
from robustq.states import StateView
from robustq.threats import Linf
from robustq.uncertainty.conformal import versus
from trained_models import trained

PAIRS = [(0, 1, 0.0), (1, 0, -1.7), (2, 0, 0.8), (1, 2, 25.0)]


@pytest.fixture(params=[None, "manila"])
def iris(request):
    model, x, _ = trained("iris", torch.float64)
    device = Device.bundled(request.param) if request.param else None
    return model.freeze(device), x[::9]


@pytest.mark.parametrize(("first", "second", "tau"), PAIRS)
def test_logits_polynomials_and_read_outs_agree(iris, first, second, tau):
    base, x = iris
    view, logits = versus(base, first, second, tau), base(x)
    expected = torch.stack([logits[:, first], logits[:, second] - tau], 1)
    assert torch.equal(view(x), expected)
    form = view.trigonometric()
    assert bool(((form(x) - expected).abs() <= form.error).all())
    assert form.error >= base.trigonometric().error
    assert isinstance(view, FrozenClassifier)
    assert view.front is None
    assert not isinstance(view, QuantumClassifier)
    with pytest.raises(ModelError, match="amplitudes"):
        view.forms(torch.float64)


@pytest.mark.parametrize(("first", "second", "tau"), PAIRS)
def test_states_of_any_length_are_read_the_same(first, second, tau, generator):
    model, x, _ = trained("iris", torch.float64)
    frozen = StateView.of(model)
    view, states = versus(frozen, first, second, tau), frozen.encoded(x[::9])
    expected = versus(model.freeze(), first, second, tau)(x[::9])
    assert isinstance(view, StateView)
    assert torch.allclose(view(3 * states), expected, atol=1e-10)
    kets = torch.view_as_complex(states)
    forms = view.frozen.state_forms()
    values = torch.einsum("bi,kij,bj->bk", kets.conj(), forms, kets).real
    assert torch.allclose(values, expected, atol=1e-10)
    flat = states.flatten(1)
    assert torch.allclose(torch.einsum("bi,kij,bj->bk", flat, view.forms(torch.float64), flat), expected, atol=1e-10)


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize(("first", "second", "tau"), PAIRS)
def test_forms_of_amplitude_models_are_lowered(noisy, first, second, tau, generator):
    base = random_net(5, 3, generator, noisy).freeze()  # features that do not fill the register
    x = 4 * torch.randn(20, 5, generator=generator).double()
    view = versus(base, first, second, tau)
    forms = view.forms(torch.float64)
    values = torch.einsum("bi,kij,bj->bk", x, forms, x) / x.square().sum(1, keepdim=True)
    assert isinstance(view, AmplitudeClassifier)
    assert torch.allclose(values, view(x), atol=1e-10)
    with pytest.raises(ModelError):
        view.trigonometric()


@pytest.mark.parametrize("tau", [-0.6, 0.0, 2.5])
def test_hybrids_keep_their_front(tau):
    model, x, _ = trained("hybrid", torch.float64)
    base, x = model.freeze(), x[::30]
    view, logits = versus(base, 1, 0, tau), base(x)
    weight, bias = view.front
    inside = torch.sigmoid(x @ weight.T + bias)
    expected = torch.stack([logits[:, 1], logits[:, 0] - tau], 1)
    assert isinstance(view, FrozenClassifier)
    assert not isinstance(view, AmplitudeClassifier)
    assert torch.allclose(view(x), expected)
    assert torch.allclose(view.trigonometric()(inside), expected, atol=1e-9)
    assert torch.allclose(view.of_states(view.states(x)), expected, atol=1e-10)


def test_of_any_other_classifier_nothing_can_be_proved(generator):
    view = versus(torch.nn.Linear(2, 3).double(), 0, 1, 0.5)
    with pytest.raises(CertificateError, match="FrozenClassifier"):
        Complete().prepare(view, Linf(0.1), generator)
    with pytest.raises(CertificateError, match="no certificate applies"):
        Auto().prepare(view, Linf(0.1), generator)
    with pytest.raises(ModelError, match="StateClassifier"):
        view.state_forms()
