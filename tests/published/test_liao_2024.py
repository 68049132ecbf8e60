"""Learned error mitigation (Liao et al. 2024): its order and size on circuits of our own, with controls.

Smaller than ``studies/learned_mitigation.py``, whose figures docs/mitigation.md shows.
"""

import numpy as np
import pytest
from studies.learned_mitigation import l2, make, predictions

pytestmark = pytest.mark.prove


@pytest.fixture(scope="module")
def found():
    drawn = make(900, 1)
    train, test = drawn[:750], drawn[750:]
    ideal = test.ideal
    return {name: l2(estimate, ideal) for name, estimate in predictions(train, test, 1).items()}


def test_unmitigated_errors_are_of_the_published_size(found):
    assert found["unmitigated"].mean() == pytest.approx(0.166, abs=0.03)


def test_the_forest_leaves_at_most_six_tenths(found):
    """Published: .077 of .166, with thousands of circuits; here with 750, of the error."""
    assert found["forest, of the error"].mean() < 0.65 * found["unmitigated"].mean()


def test_controls_are_far_worse_than_doing_nothing(found):
    for name in ("mean of the training circuits", "forest, no noisy values", "linear, no noisy values"):
        gap = found[name] - found["unmitigated"]
        assert gap.mean() > 4 * gap.std() / np.sqrt(len(gap))


def test_extrapolation_behind_inverted_readout_is_better_still(found):
    assert found["zne, read-out inverted"].mean() < found["zne"].mean() < found["unmitigated"].mean()
    assert found["zne, read-out inverted"].mean() < found["forest, of the error"].mean()


def test_sixteen_circuits_teach_too_little():
    """Published: worse than doing nothing."""
    drawn = make(116, 2)
    few = predictions(drawn[:16], drawn[16:], 2)
    ideal = drawn[16:].ideal
    assert l2(few["forest"], ideal).mean() > 1.5 * l2(few["unmitigated"], ideal).mean()
