"""The checks: each looks at the evidence and says what is wrong, in numbers, or nothing.

None of them measures anything. Whether one search beats another is decided on the inputs where exactly one
of them succeeded, by an exact one-sided sign test, so that a few lucky inputs raise no flag.
"""

from __future__ import annotations

import math

from robustq import stats
from robustq.audit.evidence import Evidence, Pair, Plateau

ALPHA = 0.01  # how often chance alone may raise a flag
MISSED = 3  # inputs that random noise alone must flip: in few dimensions the two are almost equal
CLEARLY = 0.05  # and the attack must still be better at this level
RARE = 0.05  # share of inputs that may lack a gradient
LEAK = 0.01  # share of test rows that may be in another part
HELD_LEAK = 0.1  # share of other rows: they choose an epoch, and no figure rests on them
HALVES_IN_TWO = 0.5  # bits a qubit: a fall that may be as slow as this is not called a plateau


def nothing(evidence: Evidence) -> str | None:
    """Looks at nothing and finds nothing."""
    return None


def vanishing_gradients(evidence: Evidence) -> str | None:
    """More inputs without a usable gradient than one in twenty, by an exact binomial test."""
    flat = evidence.vanished
    if flat is None or stats.at_least(flat.found, flat.of, RARE) >= ALPHA:
        return None
    return (
        f"{flat} inputs have no gradient to follow (none at all, or less than a millionth of what the "
        "logits' own scale calls for); an attack by gradients proves nothing there"
    )


def barren_plateau(evidence: Evidence) -> str | None:
    """A variance that falls exponentially: the rate's whole interval above half a bit a qubit."""
    plateau = evidence.plateau
    if plateau is None:
        return None
    for name, variances in (("parameter", plateau.parameters), ("input", plateau.inputs)):
        low, rate, high = fall(plateau, variances)
        if low > HALVES_IN_TWO:
            return (
                f"the variance of the {name} gradients falls by {rate:.2f} bits a qubit "
                f"({low:.2f} to {high:.2f}) from {plateau.qubits[0]} to {plateau.qubits[-1]} qubits, from "
                f"{variances[0]:.2g} to {variances[-1]:.2g}"
            )
    return None


def fall(plateau: Plateau, variances: tuple[float, ...]) -> tuple[float, float, float]:
    """``(low, rate, high)`` in bits a qubit; one bit a qubit is ``2 ** -qubits``.

    >>> [round(r, 6) for r in fall(Plateau((2, 3, 4), (), ()), (0.25, 0.125, 0.0625))]
    [1.0, 1.0, 1.0]
    """
    logs = [-math.log2(max(v, 1e-300)) for v in variances]
    return stats.slope(plateau.qubits, logs)


def attack_no_better_than_noise(evidence: Evidence) -> str | None:
    """At some eps noise alone flips a few inputs, and the attack alone not clearly more."""
    for level in evidence.levels or ():
        pair = level.noise
        if pair.second >= MISSED and _chance(pair.first, pair.second) > CLEARLY:
            return (
                f"at eps = {level.eps:g} the attack flips {pair.firsts} of {pair.of} inputs, random noise of "
                f"the same size {pair.seconds}; {pair.first} fall to the attack alone, {pair.second} to noise "
                "alone"
            )
    return None


def non_monotone_eps_curve(evidence: Evidence) -> str | None:
    """A larger eps loses more inputs than it gains; corrected for the number of steps (Bonferroni)."""
    levels = evidence.levels or ()
    for level, before in zip(levels[1:], levels, strict=False):
        pair = level.smaller
        if pair and _chance(pair.second, pair.first) < ALPHA / (len(levels) - 1):
            return (
                f"the attack flips {pair.seconds} of {pair.of} inputs at eps = {before.eps:g} but "
                f"{pair.firsts} at eps = {level.eps:g}: {pair.second} are lost, {pair.first} gained"
            )
    return None


def black_box_beats_white_box(evidence: Evidence) -> str | None:
    """A search that sees answers only flips more than the one that sees gradients."""
    return _beaten(evidence.blackbox, "the attack with gradients", "the one without")


def fewer_steps_beat_more(evidence: Evidence) -> str | None:
    """The attack flips more with few steps than with many."""
    return _beaten(evidence.steps, "the attack with all its steps", "the same with fewer")


