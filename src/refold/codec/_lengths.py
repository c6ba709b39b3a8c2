"""Whole numbers in as few bytes as they need."""

LONGEST = 9  # bytes


def length_bytes(length: int) -> bytes:
    """Return a length: seven bits a byte, low ones first, all bytes but the last with the highest bit.

    Examples
    --------
    >>> length_bytes(300), read_length(length_bytes(300))
    (b'\\xac\\x02', (300, 2))
    """
    found = bytearray()
    while length > 127:
        found.append(length & 127 | 128)
        length >>= 7
    return bytes([*found, length])


def read_length(data: bytes, start: int = 0) -> tuple[int, int]:
    """Return the length that begins at `start`, and where it ends.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = 0
    for place, byte in enumerate(data[start : start + LONGEST]):
        found |= (byte & 127) << 7 * place
        if byte < 128:
            return found, start + place + 1
    raise ValueError("a length is not one")
