"""Philox4x32-10 (Salmon et al., SC 2011, section 3.3): random words as a function of a key and a counter."""

import numpy as np

MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
N_ROUNDS = 10

# Counters side by side: word w of counters 16 q .. 16 q + 15 are the elements 64 q + 16 w .. 64 q + 16 w + 15.
GROUP = 16


def blocks(key, low, high):
    """The four words of each block.

    Parameters
    ----------
    key : int
        64 bits.
    low, high : array of uint64 of shape (n,), and int of 64 bits
        The halves of the 128-bit counter.

    Returns
    -------
    ndarray of uint64 below 2^32, shape (4, n)
    """
    k = [np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)]
    c = [low & LOW, low >> HALF, np.uint64(high & 0xFFFFFFFF), np.uint64(high >> 32)]
    for _ in range(N_ROUNDS):
        first, second = MULTIPLIERS[0] * c[0], MULTIPLIERS[1] * c[2]
        c = [(second >> HALF) ^ c[1] ^ k[0], second & LOW, (first >> HALF) ^ c[3] ^ k[1], first & LOW]
        k = [(word + step) & LOW for word, step in zip(k, WEYL)]
    return np.array(c)


def words(key, call, n):
    """The words of the elements 0 .. n - 1 of a call.

    Parameters
    ----------
    key, call : int
    n : int

    Returns
    -------
    ndarray of uint64 below 2^32, shape (n,)
    """
    n_groups = -(-n // (4 * GROUP))
    by_word = blocks(key, np.arange(n_groups * GROUP, dtype=np.uint64), call).reshape(4, n_groups, GROUP)
    return by_word.transpose(1, 0, 2).reshape(-1)[:n]
