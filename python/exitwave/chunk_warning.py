"""Chunks of a file that make a run read much more than it needs."""

from __future__ import annotations

import warnings

from exitwave.counts import CHUNK_BYTES, Counts

# Bytes read for each byte needed that are worth a warning.
_WASTEFUL = 2.0


def warn_of_chunks(counts: Counts, *, in_groups: bool) -> None:
    """Warn where counts stay in a file whose chunks make a run read much more than it needs.

    ``in_groups``: some engine draws its frames from all over the scan.
    """
    chunks = getattr(counts.data, "chunks", None)
    if counts.in_memory or chunks is None:
        return
    from exitwave.io.rechunk import reading_factor

    run = 1 if in_groups else max(1, CHUNK_BYTES // counts.frame_bytes)
    factor = reading_factor(chunks, counts.data.shape, run)
    if factor >= _WASTEFUL:
        shape = " x ".join(map(str, chunks))
        warnings.warn(
            f"data stay in their file, whose chunks of {shape} make a pass read about "
            f"{factor:.1f} times what it needs; write it anew with one frame per chunk: exitwave "
            f"rechunk {counts.data.file.filename} NEW_FILE --data {counts.data.name}.",
            stacklevel=4,
        )
