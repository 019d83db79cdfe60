"""Write data/fashion_mnist/3.0.1 from the files of Debian's package dataset-fashion-mnist.

    sudo apt-get install dataset-fashion-mnist
    python data/prepare_fashion_mnist.py [--output FOLDER]

TensorFlow Datasets' own builder does the work, so `tfds.load("fashion_mnist", data_dir="data")`
reads the result like any set it prepared itself. The builder gets the four files as Zalando
published them: Debian's are the same compressed streams with another gzip header (no file name,
Debian's date). With the published header put back, their SHA-256 is the one that TensorFlow
Datasets ships; a file with another sum is refused.
"""

import argparse
import hashlib
import struct
import tempfile
from pathlib import Path

SOURCE = Path("/usr/share/datasets/fashion-mnist")

# The date in each published gzip header, in seconds since 1970 (31 August 2017).
PUBLISHED = {
    "train-images-idx3-ubyte.gz": 1504176606,
    "train-labels-idx1-ubyte.gz": 1504176606,
    "t10k-images-idx3-ubyte.gz": 1504176627,
    "t10k-labels-idx1-ubyte.gz": 1504176627,
}


def published_bytes(path):
    """Return the gzip file `path` (header without a name) with its published header."""
    content = path.read_bytes()
    if content[:4] != b"\x1f\x8b\x08\x00":
        raise ValueError(f"{path}: a gzip file without a file name in its header is expected")
    name = path.name.removesuffix(".gz").encode() + b"\0"
    date = struct.pack("<I", PUBLISHED[path.name])
    return b"\x1f\x8b\x08\x08" + date + b"\x00\x03" + name + content[10:]


def restore(source, target, checksums):
    """Write the four published files into `target`; `checksums` maps name -> SHA-256."""
    for name in PUBLISHED:
        content = published_bytes(source / name)
        found = hashlib.sha256(content).hexdigest()
        if found != checksums[name]:
            raise ValueError(f"{source / name}: SHA-256 {found}, published is {checksums[name]}")
        (target / name).write_bytes(content)


def prepare(source, output):
    """Build fashion_mnist/3.0.1 under `output`; return its folder."""
    import tensorflow_datasets as tfds

    with tempfile.TemporaryDirectory() as scratch:
        builder = tfds.builder("fashion_mnist:3.0.1", data_dir=output)
        checksums = {info.filename: info.checksum for info in builder.url_infos.values()}
        restore(source, Path(scratch), checksums)
        builder.download_and_prepare(
            download_dir=Path(scratch) / "downloads",
            download_config=tfds.download.DownloadConfig(
                manual_dir=scratch, force_checksums_validation=True
            ),
        )
        return Path(builder.data_dir)


def write_sums(output, folder):
    """Write output/SHA256SUMS for the files in `folder`, in the form of sha256sum."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(output).as_posix()}\n"
        for path in sorted(folder.iterdir())
    ]
    (output / "SHA256SUMS").write_text("".join(lines), encoding="utf-8", newline="\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, default=SOURCE)
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent)
    options = parser.parse_args()
    folder = prepare(options.source, options.output)
    write_sums(options.output, folder)
    print(folder)


if __name__ == "__main__":
    main()
