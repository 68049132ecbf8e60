"""The house itself: light imports, complete catalogues, fresh generated pages, documented errors."""

import importlib
import inspect
import pkgutil
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import robustq
from robustq.catalogue import Entry, resolve
from robustq.cli.listing import CATALOGUES
from robustq.errors import RobustQError

ROOT = Path(__file__).resolve().parent.parent


def test_import_is_light():
    """Heavy and optional packages are imported where they are used; and nothing at all before it is asked for."""
    heavy = ("scipy", "sklearn", "plotly", "matplotlib", "jinja2", "pooch", "pennylane", "rich", "optuna")
    code = (
        "import sys, robustq\n"
        "print([m for m in sys.modules if m == 'torch' or m.startswith('robustq.')])\n"
        "robustq.models, robustq.attacks, robustq.certify, robustq.noise, robustq.fit, robustq.attack, robustq.save\n"
        f"print([m for m in {(*heavy, 'robustq.bench', 'robustq.report')} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["[]", "[]", ""]


def test_the_root_offers_what_it_lists():
    assert set(robustq.__all__) <= set(dir(robustq))
    for name in robustq.__all__:
        found = getattr(robustq, name)
        assert inspect.ismodule(found) or inspect.getdoc(found), name
    with pytest.raises(AttributeError, match="module 'robustq' has no attribute 'asses'"):
        robustq.asses  # noqa: B018
    assert robustq.attack is robustq.run_attack is robustq.attacks.run_attack
    assert robustq.certify.certify is robustq.certify.verdict.certify


def test_import_leaves_the_world_alone():
    code = (
        "import logging, torch, numpy as np\n"
        "before = (torch.get_default_dtype(), torch.get_num_threads(),"
        " torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist(), len(logging.root.handlers))\n"
        "import robustq, robustq.bench, robustq.report, robustq.interop.sklearn\n"
        "after = (torch.get_default_dtype(), torch.get_num_threads(),"
        " torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist(), len(logging.root.handlers))\n"
        "print(before == after)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize("kind", CATALOGUES)
def test_catalogue_entries_are_complete(kind):
    for name, entry in CATALOGUES[kind].items():
        assert isinstance(entry, Entry)
        assert name == name.lower()
        assert entry.summary
        assert entry.reference
        assert inspect.getdoc(entry.make)
    with pytest.raises(RobustQError, match="did you mean"):
        resolve(kind, next(iter(CATALOGUES[kind])) + "x", CATALOGUES[kind])


def test_every_module_imports_and_has_a_docstring():
    names = [m.name for m in pkgutil.walk_packages(robustq.__path__, "robustq.")]
    assert len(names) > 50
    for name in names:
        if not name.endswith("__main__"):
            assert importlib.import_module(name).__doc__, name


@pytest.mark.prove
@pytest.mark.parametrize("name", ["budgets.py", "pages.py"])
def test_tools_find_nothing(name):
    arguments = ["--check"] if name == "pages.py" else []
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / name), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.prove
@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_examples_run(path):
    done = subprocess.run([sys.executable, "-W", "error", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "robust" in done.stdout


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_examples_find_what_they_import(path):
    assert callable(runpy.run_path(str(path))["main"])


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda p: p.stem)
def test_example_specifications_are_valid(path):
    from robustq.bench import read

    assert read(path).content_id
