"""The TensorFlow-free reader against the real ones: TensorFlow for records, Pillow for PNG."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from course_lib import tfrecord


def paeth(left, above, corner):
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))


def png(pixels, kinds, depth=8):
    """Encode (height, width) uint8 pixels, row y with filter kinds[y], in two IDAT chunks."""
    height, width = pixels.shape
    padded = np.pad(pixels.astype(int), ((1, 0), (1, 0)))
    content = bytearray()
    for y, kind in enumerate(kinds, start=1):
        content.append(kind)
        for x in range(1, width + 1):
            left, above, corner = padded[y, x - 1], padded[y - 1, x], padded[y - 1, x - 1]
            guess = (0, left, above, (left + above) // 2, paeth(left, above, corner))[kind]
            content.append((padded[y, x] - guess) % 256)
    packed = zlib.compress(bytes(content))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)),
        (b"IDAT", packed[:7]),
        (b"IDAT", packed[7:]),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 4), st.data())
def test_png_filters_are_undone_as_pillow_does(height, width, count, data):
    rows = st.lists(st.integers(0, 4), min_size=height, max_size=height)
    bytes_ = st.binary(min_size=height * width, max_size=height * width)
    pictures = [
        np.frombuffer(data.draw(bytes_), np.uint8).reshape(height, width) for _ in range(count)
    ]
    pngs = [png(picture, data.draw(rows)) for picture in pictures]
    decoded = tfrecord.decode_pngs(pngs)
    assert decoded.shape == (count, height, width, 1) and decoded.dtype == np.uint8
    for one, coded, picture in zip(decoded, pngs, pictures, strict=True):
        assert (np.asarray(Image.open(io.BytesIO(coded))) == picture).all()
        assert (one[..., 0] == picture).all()


def test_other_pngs_are_refused():
    small, large = np.zeros((2, 2), np.uint8), np.zeros((3, 2), np.uint8)
    with pytest.raises(ValueError, match="no PNG"):
        tfrecord.decode_pngs([])
    with pytest.raises(ValueError, match="8-bit grey"):
        tfrecord.decode_pngs([png(small, [0, 0], depth=4)])
    with pytest.raises(ValueError, match="image 1 is not a 2x2 PNG"):
        tfrecord.decode_pngs([png(small, [0, 0]), png(large, [0, 0, 0])])
    with pytest.raises(ValueError, match="image 0 has 3 bytes"):
        tfrecord.decode_pngs([png(small, [0])])
    coloured = io.BytesIO()
    Image.new("RGB", (2, 2)).save(coloured, "PNG")
    with pytest.raises(ValueError, match="8-bit grey"):
        tfrecord.decode_pngs([coloured.getvalue()])


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.text(min_size=1), st.integers(0, 2**62) | st.binary(), max_size=5))
def test_examples_are_parsed_as_tensorflow_writes_them(values):
    features = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        if isinstance(value, int)
        else tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for name, value in values.items()
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    assert tfrecord.parse_example(example.SerializeToString()) == values


def test_a_feature_of_another_type_is_refused():
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[1.0]))
    example = tf.train.Example(features=tf.train.Features(feature={"x": feature}))
    with pytest.raises(ValueError, match="feature 'x'"):
        tfrecord.parse_example(example.SerializeToString())


def test_records_are_read_and_a_cut_file_is_named(tmp_path):
    path = tmp_path / "small.tfrecord"
    records = [b"", b"one", b"\x00" * 300]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    assert tfrecord.read_records(path) == records
    whole = path.read_bytes()
    ends = {16, 16 + 19, len(whole)}
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        if length in ends:
            assert tfrecord.read_records(path) == records[: sorted(ends).index(length) + 1]
        else:
            with pytest.raises(ValueError, match="small.tfrecord ends inside record"):
                tfrecord.read_records(path)
