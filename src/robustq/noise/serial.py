"""Noise models as JSON-able data, and back, with every error named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robustq.errors import DataError, RobustQError
from robustq.noise.channels import Channel
from robustq.noise.model import NoiseModel, Readout, Rule


def noise_to_data(noise: NoiseModel) -> dict[str, Any]:
    """The model as dictionaries, lists, strings and numbers.

    >>> noise_to_data(NoiseModel.uniform(gate_error=0.01))["rules"][0]["channel"]
    ['depolarising', 0.01]
    """
    return {
        "rules": [
            {
                "channel": [rule.channel.name, *map(_value_to_data, rule.channel.values)],
                "gates": list(rule.gates),
                "qubits": list(rule.qubits),
                "width": rule.width,
                "on": list(rule.on),
            }
            for rule in noise.rules
        ],
        "readout": _readout_to_data(noise.readout),
        "readouts": [[q, *_readout_to_data(r)] for q, r in noise.readouts],
        "couplings": None if noise.couplings is None else [list(pair) for pair in noise.couplings],
    }


def noise_from_data(data: Mapping[str, Any]) -> NoiseModel:
    """The inverse of :func:`noise_to_data`.

    Raises:
        DataError: if the data is no well-formed noise model.
    """
    try:
        rules = tuple(
            Rule(
                _channel(*rule["channel"]),
                tuple(rule["gates"]),
                tuple(rule["qubits"]),
                rule["width"],
                tuple(rule["on"]),
            )
            for rule in data["rules"]
        )
        readouts = tuple((int(q), Readout(a, b)) for q, a, b in data["readouts"])
        pairs = data["couplings"]
        couplings = None if pairs is None else tuple((int(a), int(b)) for a, b in pairs)
        return NoiseModel(rules, Readout(*data["readout"]), readouts, couplings)
    except (KeyError, TypeError, ValueError, RobustQError) as failure:
        raise DataError(f"expected a noise model as data, got something else: {failure}") from None


def _readout_to_data(readout: Readout) -> list[float]:
    return [readout.p01, readout.p10]


def _value_to_data(value: Any) -> Any:
    """Numbers and words as they are; a matrix as rows of pairs of numbers."""
    if isinstance(value, tuple):
        return [[[entry.real, entry.imag] for entry in row] for row in value]
    return value


def _channel(name: str, *values: Any) -> Channel:
    return Channel(name, *(_value_from_data(value) for value in values))


def _value_from_data(value: Any) -> Any:
    if isinstance(value, list):
        return [[complex(*entry) for entry in row] for row in value]
    return value
