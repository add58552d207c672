"""Crowds: of chunks that are nearly the same as many others, most are kept apart, and searched as well.

A search in Chroma's graph (HNSW) goes from vector to nearer vector. Where thousands are nearly the same, as the lines
of a log or a file that repeats itself, they lead to one another and hardly anywhere else: a search that gets in among
them does not get out, and finds nothing but them. So `MOST` of those that are like one another are in the graph with
everything else, and the others in one of their own. Of 14,958 chunks of documents beside 10,000 of a log, 270 could not
be found by their own vector; with the log in a graph of its own all can (docs/architecture.md).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

NEARLY = 0.95
"""Cosine similarity from which on vectors count as nearly the same. The 17th nearest of a log's lines is at .98 or
more, that of chunks of documents at .87 at most."""
MOST = 16
"""So many that are nearly the same stay with everything else: as many as a new vector of the graph is linked to."""
TELLING = 4
"""More others in a lot, or chunks of the same text in the collection, are a reason to look for more: of 1,024 chunks
one in 200. Beside 800 of the same text, one in 20, a hundredth of 15,000 chunks were lost."""
FEW = 64
"""Vectors that come alone or so few together are always looked for, as one cannot tell from them."""


def crowded(
    vectors: NDArray[np.float32],
    repeated: Sequence[bool],
    count_near: Callable[[NDArray[np.float32]], Sequence[int]],
) -> NDArray[np.bool_]:
    """Which of the vectors (rows) belong to a crowd and are to be kept apart.

    `repeated` are those whose text the collection has more than `TELLING` times. `count_near` says for each row of an
    array how many vectors are there that are nearly the same, up to `MOST`.
    """
    unit = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-12)
    near = unit @ unit.T >= NEARLY
    doubtful = np.flatnonzero(np.asarray(repeated, bool) | (near.sum(axis=1) > TELLING + 1) | (len(unit) <= FEW))
    stay = np.ones(len(unit), bool)
    stay[doubtful] = False
    there = count_near(vectors[doubtful]) if len(doubtful) else ()
    for place, count in zip(doubtful, there, strict=True):
        stay[place] = count + np.count_nonzero(near[place] & stay) < MOST
    return ~stay
