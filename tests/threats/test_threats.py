"""Threats as geometry: projection, sampling and membership, in any box."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robustq.errors import ThreatError
from robustq.threats import L2, Linf, check_inside

BOXES = {
    "unit": (0.0, 1.0),
    "signed": (-1.0, 1.0),
    "angles": (-np.pi, np.pi),
    "none": None,
    "each": ((0.0, -1.0, 2.0), (1.0, 1.0, 5.0)),
}


def inside(box, x):
    """Points of the box made from values in [0, 1]."""
    if box is None:
        return x
    low, high = (torch.as_tensor(b, dtype=x.dtype) for b in box)
    return torch.minimum(torch.maximum(low + (high - low) * x, low), high)


@pytest.mark.parametrize("kind", [Linf, L2])
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(
    eps=st.sampled_from([0.0, 1e-3, 0.1, 1.0, 10.0]),
    x=arrays(np.float64, (4, 3), elements=st.floats(0, 1)),
    delta=arrays(np.float64, (4, 3), elements=st.floats(-5, 5)),
)
def test_projection_is_allowed_and_idempotent(kind, box, dtype, eps, x, delta):
    threat = kind(eps, box)
    start = inside(box, torch.tensor(x, dtype=dtype))
    projected = threat.project(start + torch.tensor(delta, dtype=dtype), start)
    assert threat.contains(projected, start).all()
    again = threat.project(projected, start)
    torch.testing.assert_close(again, projected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", [Linf, L2])
def test_points_inside_stay_where_they_are(kind):
    x = torch.full((2, 3), 0.5)
    candidate = x + 0.01
    assert torch.allclose(kind(0.1, (0.0, 1.0)).project(candidate, x), candidate, atol=1e-7)


@pytest.mark.parametrize("kind", [Linf, L2])
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_samples_are_allowed_and_fill_the_ball(kind, box, generator):
    threat = kind(0.3, box)
    x = inside(box, torch.full((4000, 3), 0.5, dtype=torch.float64))
    drawn = threat.sample(x, generator)
    assert threat.contains(drawn, x).all()
    assert float(threat.distance(drawn, x).max()) > 0.29
    assert float((drawn - x).mean(0).abs().max()) < 0.02


@pytest.mark.parametrize(("kind", "dual"), [(Linf, 1), (L2, 2)])
def test_steepest_direction_attains_the_dual_norm(kind, dual, generator):
    gradient = torch.randn(50, 7, generator=generator, dtype=torch.float64)
    threat = kind(1.0)
    direction = threat.steepest(gradient)
    gain = (direction * gradient).sum(1)
    torch.testing.assert_close(gain, gradient.norm(p=dual, dim=1))
    length = threat.distance(direction, torch.zeros_like(direction))
    torch.testing.assert_close(length, torch.ones_like(length))


def test_linf_projection_is_the_nearest_point():
    x, far = torch.tensor([[0.95, 0.5]]), torch.tensor([[2.0, 0.45]])
    projected = Linf(0.1, (0.0, 1.0)).project(far, x)
    torch.testing.assert_close(projected, torch.tensor([[1.0, 0.45]]))


def test_contains_refuses_what_is_outside():
    x = torch.full((1, 2), 0.9)
    for threat in (Linf(0.1, (0.0, 1.0)), L2(0.1, (0.0, 1.0))):
        assert not threat.contains(x + 0.11, x)
        assert not threat.contains(torch.tensor([[1.01, 0.9]]), x)


@pytest.mark.parametrize("kind", [Linf, L2])
@pytest.mark.parametrize(
    ("eps", "box", "message"),
    [
        (-0.1, None, "eps >= 0"),
        (float("nan"), None, "eps >= 0"),
        (float("inf"), None, "finite"),
        ("0.1", None, "eps as a number"),
        (0.1, (1.0, 0.0), "low < high"),
        (0.1, (0.0, float("nan")), "low < high"),
        (0.1, (0.0, 1.0, 2.0), "a box"),
        (0.1, ((0.0, 0.0), (1.0, 1.0, 1.0)), "equal length"),
    ],
)
def test_impossible_threats_are_refused(kind, eps, box, message):
    with pytest.raises(ThreatError, match=message):
        kind(eps, box)


def test_data_outside_the_box_is_refused():
    with pytest.raises(ThreatError, match=r"inside the box \(0.0, 1.0\), got values in \[-1, 2\]"):
        check_inside(torch.tensor([[-1.0, 2.0]]), (0.0, 1.0))
    with pytest.raises(ThreatError, match="one bound per feature"):
        check_inside(torch.zeros(1, 2), ((0.0,) * 3, 1.0))


def test_threats_are_values():
    assert Linf(0.1, (0, 1)) == Linf(0.1, (0, 1))
    assert len({L2(0.1), L2(0.1), L2(0.2)}) == 2
    assert str(Linf(0.1, (0, 1))) == "l-inf eps=0.1 in [0, 1]"
