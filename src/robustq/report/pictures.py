"""Small pictures for the worst examples, embedded in the page."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence


def grey_png(values: Sequence[float], shape: Sequence[int]) -> str:
    """A ``data:`` URL of a grey PNG of values in [0, 1], row by row.

    >>> grey_png([0.0, 1.0], (1, 2))[:22]
    'data:image/png;base64,'
    """
    height, width = shape[0], shape[1]
    levels = bytes(round(255 * min(max(v, 0.0), 1.0)) for v in values)
    rows = b"".join(b"\0" + levels[r * width : (r + 1) * width] for r in range(height))
    content = _chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0))
    content += _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + content).decode()


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def difference_png(x: Sequence[float], x_adv: Sequence[float], shape: Sequence[int]) -> str:
    """The change, amplified to full contrast: grey is no change, white up, black down."""
    delta = [b - a for a, b in zip(x, x_adv, strict=True)]
    largest = max(map(abs, delta)) or 1.0
    return grey_png([0.5 + 0.5 * d / largest for d in delta], shape)
