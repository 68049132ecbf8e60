"""Our PGD beside that of other libraries: same frozen model, same rows, same budget, one judge."""

from functools import cache
from importlib.util import find_spec

import pytest
from perf.attack_peers import art, foolbox, ours
from perf.attacks import judge, quiet, seeded
from perf.scenes import SUBJECTS

from cases import few
from robustq.threats import L2, Linf

PEERS = {"foolbox": foolbox.ATTACKS, "art": art.ATTACKS}
NORMS = {"linf": Linf, "l2": L2}
ROWS = 60


@cache
def scenes():
    """The breast-cancer QNN under both threats; its data ship with scikit-learn."""
    found = SUBJECTS["breast cancer, QNN, angles"].scenes(ROWS)
    return dict(zip(NORMS, found, strict=True))


@cache
def standing(norm):
    """Rows that survive our weaker loss and our stronger one, whichever leaves more."""
    scene = scenes()[norm]
    found = [judge(scene, search(scene)) for search in ours.ATTACKS[norm].values()]
    assert all(each.outside == 0 for each in found)
    return max(int(each.robust.sum()) for each in found)


@pytest.mark.parametrize("norm", few([*NORMS]))
def test_the_budgets_tell_attacks_apart(norm):
    scene = scenes()[norm]
    assert isinstance(scene.threat, NORMS[norm])
    clean = int(judge(scene, scene.x).robust.sum())
    assert 0.1 * ROWS < standing(norm) < 0.9 * clean


@pytest.mark.parametrize("norm", few([*NORMS]))
@pytest.mark.parametrize("peer", PEERS)
def test_our_pgd_is_no_weaker_than_theirs(peer, norm):
    if find_spec(peer) is None:
        pytest.skip(f"{peer} is not installed (pip install '.[perf]')")
    scene = scenes()[norm]
    with quiet(), seeded():
        theirs = judge(scene, PEERS[peer][norm]["PGD 100 x 5"](scene))
    assert theirs.outside == 0
    assert standing(norm) <= int(theirs.robust.sum()) + 1
