"""What is not in the library: attacks, defences, models, ... of others, named ``"package.module:attribute"``.

Such a name runs the code of its module, so it is followed only where a specification or the caller says it, never
where a saved model does.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from robustq.errors import SpecError

_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def is_outside(name: object) -> bool:
    """Whether a name is that of something to import.

    >>> is_outside("lab.attacks:BIM"), is_outside("pgd"), is_outside("linf:0.1")
    (True, False, False)
    """
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def imported(kind: str, name: str) -> Any:
    """The attribute that ``module:attribute`` names.

    Raises:
        SpecError: if there is no such module, it does not import, or it has no such attribute.

    >>> imported("toy", "math:pi")
    3.141592653589793
    """
    module, _, attribute = name.partition(":")
    try:
        target: Any = import_module(module)
    except ModuleNotFoundError as failure:
        missing = f"{kind} {name!r}: no module named {failure.name!r}; is it installed, or on PYTHONPATH?"
        raise SpecError(missing) from failure
    except (ImportError, SyntaxError) as failure:
        raise SpecError(f"{kind} {name!r}: {module} does not import: {failure}") from failure
    for part in attribute.split("."):
        if not hasattr(target, part):
            names = [each for each in dir(target) if not each.startswith("_")]
            near = get_close_matches(part, names, n=1, cutoff=0.5)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise SpecError(f"{kind} {name!r}: {module} has no {part!r}{hint}")
        target = getattr(target, part)
    return target


def package_of(name: str) -> str:
    """The package that the module of a name lies in.

    >>> package_of("lab.attacks:BIM")
    'lab'
    """
    return name.partition(":")[0].partition(".")[0]


def is_allowed(name: str, allow: Iterable[str]) -> bool:
    """Whether a name lies in one of these modules or packages.

    >>> is_allowed("lab.nets:Net", ["lab"]), is_allowed("laboratory:Net", ["lab"])
    (True, False)
    """
    module = name.partition(":")[0] + "."
    return any(module.startswith(each + ".") for each in allow)


@cache
def provenance(name: str) -> str:
    """Version and SHA-256 of the source file of ``module:attribute``; imports it.

    >>> provenance("math:pi")
    'without a version, without a source file'
    """
    imported("name", name)
    module = sys.modules[name.partition(":")[0]]
    source = getattr(module, "__file__", None)
    is_text = source is not None and source.endswith(".py")
    digest = hashlib.sha256(Path(source).read_bytes()).hexdigest() if is_text and source is not None else ""
    return f"{_version(module.__name__)}, " + (f"sha256 {digest}" if digest else "without a source file")


def _version(module: str) -> str:
    """What the module says, else its package, else the distribution it came in."""
    package = module.partition(".")[0]
    for each in (module, package):
        said = getattr(sys.modules.get(each), "__version__", None)
        if said is not None:
            return str(said)
    holders = packages_distributions().get(package, [])
    return version(holders[0]) if holders else "without a version"
