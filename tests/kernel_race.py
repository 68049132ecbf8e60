"""Many callers on many threads: the kernel without torch, to be run under ThreadSanitizer (``make race``).

Every job runs once alone and then beside others; the answers must not differ by a bit.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

QUBITS, FEATURES, PARAMETERS, ROWS = 7, 3, 7, 2
NARROW = 5  # qubits with noise
THREADS = 3  # of the kernel, for each of as many callers


def ints(table, columns):
    return np.array(table, np.int32).reshape(-1, columns)


def angles(qubits):
    """Monomials, coefficients and factors: a batched turn, a shared turn and a pair a qubit."""
    monomials, factors = [], []
    for q in range(qubits):
        monomials += [[1 + PARAMETERS + q % FEATURES, 1 + q], [1 + q, 0], [1 + PARAMETERS, 0]]
    for kind in range(3):
        for q in range(qubits):
            pair = (q + 1) % qubits if kind == 2 else -1
            factors.append([3 * q + kind, 1, q, pair, int(kind != 1), int(kind == 2)])
    coefficients = np.random.default_rng(1).normal(size=len(monomials))
    return ints(monomials, 2), coefficients, ints(factors, 6)


def pure_plan(kernel):
    state = np.arange(2**QUBITS, dtype=np.int32)
    places = np.stack([state, state ^ (state >> 1 & 1)])
    steps = [[0, 0, 0, QUBITS, QUBITS], [1, 1, 1, 2 * QUBITS, QUBITS], [0, 1, 1, 0, QUBITS]]
    last = 1
    return kernel.Plan(QUBITS, PARAMETERS, FEATURES, *angles(QUBITS), QUBITS, ints(steps * 3, 5), places, last)


def reading(kernel):
    rng, size = np.random.default_rng(2), 2**QUBITS
    index = np.arange(size, dtype=np.int32)[None] ^ 5
    return kernel.Reading(
        ROWS, rng.normal(size=(1, size)), np.ones(1, np.int32), index, np.ones((1, size)), np.zeros((1, size))
    )


def noisy_plan(kernel):
    """Every factor as a map with a random channel after it, of one qubit or of two."""
    rng = np.random.default_rng(3)
    monomials, coefficients, factors = angles(NARROW)
    small = np.stack([np.zeros((4, 4)), np.eye(4) + 0.01 * rng.normal(size=(4, 4))])
    small[0, 1, 3], small[0, 3, 1] = 1, -1
    large = np.stack([np.zeros((16, 16)), np.eye(16) + 0.01 * rng.normal(size=(16, 16))])
    large[0, 4, 8], large[0, 8, 4] = -1, 1
    pieces = [piece for k in range(len(factors)) for piece in ([0, k], [1, -1])]
    ops = [[q0, q1, 2 * k, 2] for k, (q0, q1) in enumerate(factors[:, 2:4])]
    return kernel.TransferPlan(
        NARROW,
        PARAMETERS,
        FEATURES,
        monomials,
        coefficients,
        factors,
        ints(pieces, 2),
        ints(ops, 4),
        small.reshape(-1, 16),
        large.reshape(-1, 256),
    )


def jobs(kernel, dtype, seed):
    """Callables ``threads -> numbers``, one for each thing that the kernel does."""
    rng = np.random.default_rng(seed)
    batch, lanes = 600, 64 // np.dtype(dtype).itemsize
    x = rng.normal(size=(batch, FEATURES)).astype(dtype)
    theta = rng.normal(size=(1, PARAMETERS)).astype(dtype)
    upstream = rng.normal(size=(batch, ROWS)).astype(dtype)
    vectors = rng.normal(size=(batch, 4**NARROW)).astype(dtype)
    none = np.zeros((0, 0), dtype)
    pure, read, noisy = pure_plan(kernel), reading(kernel), noisy_plan(kernel)

    def values_and_gradients(threads):
        kept = np.empty((1, -(-batch // lanes) * lanes * 2 * 2**QUBITS), dtype)
        out, grads = np.empty((batch, ROWS), dtype), (np.empty_like(theta), np.zeros_like(x))
        kernel.forward(pure, read, theta, x, np.zeros((batch, 0), dtype), kept, out, threads)
        kernel.backward(
            pure,
            read,
            theta,
            x,
            np.zeros((batch, 0), dtype),
            kept,
            upstream,
            *grads,
            np.zeros((batch, 0), dtype),
            threads,
        )
        return np.concatenate([out.ravel(), *(g.ravel() for g in grads)])

    def noisy_values_and_gradients(threads):
        out, grads = np.empty_like(vectors), (np.empty_like(theta), np.zeros_like(x))
        kernel.transfer(noisy, False, theta, x, none, out, none, none, none, False, threads)
        given = vectors.copy()
        start, back = np.empty_like(vectors), vectors.copy()
        kernel.transfer(noisy, True, theta, x, given, back, *grads, start, True, threads)
        return np.concatenate([out.ravel(), start.ravel(), *(g.ravel() for g in grads)])

    return [values_and_gradients, noisy_values_and_gradients]


def main():
    import _robustq_kernel as kernel

    work = [job for k, dtype in enumerate((np.float32, np.float64)) for job in jobs(kernel, dtype, k)]
    alone = [job(1) for job in work]
    assert all(np.isfinite(numbers).all() for numbers in alone)
    with ThreadPoolExecutor(THREADS) as pool:
        together = list(pool.map(lambda job: job(THREADS), work * 4))
    for expected, found in zip(alone * 4, together, strict=True):
        assert np.array_equal(expected, found)
    print(f"{len(together)} jobs of {THREADS} callers on {THREADS} threads each: the same to the bit")
    return 0


if __name__ == "__main__":
    sys.exit(main())
