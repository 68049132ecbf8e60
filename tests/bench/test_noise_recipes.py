"""Defences that ask for the device, by name."""

import pytest

from robustq.bench.recipes import Given, StepSpec, inner_attack
from robustq.contracts import Defence, Guard
from robustq.errors import SpecError
from robustq.noise import Device
from robustq.threats import Linf

BARE = Given(inner_attack(3), Linf(0.1))
MANILA = Given(inner_attack(3), Linf(0.1), Device.bundled("manila"))

NAMES = (
    "noise-aware",
    "noise-injection",
    "depolarising",
    "phase-damping",
    "randomised-inputs",
    "randomised-encoding",
    "error-detecting",
    "trainable-encoding",
    "smoothed-encoding",
)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_made_with_its_defaults(name):
    assert isinstance(StepSpec(name=name).build(MANILA), Defence | Guard)


def test_a_device_is_demanded_only_where_there_is_no_doing_without():
    with pytest.raises(SpecError, match=r"expected a noise\.device"):
        StepSpec(name="noise-aware").build(BARE)
    injected = StepSpec(name="noise-injection", options={"rate": 0.02, "levels": 3}).build(BARE)
    assert injected.device is None
    assert StepSpec(name="noise-injection").build(MANILA).device == MANILA.device


def test_options_are_type_checked():
    with pytest.raises(SpecError):
        StepSpec(name="noise-aware", options={"drift": 3}).build(MANILA)
    with pytest.raises(SpecError):
        StepSpec(name="noise-injection", options={"levels": "many"}).build(MANILA)
