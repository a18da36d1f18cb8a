"""How much memory and disk the embedded server may use: from what the machine has, when its data is to last."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_MB = 1024 * 1024
_GB = 1024 * _MB
_BUFFERS_LEAST, _BUFFERS_MOST, _BUFFERS_PART = 128 * _MB, 2 * _GB, 8
_WAL_MOST, _WAL_PART = 4 * _GB, 10
_WAL_USUAL = 1 * _GB


def of_machine(folder: Path) -> dict[str, str]:
    """Settings for the disk that ``folder`` is on, in PostgreSQL's units.

    What was not touched since the last checkpoint goes into the log as a whole page: on a ledger of many wallets rare
    checkpoints halve what is written. The price is a longer recovery after a crash.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return chosen(memory, shutil.disk_usage(folder).free)


def chosen(memory: int, free: int) -> dict[str, str]:
    """An eighth of the memory for buffers, and of the log up to a tenth of the free disk; bytes in."""
    buffers = min(_BUFFERS_MOST, max(_BUFFERS_LEAST, memory // _BUFFERS_PART))
    log = min(_WAL_MOST, max(_WAL_USUAL, free // _WAL_PART))
    return {
        "shared_buffers": f"{buffers // _MB}MB",
        "max_wal_size": f"{log // _MB}MB",
        "checkpoint_timeout": "15min" if log > _WAL_USUAL else "5min",
    }
