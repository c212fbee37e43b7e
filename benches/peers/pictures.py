"""The pictures of RESULTS.md, as SVG."""

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

from results import OURS  # noqa: E402

RATIOS, SIZES = "ratios.svg", "sizes.svg"
MARKERS = "osD^vP*X"
COLOURS = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#000000"]
# Text stays text, and the same numbers give the same file.
matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "ndarray-loss", "font.family": "sans-serif"}


def styles(peers):
    return {peer: {"color": COLOURS[i % 8], "marker": MARKERS[i % 8]} for i, peer in enumerate(peers)}


def save(figure, path):
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def ratios(results, peers, path):
    """Their time over ours, a row a cell: element-wise on the left, item-wise on the right."""
    halves = [[result for result in results if (result.cell.classes > 1) == is_right] for is_right in (False, True)]
    figure, panels = pyplot.subplots(1, 2, figsize=(13, 8))
    for panel, half, title in zip(panels, halves, ("element-wise", "item-wise")):
        rows = range(len(half), 0, -1)
        for peer, style in styles(peers).items():
            points = [(result.ratio(peer), row) for result, row in zip(half, rows) if peer in result.times]
            if points:
                panel.plot(*zip(*points), linestyle="", markersize=5, label=peer, **style)
        panel.axvline(1, color="black", linewidth=1)
        panel.set_xscale("log")
        panel.set_yticks(rows, [result.cell.label.replace("`", "") for result in half], fontsize=8)
        panel.grid(color="#dddddd")
        panel.set_axisbelow(True)
        panel.set_title(title, fontsize=11)
        panel.set_xlabel("their time / ours")
    figure.suptitle("A step, value and gradient of the mean: to the right of the line at 1, ndarray-loss is faster", fontsize=12)
    handles, labels = panels[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(peers), frameon=False)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    save(figure, path)


def sizes(sweeps, peers, path):
    """Time of a step against n: a row a loss, a column a number of threads."""
    losses = list(dict.fromkeys(result.cell.loss for results in sweeps.values() for result in results))
    figure, panels = pyplot.subplots(
        max(1, len(losses)), len(sweeps), figsize=(12, 4.5 * max(1, len(losses))), squeeze=False, sharey=True
    )
    for column, threads in zip(panels.T, sorted(sweeps)):
        for panel, loss in zip(column, losses):
            results = [result for result in sweeps[threads] if result.cell.loss == loss]

            def line(time_of, label, **style):
                points = [(result.cell.elements, time_of(result)) for result in results]
                points = [(n, time) for n, time in points if time is not None]
                if points:
                    panel.plot(*zip(*points), label=label, **style)

            for peer, style in styles(peers).items():
                line(lambda r: r.median(peer) if peer in r.times else None, peer, markersize=4, linewidth=1, **style)
            line(lambda r: r.median(OURS), OURS, color="black", linewidth=2.5)
            limit = "all" if threads > 1 else "one"
            line(lambda r: min(r.median(limit), r.median("one")), "triad", color="black", linestyle=":", linewidth=1.5)
            panel.set_xscale("log")
            panel.set_yscale("log")
            panel.set_title(f"{loss}, {threads} thread{'s' if threads > 1 else ''}")
            panel.set_xlabel("n")
            panel.grid(color="#dddddd")
    for panel in panels[:, 0]:
        panel.set_ylabel("nanoseconds a step")
    if losses:
        panels[0][0].legend(fontsize=8)
    figure.tight_layout()
    save(figure, path)
