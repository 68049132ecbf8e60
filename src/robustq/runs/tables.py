"""The tables of a store."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text

SCHEMA = 1
META = MetaData()

# What state a unit is in. A unit is leased by one worker at a time; a lease that runs out is void.
WAITING, LEASED, DONE, FAILED = "waiting", "leased", "done", "failed"

properties = Table(
    "properties", META, Column("key", String(40), primary_key=True), Column("value", Text, nullable=False)
)

units = Table(
    "units",
    META,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("function", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("inputs", Text, nullable=False),  # JSON: the name the function looks for -> the unit's id
    Column("needs", Text, nullable=False),
    Column("environment", String(40), nullable=False),
    Column("state", String(8), nullable=False),
    Column("owner", Text),
    Column("lease_ends", Float),
    Column("started", Boolean, nullable=False, default=False),  # the owner is at work on this very unit
    Column("attempts", Integer, nullable=False, default=0),  # that ended in an error of the unit's own
    Column("losses", Integer, nullable=False, default=0),  # that ended with the worker's death
    Column("error", Text),
    Column("result", String(64)),  # SHA-256 of the manifest
    Column("seconds", Float),
    Column("finished", Float),
    Index("by_state", "state", "environment", "number"),
    Index("by_owner", "owner"),
)

# Every different result that was ever handed in: the first is the result, another one is a red flag.
results = Table(
    "results",
    META,
    Column("unit", String(64), ForeignKey("units.id"), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("manifest", Text, nullable=False),  # JSON: file -> SHA-256 of its content
    Column("notes", Text, nullable=False),  # JSON: the same of files that may differ, such as wall times
    Column("owner", Text, nullable=False),
    Column("first", Boolean, nullable=False),
)

payloads = Table("payloads", META, Column("sha256", String(64), primary_key=True), Column("content", LargeBinary))

runs = Table(
    "runs",
    META,
    Column("name", String(200), primary_key=True),
    Column("command", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("began", Float, nullable=False),
)

members = Table(
    "members",
    META,
    Column("run", String(200), ForeignKey("runs.name"), primary_key=True),
    Column("unit", String(64), ForeignKey("units.id"), primary_key=True),
    Column("name", Text, nullable=False),
    Column("label", Text, nullable=False),
    Index("by_unit", "unit"),
)
