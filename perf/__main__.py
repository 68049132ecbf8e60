"""``python -m perf <subject>``: the engine beside other libraries, in one run.

Subjects: gradient (inputs and parameters), frozen (inputs only, parameters fixed), noisy and
noisy-frozen (the same with depolarising noise), kernel, memory, growth, flops; ``all`` measures everything and
writes the results page; ``page`` writes the page from an earlier run's JSON. ``attacks`` compares attacks with those
of other libraries and writes a page of its own, ``attacks-page`` writes it from an earlier run's JSON.
``certificates`` measures time and memory of each certificate against qubits, and draws them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from perf import attack_page, certificates
from perf.attack_peers import LIBRARIES
from perf.compare import Row, compare
from perf.flops import flops
from perf.growth import growth
from perf.kernel import kernel
from perf.machine import machine
from perf.memory import memory
from perf.options import Options
from perf.page import markdown, write
from perf.peers import OURS, PEERS
from perf.targets import judge
from perf.workload import Workload

PAGE, STORE = Path("docs/performance.md"), "runs/perf.json"


def _comparison(
    subject: str, sizes: Sequence[tuple[int, int, int]], *, noise: float = 0.0, trains: bool = True
) -> Callable[[Options], list[Row]]:
    return partial(compare, subject, [Workload(*size, noise, trains) for size in sizes])


PURE, NOISY = ((4, 6, 256), (8, 6, 256), (10, 6, 256)), ((4, 4, 64), (6, 4, 64))
SUBJECTS: Mapping[str, Callable[[Options], list[Row]]] = {
    "gradient": _comparison("gradient", PURE),
    "frozen": _comparison("frozen", PURE, trains=False),
    "noisy": _comparison("noisy", NOISY, noise=0.01),
    "noisy-frozen": _comparison("noisy-frozen", NOISY, noise=0.01, trains=False),
    "kernel": kernel,
    "memory": memory,
    "growth": growth,
    "flops": flops,
}


ATTACKS, CERTIFICATES = ("attacks", "attacks-page"), "certificates"


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print; ``all`` and ``page`` also write the page."""
    chosen = _chosen(arguments)
    if chosen.subject in ATTACKS:
        again = chosen.subject == "attacks-page"
        print(attack_page.run(_options(chosen), store=chosen.json, page=chosen.page, again=again))
        return
    if chosen.subject == CERTIFICATES:
        picture = chosen.page and chosen.page.with_suffix(".svg")
        print(certificates.run(_options(chosen), store=chosen.json, picture=picture))
        return
    store = chosen.json or (STORE if chosen.subject in ("all", "page") else None)
    if chosen.subject == "page":
        results = json.loads(Path(store or STORE).read_text(encoding="utf-8"))
    else:
        results = measure(chosen.subject, _options(chosen), store)
    print(json.dumps(results, indent=1) if chosen.json == "-" else markdown(results))
    if chosen.subject in ("all", "page"):
        write(results, chosen.page or PAGE)


def measure(subject: str, options: Options, store: str | None) -> dict[str, Any]:
    """Measure one subject or all of them; what is done is stored after each, so none is lost."""
    results: dict[str, Any] = {"machine": machine(), "rows": [], "targets": []}
    for name in SUBJECTS if subject == "all" else [subject]:
        results["rows"] += SUBJECTS[name](options)
        results["targets"] = judge(results["rows"]) if subject == "all" else []
        if store and store != "-":
            Path(store).parent.mkdir(parents=True, exist_ok=True)
            Path(store).write_text(json.dumps(results, indent=1), encoding="utf-8")
        print(f"{name}: done", file=sys.stderr)
    return results


def _options(chosen: argparse.Namespace) -> Options:
    return Options(
        qubits=chosen.qubits,
        layers=chosen.layers,
        batch=chosen.batch,
        repeats=chosen.repeats,
        against=tuple(chosen.against),
        limit_s=chosen.limit_s,
    )


def _chosen(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    chosen = parser.parse_args(arguments)
    rivals = _others(LIBRARIES if chosen.subject in ATTACKS else PEERS)
    if not {*chosen.against} <= {*rivals}:
        parser.error(f"argument --against: for {chosen.subject} choose from {', '.join(rivals)}")
    return chosen


def _others(table: Mapping[str, Any]) -> list[str]:
    return [name for name in table if name != OURS]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m perf", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("subject", choices=[*SUBJECTS, "all", "page", *ATTACKS, CERTIFICATES])
    parser.add_argument("--qubits", type=_positive, help="one size instead of the subject's own")
    parser.add_argument("--layers", type=_positive)
    parser.add_argument("--batch", type=_positive)
    parser.add_argument("--repeats", type=_positive, default=7, help="rounds (default 7)")
    parser.add_argument(
        "--against",
        nargs="+",
        default=[],
        metavar="NAME",
        choices=[*_others(PEERS), *_others(LIBRARIES)],
        help=f"only these peers, of {', '.join(_others(PEERS))}, or for attacks of {', '.join(_others(LIBRARIES))}",
    )
    parser.add_argument("--limit-s", type=float, default=240.0, help="seconds a contender may use on one workload")
    parser.add_argument("--json", metavar="FILE", help="write results as JSON; - prints them")
    parser.add_argument("--page", type=Path, help="instead of the page of the documentation")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {value}")
    return value


if __name__ == "__main__":
    main()
