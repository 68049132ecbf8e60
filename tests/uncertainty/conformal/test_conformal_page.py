"""The page's own program."""

import re
from pathlib import Path


def test_the_program_of_the_page_runs():
    """Every Python block of docs/conformal.md, one after the other."""
    page = Path(__file__).parents[3] / "docs" / "conformal.md"
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, str(page), "exec"), names)
    assert names["proved"].value > names["attacked"].value
    assert names["also"].value > names["attacked"].value
    assert names["found"].groups == "class"
