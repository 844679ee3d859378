"""Constants of Philox4x32-10 (Salmon et al., SC 2011, section 3.3), and how its words are given out to elements."""

import numpy as np

MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
N_ROUNDS = 10

# Counters side by side: word w of counters 16 q .. 16 q + 15 are the elements 64 q + 16 w .. 64 q + 16 w + 15.
GROUP = 16
