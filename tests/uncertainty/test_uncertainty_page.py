"""The page's own program."""

import re
from pathlib import Path

import torch


def test_the_program_of_the_page_runs():
    """Every Python block of docs/uncertainty.md, one after the other; the parts add up."""
    page = Path(__file__).parents[2] / "docs" / "uncertainty.md"
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, str(page), "exec"), names)
    parts = names["parts"]
    torch.testing.assert_close(parts.total, parts.epistemic + parts.shots + parts.noise + parts.data)
    assert (parts.shots > 0).all()
    assert names["gone"] > 0.1  # what chance removes
