"""Train what the chapters show as recorded: one JSON a run, and only the runs that are missing.

    python scripts/records.py            list the experiments and what is missing
    python scripts/records.py alexnet    train the missing runs of one chapter

Each is a call of course_lib.training with the words below; delete a record to train it again.
"""

import sys
from pathlib import Path

from course_lib import training

RECORDS = Path(__file__).resolve().parents[1] / "course_lib" / "records"
SEEDS = "--seeds 0 1 2"
SHORT = "--epochs 10 --train-limit 4000 --learning-rate 0.002"
# Fewer pictures, seen more often: here a network can learn them by heart.
REPEATED = "--epochs 25 --train-limit 2000 --learning-rate 0.002"

EXPERIMENTS = {
    "alexnet": {
        "base": f"alexnet_small {SHORT}",
        "tanh": f"alexnet_small {SHORT} --set activation='tanh' "
        "--set initialization='glorot_normal'",
        "no_lrn": f"alexnet_small {SHORT} --set normalization=None",
        "no_overlap": f"alexnet_small {SHORT} --set overlapping=False",
        "no_conv3": f"alexnet_small {SHORT} --set without='conv3'",
        "one_gpu": f"alexnet_small {SHORT} --set groups=1 --set widths=(6,16,24,24,32)",
        "repeated": f"alexnet_small {REPEATED}",
        "repeated_no_dropout": f"alexnet_small {REPEATED} --set dropout=0",
        "repeated_augment": f"alexnet_small {REPEATED} --augment",
        "long": "alexnet_small --epochs 5 --learning-rate 0.002",
    },
}


def missing(word, label):
    """Return the seeds of an experiment that have no record yet."""
    return [s for s in (0, 1, 2) if not (RECORDS / word / f"{label}_seed{s}.json").exists()]


def main(words):
    """Train the missing runs of the given chapters, or list all."""
    for word in words or EXPERIMENTS:
        if word not in EXPERIMENTS:
            sys.exit(f"no experiments for {word!r}; there are: {', '.join(EXPERIMENTS)}")
        for label, call in EXPERIMENTS[word].items():
            if not words:
                state = "recorded" if not missing(word, label) else "missing"
                print(f"{word}/{label}: {state}: python -m course_lib.training {call}")
            elif missing(word, label):
                place = ["--record", str(RECORDS / word), "--label", label]
                training.main([*call.split(), *SEEDS.split(), *place])


if __name__ == "__main__":
    main(sys.argv[1:])
