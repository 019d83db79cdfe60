"""Reads the image records that TensorFlow Datasets writes, with NumPy alone.

TensorFlow is not needed, so the embedded data set also serves a machine that has only JAX.
Three formats are nested: a TFRecord file holds length-prefixed records; a record is a protocol
buffer `tf.train.Example`; its image is a PNG. Of each only what the embedded set uses is
understood: byte and integer features, PNG of 8-bit grey values without interlacing.
"""

import struct
import zlib

import numpy as np


def read_records(path):
    """Return the records of a TFRecord file as a list of bytes.

    Raises ValueError, naming the file, when it ends inside a record. The checksums in the file
    (CRC-32C) are not looked at: the caller compares the file's SHA-256.
    """
    content = path.read_bytes()
    records, position = [], 0
    while position < len(content):
        # length (8 bytes), its checksum (4), the record, its checksum (4)
        end = position + 16
        if end <= len(content):
            end += struct.unpack_from("<Q", content, position)[0]
        if end > len(content):
            raise ValueError(f"{path} ends inside record {len(records)}")
        records.append(content[position + 12 : end - 4])
        position = end
    return records


def _fields(message):
    """Yield (field number, value) of a protocol buffer; the value is an int or bytes."""
    position = 0

    def varint():
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    while position < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 2:
            end = varint() + position
            yield key >> 3, message[position:end]
            position = end
        else:
            raise ValueError(f"field {key >> 3} has wire type {key & 7}; 0 and 2 are understood")


def parse_example(record):
    """Return a `tf.train.Example` as a dict: name -> its first value, bytes or int >= 0.

    Raises ValueError for a feature of another type (the format also has floats).
    """
    values = {}
    for _, features in _fields(record):
        for _, entry in _fields(features):
            name, feature = (value for _, value in _fields(entry))
            for kind, content in _fields(feature):
                if kind == 2:  # floats
                    raise ValueError(f"feature {name.decode()!r} holds floats, not bytes or ints")
                (_, value), *_ = _fields(content)
                values[name.decode()] = value if kind == 1 else _packed_integer(value)
    return values


def _packed_integer(content):
    """Return the first integer of a packed list: seven bits a byte, the last one below 128."""
    value = 0
    for place, byte in enumerate(content):
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            break
    return value


def decode_pngs(pngs):
    """Decode equally large PNGs of 8-bit grey values -> uint8 array (n, height, width, 1).

    All images are decoded together, one column of pixels at a time: 70,000 images of 28x28 take
    about two seconds, where decoding them one by one takes six. Raises ValueError for any other
    kind of PNG.
    """
    if not pngs:
        raise ValueError("no PNG was given; at least one is needed")
    header = pngs[0][:29]  # signature (8), length and name of the first chunk (8), its 13 bytes
    width, height = struct.unpack_from(">II", header, 16)
    if header[:8] != b"\x89PNG\r\n\x1a\n" or header[24:] != b"\x08\x00\x00\x00\x00":
        raise ValueError("a PNG of 8-bit grey values without interlacing is expected")
    rows = []
    for number, png in enumerate(pngs):
        if png[:29] != header:
            raise ValueError(f"image {number} is not a {height}x{width} PNG like the first one")
        rows.append(zlib.decompress(_image_data(png)))
        if len(rows[-1]) != height * (width + 1):
            raise ValueError(f"image {number} has {len(rows[-1])} bytes of pixels")
    filtered = np.frombuffer(b"".join(rows), np.uint8).reshape(len(pngs), height, width + 1)
    pixels = _unfilter(filtered.transpose(1, 2, 0)).transpose(2, 0, 1)
    return np.ascontiguousarray(pixels)[..., np.newaxis]


def _image_data(png):
    parts, position = [], 8
    while position < len(png):
        length = int.from_bytes(png[position : position + 4], "big")
        if png[position + 4 : position + 8] == b"IDAT":
            parts.append(png[position + 8 : position + 8 + length])
        position += length + 12
    return b"".join(parts)


def _unfilter(filtered):
    """Undo PNG's row filters: (height, 1 + width, n) -> (height, width, n), both uint8.

    The first byte of a row is its filter. A filter predicts a pixel from the pixel to its left,
    the one above, and the one above left; the file holds the difference modulo 256.
    """
    height, width, count = filtered.shape[0], filtered.shape[1] - 1, filtered.shape[2]
    # One row and one column of zeros around the picture, as the filters assume.
    pixels = np.zeros((height + 1, width + 1, count), np.int16)
    for y in range(height):
        kinds = filtered[y, 0]
        if kinds.max() > 4:
            raise ValueError(f"PNG filter {kinds.max()}; PNG has filters 0 to 4")
        for kind in range(5):
            chosen = np.flatnonzero(kinds == kind)
            above = pixels[y][:, chosen]
            row = np.zeros_like(above)
            row[1:] = filtered[y, 1:][:, chosen]
            for x in range(1, width + 1):
                if kind == 1:
                    row[x] += row[x - 1]
                elif kind == 2:
                    row[x] += above[x]
                elif kind == 3:
                    row[x] += (row[x - 1] + above[x]) >> 1
                elif kind == 4:
                    row[x] += _paeth(row[x - 1], above[x], above[x - 1])
                row[x] &= 255
            pixels[y + 1][:, chosen] = row
    return pixels[1:, 1:].astype(np.uint8)


def _paeth(left, above, corner):
    """Of the three neighbours, the one nearest to left + above - corner (PNG, section 9.4)."""
    to_left, to_above = np.abs(above - corner), np.abs(left - corner)
    to_corner = np.abs(left + above - 2 * corner)
    nearest = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, nearest)