def ensemble_beats_attack(evidence: Evidence) -> str | None:
    """The parameter-free ensemble flips clearly more than the attack the figures were made with."""
    return _beaten(evidence.ensemble, "the attack", "QuantumAutoAttack")


def noise_free_twin_weaker(evidence: Evidence) -> str | None:
    """Examples made without the noise fool the noisy model more often than those made with it."""
    return _beaten(evidence.twin, "the attack on the noisy gradients", "examples from the noise-free twin")


def _beaten(pair: Pair | None, first: str, second: str) -> str | None:
    if pair is None or _chance(pair.second, pair.first) >= ALPHA:
        return None
    return (
        f"{first} flips {pair.firsts} of {pair.of} inputs, {second} {pair.seconds}; {pair.first} fall to the "
        f"former alone, {pair.second} to the latter alone (sign test, p = "
        f"{_chance(pair.second, pair.first):.1g})"
    )


def _chance(wins: int, losses: int) -> float:
    """How often as many wins come about when neither is better."""
    return stats.at_least(wins, wins + losses)


def randomised_without_eot(evidence: Evidence) -> str | None:
    """A model declared random, attacked through single answers."""
    if not evidence.randomised or evidence.averaged is None or evidence.averaged > 1:
        return None
    return (
        f"the model answers at random, but the attack averages {evidence.averaged} answer for each query; "
        "what looks like robustness may be the attack's confusion"
    )


def changes_in_eval_mode(evidence: Evidence) -> str | None:
    """Different logits for the same input, and no randomness declared."""
    differing = evidence.differing
    if differing is None or not differing.found or evidence.randomised:
        return None
    return f"{differing} inputs got other logits when asked again, though no randomness was declared"


def budget_covers_box(evidence: Evidence) -> str | None:
    """The adversary may replace some inputs by any other: eps limits nothing there."""
    boundless = evidence.boundless
    if not boundless or not boundless.found:
        return None
    return f"for {boundless} inputs the whole box lies within the budget, so that any input is allowed"


def budget_overrun(evidence: Evidence) -> str | None:
    """An adversarial input that lies outside the threat set."""
    over = evidence.overruns
    return None if not over or not over.found else f"{over} adversarial inputs exceed the budget"


def attacked_below_certified(evidence: Evidence) -> str | None:
    """An input that was certified and flipped within its radius."""
    refuted = evidence.certified
    if not refuted or not refuted.found:
        return None
    return f"{refuted} certified inputs were flipped inside their certified radius"


def witness_beats_attack(evidence: Evidence) -> str | None:
    """A certificate knows changes within the budget that the attack did not find."""
    return _beaten(evidence.witnessed, "the attack", "the witnesses of the certificate")


def constant_predictor(evidence: Evidence) -> str | None:
    """One answer for everything, though the labels differ."""
    if evidence.answers is None or evidence.labels is None or not _differ(evidence.labels):
        return None
    if _differ(evidence.answers):
        return None
    total = sum(evidence.answers)
    return f"the model answers class {evidence.answers.index(total)} for all {total} inputs"


def below_majority(evidence: Evidence) -> str | None:
    """No more correct answers than the commonest class has inputs; the burden is the model's."""
    if evidence.correct is None or evidence.labels is None or not _differ(evidence.labels):
        return None
    if evidence.correct > max(evidence.labels):
        return None
    return (
        f"{evidence.correct} of {sum(evidence.labels)} inputs are classified correctly, no more than the "
        f"{max(evidence.labels)} that always answering the commonest class would get"
    )


def _differ(counts: tuple[int, ...]) -> bool:
    return sum(count > 0 for count in counts) > 1


def data_leakage(evidence: Evidence) -> str | None:
    """Test rows, one in a hundred, that are also, or almost, in another part; of other rows one in ten."""
    leaks = [
        f"{count} rows of {name.replace(' in ', ' are in ')}"
        for name, count in (evidence.shared or {}).items()
        if count.found > count.of * (LEAK if name.startswith("test ") else HELD_LEAK)
    ]
    return f"{', '.join(leaks)}, exactly or almost, as the model sees them" if leaks else None


def probabilities_instead_of_logits(evidence: Evidence) -> str | None:
    """Every row of the output lies in [0, 1] and sums to one."""
    rows = evidence.normalised
    if rows is None or not rows.of or rows.found < rows.of:
        return None
    return (
        f"all {rows.of} rows of the output lie in [0, 1] and sum to one: they look like probabilities, and "
        "losses that expect logits lose most of their gradient on them"
    )
