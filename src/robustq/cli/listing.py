"""``robustq list``: what the catalogues hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from robustq.attacks.catalogue import ATTACKS
from robustq.audit.catalogue import AUDITS
from robustq.catalogue import Entry, facts
from robustq.certify.catalogue import CERTIFICATES
from robustq.circuits.catalogue import ANSAETZE, ENCODINGS, READOUTS
from robustq.cli.console import out, print_json
from robustq.data.catalogue import DATA
from robustq.defences.catalogue import DEFENCES
from robustq.errors import unknown_name
from robustq.mitigation.catalogue import MITIGATIONS
from robustq.models.catalogue import MODELS
from robustq.noise.catalogue import CHANNEL_LIST, DEVICES, DRIFTS
from robustq.poisoning.catalogue import POISONINGS
from robustq.tampering.catalogue import TAMPERINGS
from robustq.threats.catalogue import THREATS
from robustq.uncertainty.catalogue import UNCERTAINTIES
from robustq.uncertainty.conformal import SCORES

CATALOGUES: Mapping[str, Mapping[str, Entry[Any]]] = {
    "data": DATA,
    "models": MODELS,
    "encodings": ENCODINGS,
    "ansaetze": ANSAETZE,
    "readouts": READOUTS,
    "threats": THREATS,
    "attacks": ATTACKS,
    "poisonings": POISONINGS,
    "tamperings": TAMPERINGS,
    "certificates": CERTIFICATES,
    "defences": DEFENCES,
    "uncertainties": UNCERTAINTIES,
    "scores": SCORES,
    "mitigations": MITIGATIONS,
    "audits": AUDITS,
    "channels": CHANNEL_LIST,
    "devices": DEVICES,
    "drifts": DRIFTS,
}


def columns(entries: Mapping[str, Entry[Any]]) -> list[str]:
    """What a catalogue says of each of its members beyond summary and reference.

    >>> columns(DEFENCES)
    ['layer', 'cost', 'model', 'own search']
    """
    return list(facts(next(iter(entries.values()))))


def listing(
    kind: Annotated[str, typer.Argument(help=", ".join(CATALOGUES))],
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List what a catalogue holds."""
    if kind not in CATALOGUES:
        raise unknown_name("catalogue", kind, CATALOGUES)
    entries = CATALOGUES[kind]
    if as_json:
        print_json(
            {
                name: {"summary": e.summary, "reference": e.reference, **facts(e), "null": e.null}
                for name, e in entries.items()
            }
        )
        return
    from rich.table import Table

    table = Table("name", "what", *columns(entries), "reference")
    for name, e in entries.items():
        table.add_row(name, e.summary, *facts(e).values(), e.reference)
    out().print(table)
