"""What is measured: the names of the cells and what they mean."""

import dataclasses

SIZES = [10**3, 10**5, 10**7]
SHAPES = [(128, 10), (65536, 10), (1024, 1000), (256, 32000)]
ELEMENTWISE = [
    "squared_error",
    "huber_loss",
    "binary_crossentropy",
    "binary_hinge_loss",
    "binary_crossentropy_with_logits",
]
ITEMWISE = [
    "categorical_crossentropy:labels",
    "categorical_crossentropy:dense",
    "multiclass_hinge_loss:labels",
    "categorical_crossentropy_with_logits:labels",
    "categorical_crossentropy_with_logits:dense",
]
ACCURACIES = ["top1", "top5"]

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

FLOAT = 4
LABEL = 8


@dataclasses.dataclass(frozen=True)
class Cell:
    """`section/loss/items` or `section/loss/itemsxclasses`."""

    section: str
    loss: str
    items: int
    classes: int = 1

    @classmethod
    def parse(cls, name):
        section, loss, shape = name.split("/")
        return cls(section, loss, *map(int, shape.split("x")))

    @property
    def shape(self):
        return f"{self.items}x{self.classes}" if self.classes > 1 else str(self.items)

    @property
    def label(self):
        """For readers."""
        loss, _, kind = self.loss.partition(":")
        zeros = len(self.shape) - 1
        shape = f"10{str(zeros).translate(SUPERSCRIPTS)}" if self.shape == str(10**zeros) else self.shape.replace("x", " × ")
        return f"`{loss}`{', ' + kind if kind else ''}, {shape}"

    @property
    def name(self):
        return f"{self.section}/{self.loss}/{self.shape}"

    @property
    def elements(self):
        return self.items * self.classes

    @property
    def bytes(self):
        """The least that has to be read and written."""
        n, items = self.elements * FLOAT, self.items
        if self.section in ("triad", "into"):
            return 3 * n
        if self.section in ("fill", "sum", "aggregate"):
            return n
        if self.section == "value":
            return 2 * n
        if self.classes == 1:
            return 3 * n
        kind = self.loss.partition(":")[2]
        # From labels, a cross-entropy of probabilities looks at one of them.
        read = FLOAT * items if self.loss == "categorical_crossentropy:labels" else n
        targets = n if kind == "dense" else LABEL * items
        written = n if self.section == "fused" else FLOAT * items
        return read + targets + written


def cells(section, losses, shapes):
    return [Cell(section, loss, *shape) for loss in losses for shape in shapes]


def step_cells():
    """Value and gradient of the mean; the mean of the accuracies, which have no gradient."""
    return (
        cells("fused", ELEMENTWISE, [(n,) for n in SIZES])
        + cells("fused", ITEMWISE, SHAPES)
        + cells("accuracy", ACCURACIES, SHAPES)
    )


def plain_cells():
    """A new array of losses."""
    return cells("plain", ELEMENTWISE, [(n,) for n in SIZES]) + cells("plain", ITEMWISE, SHAPES)


def value_cells():
    """The mean alone."""
    return cells("value", ["squared_error"], [(n,) for n in SIZES]) + cells(
        "value", ["categorical_crossentropy:dense"], SHAPES
    )


def sweep_cells():
    """Time against n."""
    sizes = [(10**power,) for power in range(2, 8)]
    return cells("fused", ["squared_error", "binary_crossentropy_with_logits"], sizes)


def class_cells():
    """About two million scores in rows of ever more classes."""
    classes = [2, 4, 8, 16, 32, 64, 128, 512, 1000, 4096, 32000, 128000]
    shapes = [(2**21 // count, count) for count in classes]
    return cells("fused", ["categorical_crossentropy_with_logits:labels"], shapes)


def triad(cell, threads="all"):
    return Cell("triad", threads, cell.elements)


def limit_pairs():
    """Cells of ours, and what the machine can do at best on the same memory."""
    n = 10**7
    labels = "categorical_crossentropy:labels"
    return [
        (Cell("into", "squared_error", n), Cell("triad", "all", n)),
        (Cell("into", "huber_loss", n), Cell("triad", "all", n)),
        (Cell("fused", "squared_error", n), Cell("triad", "all", n)),
        (Cell("fused", labels, 1024, 1000), Cell("fill", "all", 1024 * 1000)),
        (Cell("fused", labels, 256, 32000), Cell("fill", "all", 256 * 32000)),
        (Cell("aggregate", "mean", n), Cell("sum", "all", n)),
    ]


def thread_cells():
    """Over five decades: where a second thread is waked, and where it must not be."""
    sizes = [10**2, 10**3, 10**4, 3 * 10**4, 10**5, 2 * 10**5, 3 * 10**5, 10**6, 10**7]
    shapes = [(rows, 10) for rows in (10**2, 10**3, 3 * 10**3, 10**4, 3 * 10**4, 10**5)]
    shapes += [(rows, 1000) for rows in (4, 32, 128, 256, 512, 1024)]
    losses = ["squared_error", "binary_crossentropy", "binary_crossentropy_with_logits"]
    return (
        cells("fused", losses, [(n,) for n in sizes])
        + cells("aggregate", ["mean"], [(n,) for n in sizes])
        + cells("fused", ["categorical_crossentropy_with_logits:labels"], shapes)
        + cells("fused", ["categorical_crossentropy:labels"], shapes)
    )
