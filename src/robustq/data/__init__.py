"""Real data with fixed splits, content hashes and recorded preparation."""

from robustq.data.catalogue import load
from robustq.data.prepare import Dataset, prepare
from robustq.data.raw import RawData

__all__ = ["Dataset", "RawData", "load", "prepare"]
