"""Reads stored results only; cannot run a model."""

from robustq.report.calibration import calibration_table, write_calibration
from robustq.report.card import render, summary, write_report
from robustq.report.certificates import certificate_table, write_certificates
from robustq.report.codesign import codesign_table, render_codesign, write_codesign
from robustq.report.defences import defence_table, render_defences, write_defences
from robustq.report.examples import shown, write_examples
from robustq.report.mitigation import mitigation_table, write_mitigation
from robustq.report.transfer import render_transfer, transfer_table, write_transfer

__all__ = [
    "calibration_table",
    "certificate_table",
    "codesign_table",
    "defence_table",
    "mitigation_table",
    "render",
    "render_codesign",
    "render_defences",
    "render_transfer",
    "shown",
    "summary",
    "transfer_table",
    "write_calibration",
    "write_certificates",
    "write_codesign",
    "write_defences",
    "write_examples",
    "write_mitigation",
    "write_report",
    "write_transfer",
]
