"""Reads stored results only; cannot run a model."""

from robustq.report.examples import shown, write_examples
from robustq.report.page import render, write_report
from robustq.report.terminal import summary

__all__ = ["render", "shown", "summary", "write_examples", "write_report"]
