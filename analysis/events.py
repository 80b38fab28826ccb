"""TensorBoard's event files, read without TensorBoard: the scalars of a run, step by step.

Start at `scalars`. A file is a row of records (length, checksum of the length, bytes, checksum of the bytes), each an
`Event` message of Protocol Buffers, of which four fields matter here. A file whose last record was cut short is being
written still, or its writer was killed: `scalars` says so.

Source: tensorflow/core/lib/io/record_writer.h and tensorflow/core/util/event.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

PATTERN = "*tfevents*"
_STEP, _SUMMARY = 2, 5
_VALUE = 1
_TAG, _SIMPLE, _TENSOR = 1, 2, 8
_DTYPE, _CONTENT, _FLOATS, _DOUBLES = 1, 4, 5, 6
_FLOAT32, _FLOAT64 = 1, 2


def scalars(path: Path) -> tuple[list[tuple[str, int, float]], bool]:
    """Return tag, step and value of every scalar of an event file, and whether the file is whole.

    Args:
        path: The file.
    """
    found: list[tuple[str, int, float]] = []
    data = path.read_bytes()
    at = 0
    while at < len(data):
        if at + 12 > len(data):
            return found, False
        (length,) = struct.unpack_from("<Q", data, at)
        end = at + 12 + length
        if end + 4 > len(data):
            return found, False
        found += _event(data[at + 12 : end])
        at = end + 4
    return found, True


def _event(message: bytes) -> list[tuple[str, int, float]]:
    step, summaries = 0, list[bytes]()
    for field, value in _fields(message):
        if field == _STEP and isinstance(value, int):
            step = value
        elif field == _SUMMARY and isinstance(value, bytes):
            summaries.append(value)
    rows: list[tuple[str, int, float]] = []
    for summary in summaries:
        for field, value in _fields(summary):
            if field == _VALUE and isinstance(value, bytes):
                tag, number = _value(value)
                if number is not None:
                    rows.append((tag, step, number))
    return rows


def _value(message: bytes) -> tuple[str, float | None]:
    tag, number = "", None
    for field, value in _fields(message):
        if field == _TAG and isinstance(value, bytes):
            tag = value.decode("utf-8", "replace")
        elif field == _SIMPLE and isinstance(value, bytes):
            number = float(struct.unpack("<f", value)[0])
        elif field == _TENSOR and isinstance(value, bytes):
            number = _tensor(value)
    return tag, number


def _tensor(message: bytes) -> float | None:
    """Return the one number of a tensor, or None where it holds another kind or count of them."""
    kind, content = 0, b""
    for field, value in _fields(message):
        if field == _DTYPE and isinstance(value, int):
            kind = value
        elif field in (_CONTENT, _FLOATS, _DOUBLES) and isinstance(value, bytes):
            content = value
    form = {_FLOAT32: "<f", _FLOAT64: "<d"}.get(kind)
    if form is None or len(content) != struct.calcsize(form):
        return None
    return float(struct.unpack(form, content)[0])


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field: a whole number, or the bytes of anything else."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            return
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            break
    return value, at
