"""Looks for tokens in files of any size, byte by byte."""

import base64
import errno
import os

# A leak of twice this many characters in a row is found wherever it begins.
WINDOW = 40
# How much of a file is looked at in one go.
CHUNK = 64 << 20


def needles(token):
    """Pieces of a token, as it is and as base64 would show it.

    Payload and signature are cut into pieces without gaps, so that a wrapped or
    shortened token is found as well. The header is the same in every token.
    """
    secret = token.split(".", 1)[-1]
    texts = [secret]
    for shift in range(3):
        # The first and last four characters depend on the neighbours.
        texts.append(base64.b64encode(b"\0" * shift + secret.encode())[4:-4].decode())
    pieces = {text[at:at + WINDOW] for text in texts for at in range(0, len(text) - WINDOW + 1, WINDOW)}
    # A run of equal characters would also be found in places without a token.
    return sorted(piece.encode() for piece in pieces if len(set(piece)) > 12)


def extents(file):
    """The parts of a sparse file that are not holes."""
    size, at = os.fstat(file).st_size, 0
    while at < size:
        try:
            at = os.lseek(file, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(file, at, os.SEEK_HOLE)
        yield at, end
        at = end


def search(path, wanted):
    """The pieces of `wanted` that the file holds, each with its first offset."""
    wanted, found = set(wanted), []
    overlap = max(map(len, wanted), default=1) - 1
    file = os.open(path, os.O_RDONLY)
    try:
        for start, end in extents(file):
            for at in range(start, end, CHUNK):
                content = os.pread(file, min(CHUNK + overlap, end - at), at)
                here = {piece: content.find(piece) for piece in wanted}
                found += [(at + offset, piece) for piece, offset in here.items() if offset >= 0]
                wanted -= {piece for _, piece in found}
    finally:
        os.close(file)
    return found
