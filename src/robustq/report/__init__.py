"""Reads stored results only; cannot run a model."""

from robustq.report.page import render, write_report
from robustq.report.terminal import summary

__all__ = ["render", "summary", "write_report"]
