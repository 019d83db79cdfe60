"""Train what the chapters show as recorded: one JSON a run, and only the runs that are missing.

    python scripts/records.py                list the experiments and what is missing
    python scripts/records.py alexnet        train the missing runs of one chapter
    python scripts/records.py alexnet/tanh   train the missing runs of one experiment

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
# More pictures, seen twice: the same steps, less time spent on validation.
FEW_PASSES = "--epochs 2 --train-limit 8000 --learning-rate 0.003"
BRIEF = "--epochs 3 --train-limit 8000 --learning-rate 0.002"

# Maps of 14 pixels, so that 32 layers can be trained in a minute.
DEEP = (
    "resnet_small --train-limit 4000 --learning-rate 0.003 --set stem_strides=2 --set width=8 "
    "--epochs"
)
# One pass: no picture is seen twice. --set input_shape makes the network fit --image-size.
ONE_PASS = "--epochs 1 --train-limit 12000 --learning-rate 0.004"
# VGG with an eighth of the channels, so that 19 layers train in half a minute.
THIN = "--epochs 4 --train-limit 8000 --learning-rate 0.002 --set width=0.125"
# SqueezeNet starts slowly, and at a higher learning rate some of its class maps die.
GENTLE = "--epochs 2 --train-limit 14000 --batch-size 64 --learning-rate 0.002"
ONE_SHORT_PASS = "--epochs 1 --train-limit 8000 --learning-rate 0.004"

# The eight small forms with their learning rates. GoogLeNet has batch normalisation, which its
# paper does not know: without it this form needs more pictures for the same accuracy.
RACED = {
    "alexnet": "alexnet_small --learning-rate 0.002 --batch-size 64",
    "vgg": "vgg_small --learning-rate 0.002 --batch-size 64",
    "googlenet": "googlenet_small --learning-rate 0.003 --batch-size 64 "
    "--set normalization='batch'",
    "resnet": "resnet_small --learning-rate 0.003 --batch-size 64",
    "densenet": "densenet_small --learning-rate 0.003 --batch-size 64",
    "mobilenet": "mobilenet_small --learning-rate 0.004 --batch-size 64",
    "squeezenet": "squeezenet_small --learning-rate 0.003 --batch-size 64",
    "shufflenet": "shufflenet_small --learning-rate 0.004 --batch-size 64",
}
# The long runs; ResNet and DenseNet have theirs below.
LONG = {
    "alexnet": "--epochs 20",
    "vgg": "--epochs 10",
    "googlenet": "--epochs 8",
    "mobilenet": "--epochs 10",
    "squeezenet": "--epochs 40 --weight-decay 0.05",
    "shufflenet": "--epochs 12",
}
# Pictures in 100 seconds of one core, by training speeds that benchmarks/latency.py measured; the
# file records/latency/cpu.json is a later measurement.
EQUAL_SECONDS = {
    "alexnet": "--epochs 3 --train-limit 39400",
    "vgg": "--epochs 4 --train-limit 42500",
    "googlenet": "--epochs 1 --train-limit 54300",
    "resnet": "--epochs 2 --train-limit 39400",
    "densenet": "--epochs 1 --train-limit 51700",
    "mobilenet": "--epochs 2 --train-limit 43900",
    "squeezenet": "--epochs 4 --train-limit 47800",
    "shufflenet": "--epochs 2 --train-limit 32900",
}
# Pictures for 50 thousand million multiply-adds, those of one forward pass a picture.
EQUAL_MULTIPLY_ADDS = {
    "alexnet": "--epochs 1 --train-limit 22000",
    "vgg": "--epochs 1 --train-limit 10400",
    "googlenet": "--epochs 1 --train-limit 12000",
    "resnet": "--epochs 1 --train-limit 5500",
    "densenet": "--epochs 1 --train-limit 6100",
    "mobilenet": "--epochs 1 --train-limit 17300",
    "squeezenet": "--epochs 1 --train-limit 49200",
    "shufflenet": "--epochs 1 --train-limit 41900",
}

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
    },
    "googlenet": {
        "base": f"googlenet_small {FEW_PASSES}",
        "auxiliary": f"googlenet_small {FEW_PASSES} --set auxiliary=True",
        "dense": f"googlenet_small {FEW_PASSES} --set head='dense'",
        # Naive and reduced at about 10 million multiply-adds each.
        "naive": f"googlenet_small {FEW_PASSES} --set reduce=False --set width=0.0625",
        "wide": f"googlenet_small {FEW_PASSES} --set width=0.1953125",
    },
    "densenet": {
        "long": "densenet_small --epochs 5 --learning-rate 0.003",
        # 19,500 (k6, resnet_w8) and 74,000 to 83,000 parameters (the others)
        "k12": f"densenet_small {BRIEF} --set depth=22",
        "add": f"densenet_small {BRIEF} --set depth=22 --set growth=14 --set connection='add'",
        "resnet_w16": f"resnet_small {BRIEF}",
        "k6": f"densenet_small {BRIEF} --set depth=22 --set growth=6",
        "resnet_w8": f"resnet_small {BRIEF} --set width=8",
        "plain_k6": f"densenet_small {BRIEF} --set depth=22 --set growth=6 "
        "--set bottleneck=False --set compression=1.0",
    },
    "resnet": {
        "long": "resnet_small --epochs 5 --learning-rate 0.003",
        "plain8": f"{DEEP} 8 --set shortcut=False",
        "residual8": f"{DEEP} 8",
        "residual32_C": f"{DEEP} 8 --set depth=32 --set shortcut='C'",
        "plain32_no_norm": f"{DEEP} 8 --set depth=32 --set shortcut=False --set normalization=None",
        "residual32_no_norm": f"{DEEP} 8 --set depth=32 --set normalization=None",
        "residual32_B": f"{DEEP} 8 --set depth=32 --set shortcut='B'",
        "plain32_longer": f"{DEEP} 24 --set depth=32 --set shortcut=False",
        "plain8_longer": f"{DEEP} 24 --set shortcut=False",
    },
    "mobilenet": {
        "base": f"mobilenet_small {ONE_PASS}",
        "full": f"mobilenet_small {ONE_PASS} --set separable=False",
        # Thin and shallow at about 1.5 million multiply-adds each.
        "thin": f"mobilenet_small {ONE_PASS} --set alpha=0.171875",
        "shallow": f"mobilenet_small {ONE_PASS} --set shallow=True",
        "half": f"mobilenet_small {ONE_PASS} --set alpha=0.125",
        "quarter": f"mobilenet_small {ONE_PASS} --set alpha=0.0625",
        "pixels16": f"mobilenet_small {ONE_PASS} --image-size 16 --set input_shape=(16,16,1)",
        "pixels20": f"mobilenet_small {ONE_PASS} --image-size 20 --set input_shape=(20,20,1)",
    },
    "vgg": {
        "A": f"vgg_small {THIN}",
        "E": f"vgg_small {THIN} --set depth='E'",
        "A_lrn": f"vgg_small {THIN} --set depth='A-LRN'",
        "B": f"vgg_small {THIN} --set depth='B'",
        "B_5x5": f"vgg_small {THIN} --set depth='B' --set stacked=False",
        "D": f"vgg_small {THIN} --set depth='D'",
        "C": f"vgg_small {THIN} --set depth='C'",
        "E_tiny": f"vgg_small {THIN} --set depth='E' --set initialization=0.035",
        "E_tiny_batch": f"vgg_small {THIN} --set depth='E' --set initialization=0.035 "
        "--set normalization='batch'",
        "E_glorot": f"vgg_small {THIN} --set depth='E' --set initialization='glorot_uniform'",
        "D_7x7": f"vgg_small {THIN} --set depth='D' --set stacked=False",
    },
    "squeezenet": {  # the plain network, "base", is trained and compressed by record_squeezenet.py
        "complex": f"squeezenet_small {GENTLE} --set bypass='complex'",
        "simple": f"squeezenet_small {GENTLE} --set bypass='simple'",
        "sr50": f"squeezenet_small {GENTLE} --set squeeze_ratio=0.5",
        "sr100": f"squeezenet_small {GENTLE} --set squeeze_ratio=1.0",
        "sr50_most3x3": f"squeezenet_small {GENTLE} --set squeeze_ratio=0.5 --set pct3x3=0.99",
        "alexnet": f"alexnet_small {GENTLE}",
        # Three starts, at a rate that is too high for some networks of this chapter.
        "he": "squeezenet_small --epochs 2 --train-limit 12000 --learning-rate 0.003",
        "caffe": "squeezenet_small --epochs 2 --train-limit 12000 --learning-rate 0.003 "
        "--set initialization='lecun_uniform'",
        "glorot": "squeezenet_small --epochs 2 --train-limit 12000 --learning-rate 0.003 "
        "--set initialization='glorot_uniform'",
    },
    "shufflenet": {  # 1.15 to 1.22 million multiply-adds each
        "g8": f"shufflenet_small {ONE_SHORT_PASS} --set groups=8",
        "g8_no_shuffle": f"shufflenet_small {ONE_SHORT_PASS} --set groups=8 --set shuffle=False",
        "g1": f"shufflenet_small {ONE_SHORT_PASS} --set groups=1",
        "g3": f"shufflenet_small {ONE_SHORT_PASS}",
        "g3_no_shuffle": f"shufflenet_small {ONE_SHORT_PASS} --set shuffle=False",
        # MobileNet starts slowly: one pass says little about it, so both get four.
        "g3_longer": f"shufflenet_small {ONE_SHORT_PASS.replace('epochs 1', 'epochs 4')}",
        "mobilenet_longer": "mobilenet_small --epochs 4 --train-limit 8000 "
        "--learning-rate 0.004 --set alpha=0.15",
    },
}
for _word, _longer in LONG.items():
    EXPERIMENTS[_word]["long"] = f"{RACED[_word]} {_longer}"
EXPERIMENTS["race"] = {}
for _word, _network in RACED.items():
    EXPERIMENTS[_word]["short"] = f"{_network} {EQUAL_SECONDS[_word]}"
    EXPERIMENTS["race"][f"epochs_{_word}"] = f"{_network} --epochs 1 --train-limit 20000"
    EXPERIMENTS["race"][f"macs_{_word}"] = f"{_network} {EQUAL_MULTIPLY_ADDS[_word]}"


def missing(word, label):
    """Return the seeds of an experiment that have no record yet."""
    return [s for s in (0, 1, 2) if not (RECORDS / word / f"{label}_seed{s}.json").exists()]


def main(chosen):
    """Train the missing runs of the given chapters or experiments, or list all."""
    known = [f"{word}/{label}" for word in EXPERIMENTS for label in EXPERIMENTS[word]]
    for name in chosen:
        if name not in known and name not in EXPERIMENTS:
            sys.exit(f"no experiments {name!r}; there are: {', '.join([*EXPERIMENTS, *known])}")
    for name in known:
        word, label = name.split("/")
        call = EXPERIMENTS[word][label]
        if not chosen:
            state = "recorded" if not missing(word, label) else "missing"
            print(f"{name}: {state}: python -m course_lib.training {call}")
        elif missing(word, label) and not {word, name}.isdisjoint(chosen):
            place = ["--record", str(RECORDS / word), "--label", label]
            training.main([*call.split(), *SEEDS.split(), *place])


if __name__ == "__main__":
    main(sys.argv[1:])
