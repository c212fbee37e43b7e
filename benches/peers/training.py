"""Train the network of `examples/digits` in PyTorch too, and lay the curves over each other in training.svg.

The example dumps its data, its initial weights, the order of its images and its losses; the same training is repeated
here in plain PyTorch, once for every loss that the example knows. Ends with 1 if in the first epoch the losses of a
batch differ by more than rounding explains.

    python benches/peers/training.py
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import matplotlib
import numpy as np
import torch

from worker_torch import LOSSES

matplotlib.use("svg")
matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "ndarray-loss", "font.family": "sans-serif"}
from matplotlib import pyplot  # noqa: E402

FOLDER = pathlib.Path(__file__).resolve().parent
BATCH_SIZE, MOMENTUM, WEIGHT_DECAY, RATE = 32, 0.9, 3e-4, 0.1
# Relative, of the loss of a batch: the products of the matrices are added up in another order.
TOLERANCE = 1e-5

MEANS = {
    "logits": LOSSES["categorical_crossentropy_with_logits:labels"][1],
    "crossentropy": lambda x, t: LOSSES["categorical_crossentropy:labels"][1](torch.softmax(x, 1), t),
    "hinge": LOSSES["multiclass_hinge_loss:labels"][1],
}


def dump(loss, epochs, folder):
    """Runs the example; its tables by name."""
    command = ["cargo", "run", "--quiet", "--release", "--example", "digits", "--", "--loss", loss]
    command += ["--epochs", str(epochs), "--dump", folder, "--out", folder]
    subprocess.run(command, cwd=FOLDER.parents[1], check=True, stdout=subprocess.DEVNULL)
    return {path.stem: np.loadtxt(path, delimiter=",", ndmin=2) for path in pathlib.Path(folder).glob("*.csv")}


def images(table):
    return torch.tensor(table[:, :-1], dtype=torch.float32), torch.tensor(table[:, -1], dtype=torch.int64)


def linear(weights):
    layer = torch.nn.Linear(*weights.shape)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights.T))
        layer.bias.zero_()
    return layer


def train(tables, mean):
    """The losses of all batches, an epoch a row, and the mean loss of the training images in the end."""
    pixels, labels = images(tables["train"])
    hidden, output = linear(tables["hidden"]), linear(tables["output"])
    network = torch.nn.Sequential(hidden, torch.nn.ReLU(), output)
    groups = [
        {"params": [hidden.weight, output.weight], "weight_decay": WEIGHT_DECAY},
        {"params": [hidden.bias, output.bias], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.SGD(groups, lr=RATE, momentum=MOMENTUM)
    batches = []
    for epoch, order in enumerate(torch.tensor(tables["orders"], dtype=torch.int64)):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - epoch / len(tables["orders"]))
        for batch in order.split(BATCH_SIZE):
            optimiser.zero_grad()
            loss = mean(network(pixels[batch]), labels[batch])
            loss.backward()
            optimiser.step()
            batches.append(loss.item())
    with torch.no_grad():
        return np.reshape(batches, tables["batches"].shape), mean(network(pixels), labels).item()


def difference(ours, theirs):
    """Relative; in the end a loss may be 0."""
    return abs(theirs - ours) / np.maximum(abs(ours), 1e-6)


def draw(runs, path):
    """Above the batches of the first epoch, below the epochs."""
    figure, panels = pyplot.subplots(2, len(runs), figsize=(12, 6.5))
    for column, (loss, (ours, theirs)) in zip(panels.T, runs.items()):
        curves = (ours[0], theirs[0], "batch of the first epoch"), (ours.mean(1), theirs.mean(1), "epoch")
        for panel, (own, other, unit) in zip(column, curves):
            steps = np.arange(1, len(own) + 1)
            panel.plot(steps, own, color="#0072b2", linewidth=5, alpha=0.4, label="ndarray-loss")
            panel.plot(steps, other, color="#d55e00", linewidth=1, label="PyTorch")
            panel.set_xlabel(unit)
            largest = difference(own, other).max()
            panel.text(0.97, 0.62, f"largest difference {largest:.0e}", transform=panel.transAxes, ha="right")
            panel.grid(color="#dddddd")
        # The hinge may end without any loss, which has no place on a logarithmic scale.
        column[1].set_yscale("symlog", linthresh=1e-3)
        column[1].set_ylim(bottom=0)
        column[0].set_title(f"--loss {loss}")
        column[0].legend(loc="upper right")
    for panel in panels[:, 0]:
        panel.set_ylabel("mean loss")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=80, help="(default %(default)s)")
    parser.add_argument("--output", type=pathlib.Path, default=FOLDER / "training.svg", help="(default: beside this script)")
    arguments = parser.parse_args()

    runs, failed = {}, False
    print(f"PyTorch {torch.__version__}")
    print("loss          difference in epoch 1   in all epochs   mean loss at the end: ndarray-loss, PyTorch")
    for loss, mean in MEANS.items():
        with tempfile.TemporaryDirectory() as folder:
            tables = dump(loss, arguments.epochs, folder)
        ours = tables["batches"]
        theirs, end = train(tables, mean)
        runs[loss] = ours, theirs
        first, whole = difference(ours[0], theirs[0]).max(), difference(ours, theirs).max()
        print(f"{loss:13} {first:21.1e} {whole:15.1e} {tables['epochs'][-1][0]:25.7f}, {end:.7f}")
        failed |= not first <= TOLERANCE
    draw(runs, arguments.output)
    print(f"wrote {arguments.output}")
    if failed:
        sys.exit(f"a loss of the first epoch differs by more than {TOLERANCE:g}")


if __name__ == "__main__":
    main()
