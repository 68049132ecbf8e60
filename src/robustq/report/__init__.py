"""Reads stored results only; cannot run a model."""

from robustq.report.page import render, write_report
from robustq.report.terminal import summary
from robustq.report.transfer import render_transfer, transfer_table, write_transfer

__all__ = [
    "render", "render_transfer", "summary", "transfer_table", "write_report", "write_transfer",
]  # fmt: skip
