"""Whether the tests notice a wrong line: single changes to the package, each of which some test has to fail.

    python tools/mutations.py [WORD]

changes one line in a copy of the package, runs the quick tests of that part and, where they notice nothing, all
of them at full size. WORD chooses the files whose path holds it. Exits 1 if a change went unnoticed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PROOF = ("-m", "", "--hypothesis-profile=prove")
# The editable installation would put the ordinary package before the changed one.
FIRST = 'import sys\nsys.meta_path[:] = [f for f in sys.meta_path if "ScikitBuild" not in type(f).__name__]\n'


class Mutation(NamedTuple):
    """A line of the package made wrong, and the tests whose task it is to notice."""

    path: str
    right: str
    wrong: str
    tests: str


MUTATIONS = (
    Mutation(
        "engine/lowering.py", "-angles[..., None] * self", "angles[..., None] * self", "engine/test_agreement.py"
    ),
    Mutation("engine/transfer.py", '"Y" if turns else "Z"', '"X" if turns else "Z"', "engine/test_transfer.py"),
    Mutation("attacks/pgd.py", "if run else problem.x", "if False else problem.x", "attacks/test_attacks.py"),
    Mutation("attacks/verdict.py", "correct & (strong | near)", "strong | near", "attacks/test_attacks.py"),
    Mutation("attacks/apgd.py", "loss > self.best_loss", "loss < self.best_loss", "attacks/test_searching.py"),
    Mutation("attacks/square.py", "column(loss > best,", "column(loss < best,", "attacks/test_black_box.py"),
    Mutation("threats/l1.py", ".cumsum(1) - self.eps", ".cumsum(1) + self.eps", "threats"),
    Mutation("threats/linf.py", "return gradient.sign()", "return -gradient.sign()", "threats"),
    Mutation("stats/intervals.py", "(4 * trials * trials)", "(2 * trials * trials)", "stats"),
    Mutation("stats/detection.py", "np.ceil(found * len(high) - 1e-9)", "np.floor(found * len(high))", "stats"),
    Mutation("certify/state.py", ".clamp(max=1) ** 2", ".clamp(max=1)", "certify/test_exact.py"),
    Mutation("certify/smoothing/sampling.py", "samples, self.alpha)", "samples, 0.5)", "certify/test_smoothing.py"),
    Mutation("certify/slopes/lipschitz.py", "[:, None] + constants)", "[:, None])", "certify/test_lipschitz.py"),
    Mutation("noise/channels.py", "p / 4**qubits", "p / 3**qubits", "noise/test_channels.py"),
    Mutation(
        "noise/model.py", "self.p10), (self.p01,", "self.p01), (self.p10,", "noise engine/test_noise_and_shots.py"
    ),
    Mutation("mitigation/confusion.py", "-b / a", "b / a", "mitigation/test_readout.py"),
    Mutation("mitigation/zne.py", "len(scales) - 1", "1", "mitigation/test_zne.py"),
    Mutation(
        "defences/training/trades.py", "losses + self.beta", "losses - self.beta", "defences/test_trades_mart.py"
    ),
    Mutation(
        "uncertainty/conformal/split.py", "ceil((count + 1) *", "ceil(count *", "uncertainty/conformal/test_split.py"
    ),
    Mutation("models/training.py", "score < self.best_loss", "score > self.best_loss", "models"),
    Mutation("data/prepare.py", "np.clip(scaled, 0, 1)", "scaled", "data/test_prepare.py"),
    Mutation("audit/checks.py", "(pair.second, pair.first) < ALPHA", "(pair.first, pair.second) < ALPHA", "audit"),
    Mutation("bench/cost.py", "own + (inner if attacked else 0)", "own", "bench/test_cost.py"),
)


def changed(mutation: Mutation, source: Path) -> Path:
    """The copy with the line made wrong; returns where it stands, to be put right again."""
    path = source / "robustq" / mutation.path
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.right) != 1:
        raise SystemExit(
            f"{mutation.path}: expected {mutation.right!r} once, got it {text.count(mutation.right)} times"
        )
    path.write_text(text.replace(mutation.right, mutation.wrong), encoding="utf-8")
    return path


def noticed(mutation: Mutation, source: Path, *options: str) -> bool:
    """Whether a test fails on the copy."""
    tests = [str(ROOT / "tests" / name) for name in mutation.tests.split()]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", *options, *tests],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1, 2):  # neither tests nor their modules failed: pytest could not run them
        raise SystemExit(done.stdout + done.stderr)
    return done.returncode > 0


def main() -> int:
    """A line for every mutation; 1 if one of them went unnoticed."""
    chosen = [m for m in MUTATIONS if "".join(sys.argv[1:2]) in m.path]
    unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source)
        (source / "sitecustomize.py").write_text(FIRST, encoding="utf-8")
        for mutation in chosen:
            path = changed(mutation, source)
            by = "quick" if noticed(mutation, source) else "full" if noticed(mutation, source, *PROOF) else "nobody"
            shutil.copyfile(ROOT / "src" / "robustq" / mutation.path, path)
            unnoticed += by == "nobody"
            print(f"{by:7}{mutation.path}: {mutation.right} -> {mutation.wrong}", flush=True)
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
