"""What several certificates ask of their options, their model and their threat."""

from __future__ import annotations

from robustq.contracts import Classifier, Threat
from robustq.errors import CertificateError
from robustq.states import StateView
from robustq.threats import Fidelity, TraceDistance


def check_slack(slack: float, name: str) -> None:
    """Refuse a slack that would raise the margins.

    Raises:
        CertificateError: unless ``slack >= 0``.

    >>> check_slack(0.1, "guan")
    """
    if not slack >= 0:
        raise CertificateError(f"{name}: expected slack >= 0, got {slack}")


def check_states(model: Classifier, threat: Threat, name: str) -> tuple[StateView, Fidelity | TraceDistance]:
    """The view of states and the ball of states that such a bound speaks about.

    Raises:
        CertificateError: if the model or the threat is another.

    >>> check_states(lambda x: x, Fidelity(0.1), "guan")
    Traceback (most recent call last):
        ...
    robustq.errors.CertificateError: guan: expected a view of a model's states (StateView.of(model)), got function
    """
    if not isinstance(threat, Fidelity | TraceDistance):
        raise CertificateError(f"{name}: expected an infidelity or trace-distance threat, got {threat}")
    if not isinstance(model, StateView):
        raise CertificateError(
            f"{name}: expected a view of a model's states (StateView.of(model)), got {type(model).__name__}"
        )
    return model, threat
