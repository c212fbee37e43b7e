"""PyTorch on the CPU, as its users write these steps."""

import os

import data
import torch
import torch.nn.functional as functional
import worker


def binary_hinge(predictions, targets):
    return torch.relu(1 - targets * predictions)


def crossentropy_of_labels(predictions, labels):
    return -torch.log(predictions.gather(1, labels[:, None]))[:, 0]


def crossentropy_of_rows(predictions, targets):
    return -(targets * torch.log(predictions)).sum(1)


def multiclass_hinge(predictions, labels):
    # `multi_margin_loss` adds up all violations; this is the largest one.
    own = labels[:, None]
    rest = predictions.scatter(1, own, -torch.inf).max(1).values
    return torch.relu(rest - predictions.gather(1, own)[:, 0] + 1)


def with_reduction(function):
    """Functions of PyTorch that take the reduction."""
    return (
        lambda p, t: function(p, t, reduction="none"),
        lambda p, t: function(p, t, reduction="mean"),
    )


def with_mean(function):
    return function, lambda p, t: function(p, t).mean()


LOSSES = {
    "squared_error": with_reduction(functional.mse_loss),
    "huber_loss": with_reduction(functional.huber_loss),
    "binary_crossentropy": with_reduction(functional.binary_cross_entropy),
    "binary_hinge_loss": with_mean(binary_hinge),
    "binary_crossentropy_with_logits": with_reduction(functional.binary_cross_entropy_with_logits),
    "categorical_crossentropy:labels": with_mean(crossentropy_of_labels),
    "categorical_crossentropy:dense": with_mean(crossentropy_of_rows),
    "multiclass_hinge_loss:labels": with_mean(multiclass_hinge),
    "categorical_crossentropy_with_logits:labels": with_reduction(functional.cross_entropy),
    "categorical_crossentropy_with_logits:dense": with_reduction(functional.cross_entropy),
}


def accuracy(predictions, labels, top_k):
    if top_k == 1:
        return (predictions.argmax(1) == labels).float().mean()
    return (predictions.topk(top_k, 1).indices == labels[:, None]).any(1).float().mean()


def prepare(cell):
    predictions, targets = map(torch.from_numpy, data.of(cell))
    if cell.section == "fused":
        mean = LOSSES[cell.loss][1]
        predictions.requires_grad_()

        def step():
            predictions.grad = None
            loss = mean(predictions, targets)
            loss.backward()
            return loss

        return step, lambda: (step().item(), predictions.grad.abs().sum(dtype=torch.float64).item())
    if cell.section == "plain":
        loss = LOSSES[cell.loss][0]
        return lambda: loss(predictions, targets), lambda: (loss(predictions, targets).double().mean().item(), None)
    if cell.section == "value":
        mean = LOSSES[cell.loss][1]
        return lambda: mean(predictions, targets), lambda: (mean(predictions, targets).item(), None)
    if cell.section == "accuracy":
        top_k = int(cell.loss.removeprefix("top"))
        return (
            lambda: accuracy(predictions, targets, top_k),
            lambda: (accuracy(predictions, targets, top_k).item(), None),
        )
    return None


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ["PEERS_THREADS"]))
    worker.serve(prepare, f"PyTorch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()})")
