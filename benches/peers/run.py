"""Time ndarray-loss beside PyTorch, XLA and the machine's own limits, and write RESULTS.md and results.json.

Each cell runs in turn in every library, several rounds, each in a process of its own that waits while another one
works; all have the same threads and the same numbers, and what they compute is compared. Times are medians; a ratio
is the median of the rounds' ratios, above 1 where ndarray-loss is faster.

    python benches/peers/run.py
"""

import argparse
import dataclasses
import datetime
import functools
import json
import math
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

import grid

FOLDER = pathlib.Path(__file__).resolve().parent
OURS, MACHINE, TORCH, XLA = "ndarray-loss", "machine", "PyTorch", "XLA"
PEERS = [TORCH, XLA]
# Between two processes, for the threads of the first to fall asleep.
PAUSE = 0.01
TOLERANCE = 2e-3


class Worker:
    """A process that times one library."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=FOLDER
        )

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.read()
        time.sleep(PAUSE)
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def build():
    """The path of the Rust worker, built in release mode."""
    command = ["cargo", "build", "--release", "--message-format", "json-render-diagnostics"]
    output = subprocess.run(command, cwd=FOLDER, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = map(json.loads, output.splitlines())
    return next(message["executable"] for message in messages if message.get("executable"))


def start(threads):
    """All workers, and the versions of the libraries."""
    # The workers inherit it; XLA has no other way to be told.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    counts = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "PEERS_THREADS")
    environment = os.environ | {name: str(threads) for name in counts} | {"JAX_PLATFORMS": "cpu"}
    binary = build()
    workers = {name: Worker([binary, name], environment) for name in (OURS, MACHINE)}
    versions = {}
    for name, script in ((TORCH, "worker_torch.py"), (XLA, "worker_jax.py")):
        workers[name] = Worker([sys.executable, script], environment)
        versions[name] = workers[name].read()["version"]
    return workers, versions


@dataclasses.dataclass
class Result:
    """One row of a table: nanoseconds of every round by column."""

    cell: grid.Cell
    times: dict[str, list[float]]

    def median(self, column):
        return statistics.median(self.times[column])

    def ratio(self, column, base=OURS):
        """How many times longer than the base it took; None if it was not measured."""
        if column not in self.times:
            return None
        return statistics.median(map(lambda a, b: a / b, self.times[column], self.times[base]))

    def bandwidth(self, column, cell=None):
        """In gigabytes a second."""
        return (cell or self.cell).bytes / self.median(column)


def agree(cell, name, answer, ours):
    for key in ("value", "gradient"):
        got, wanted = answer[key], ours[key]
        if (got is None) != (wanted is None) or (got is not None and not math.isclose(got, wanted, rel_tol=TOLERANCE)):
            raise RuntimeError(f"{cell.name}: the {key} is {got} in {name} and {wanted} in {OURS}")


def measure(cell, entries, rounds, seconds):
    """Runs the entries (column, worker, request) in turn, round after round; the first is ours."""
    times = {}
    for _ in range(rounds):
        first = None
        for column, worker, request in entries:
            answer = worker.ask(seconds=seconds, **request)
            if answer is None:
                continue
            times.setdefault(column, []).append(answer["nanoseconds"])
            if column == OURS:
                first = answer
            elif column in PEERS:
                agree(cell, column, answer, first)
    return Result(cell, times)


# The tables. Each function measures its cells and returns its results.


def against_peers(cells, workers, rounds, seconds):
    results = []
    for cell in cells:
        entries = [(name, workers[name], {"cell": cell.name}) for name in (OURS, *PEERS)]
        for limit in ("all", "one"):
            entries.append((limit, workers[MACHINE], {"cell": grid.triad(cell, limit).name}))
        results.append(measure(cell, entries, rounds, seconds))
        report(results[-1], PEERS)
    return results


def against_machine(pairs, workers, rounds, seconds):
    results = []
    for cell, limit in pairs:
        entries = [(OURS, workers[OURS], {"cell": cell.name}), (limit.name, workers[MACHINE], {"cell": limit.name})]
        # These are ratios close to 1: they take more rounds.
        results.append(measure(cell, entries, 3 * rounds, seconds))
        report(results[-1], [limit.name])
    return results


def across_threads(cells, threads, workers, rounds, seconds):
    results = []
    for cell in cells:
        entries = [
            (column, workers[OURS], {"cell": cell.name, "threads": count})
            for column, count in ((OURS, threads), ("one thread", 1))
        ]
        results.append(measure(cell, entries, rounds, seconds))
        report(results[-1], ["one thread"])
    return results


def report(result, columns):
    ratios = ", ".join(f"{ratio(result.ratio(column))} {column}" for column in columns)
    print(f"{result.cell.name}: {duration(result.median(OURS))}, {ratios}", file=sys.stderr)


# Writing.


def duration(nanoseconds):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"


def ratio(value):
    return "–" if value is None else f"{value:.2f}×" if value < 10 else f"{value:.0f}×"


def percent(value):
    return f"{100 * value:.0f} %"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" + " ---: |" * (len(header) - 1)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def label(cell):
    loss, _, kind = cell.loss.partition(":")
    shape = cell.shape.replace("x", " × ")
    return f"`{loss}`{', ' + kind if kind else ''}, {shape}"


def peer_table(results):
    rows = []
    for result in results:
        limit = min(result.median("all"), result.median("one"))
        share = result.bandwidth(OURS) / (grid.triad(result.cell).bytes / limit)
        times = [duration(result.median(name)) for name in (OURS, *PEERS)]
        rows.append(
            [label(result.cell), *times, *(ratio(result.ratio(peer)) for peer in PEERS)]
            + [f"{result.bandwidth(OURS):.1f}", percent(share)]
        )
    return table(["work", OURS, *PEERS, *(f"against {peer}" for peer in PEERS), "GB/s", "of the triad"], rows)


def machine_table(results):
    rows = []
    for result in results:
        limit = grid.Cell.parse(next(column for column in result.times if column != OURS))
        ours, theirs = result.bandwidth(OURS), result.bandwidth(limit.name, limit)
        # The ratio of the times is taken within a round, as everywhere.
        share = result.ratio(limit.name) * result.cell.bytes / limit.bytes
        work = f"{result.cell.section} {label(result.cell)}"
        rows.append([work, duration(result.median(OURS)), f"{ours:.1f}", limit.section, f"{theirs:.1f}", percent(share)])
    return table(["work", "time", "GB/s", "limit", "its GB/s", "share"], rows)


def thread_table(results):
    rows = [
        [f"{result.cell.section} {label(result.cell)}"]
        + [duration(result.median("one thread")), duration(result.median(OURS)), ratio(result.ratio("one thread"))]
        for result in results
    ]
    return table(["work", "one thread", "all threads", "gain"], rows)


def summary_table(groups):
    """Geometric mean and worst cell of each group against each peer."""
    rows = []
    for title, results in groups:
        for peer in PEERS:
            ratios = [(result.ratio(peer), result.cell) for result in results if peer in result.times]
            if not ratios:
                continue
            worst, cell = min(ratios, key=lambda pair: pair[0])
            mean = statistics.geometric_mean(value for value, _ in ratios)
            rows.append([title, peer, str(len(ratios)), ratio(mean), ratio(worst), label(cell)])
    return table(["grid", "against", "cells", "geometric mean", "worst", "worst cell"], rows)


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def document(steps, plain, limits, threads, facts):
    small = [result for result in plain if result.cell.classes > 1 or result.cell.items <= 10**5]
    large = [result for result in plain if result.cell.classes == 1 and result.cell.items > 10**5]
    groups = [("step", steps), ("plain, n ≤ 10⁵ and item-wise", small), ("plain, n = 10⁷", large)]
    command = "python benches/peers/run.py"
    lines = ["# Beside other libraries", "", f"Written by `{command}`. {facts}", ""]
    lines += ["Ratios are their time over ours: above 1, ndarray-loss is faster. All times are for `f32`.", ""]
    lines += ["## Summary", "", *summary_table(groups)]
    lines += [
        "## A training step",
        "",
        "Value and gradient of the mean: `objective_and_gradient_into` into a buffer; forward and backward; "
        "`jax.jit(jax.value_and_grad(…))`. `top1` and `top5` are the mean of `categorical_accuracy`. The triad "
        "`o = a + s·b` has as many elements; the better one of one and of all threads counts.",
        "",
        *peer_table(steps),
        "## Plain functions",
        "",
        'A new array of losses: the plain function; `reduction="none"`; the jitted function.',
        "",
        *peer_table(plain),
    ]
    lines += ["## The machine's limits", "", *machine_table(limits)]
    lines += ["## Threads", "", "Sequential over parallel: a gain below 1 would be a loss.", "", *thread_table(threads)]
    return "\n".join(lines)


def raw(**tables):
    return {
        title: {result.cell.name: {column: result.median(column) for column in result.times} for result in results}
        for title, results in tables.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="for every library (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.15, help="for a cell of one library (default %(default)s)")
    parser.add_argument("--only", type=re.compile, default=re.compile(""), metavar="REGEX", help="cells by name")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything runs")
    parser.add_argument("--output", type=pathlib.Path, default=FOLDER, help="folder (default: of this script)")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds = 1, 0.02

    begun = time.monotonic()
    workers, versions = start(arguments.threads)

    def chosen(cells, cell=lambda item: item):
        return [item for item in cells if arguments.only.search(cell(item).name)]

    run = functools.partial(dict, workers=workers, rounds=arguments.rounds, seconds=arguments.seconds)
    steps = against_peers(chosen(grid.step_cells()), **run())
    plain = against_peers(chosen(grid.plain_cells()), **run())
    limits = against_machine(chosen(grid.limit_pairs(), lambda pair: pair[0]), **run())
    threads = across_threads(chosen(grid.thread_cells()), arguments.threads, **run())
    for worker in workers.values():
        worker.close()

    facts = (
        f"{datetime.date.today()}, {processor()}, {arguments.threads} threads, {arguments.rounds} rounds of "
        f"{arguments.seconds:g} s a cell; {', '.join(versions.values())}."
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    text = document(steps, plain, limits, threads, facts)
    (arguments.output / "RESULTS.md").write_text(text, encoding="utf-8")
    medians = {"facts": facts} | raw(steps=steps, plain=plain, limits=limits, threads=threads)
    (arguments.output / "results.json").write_text(json.dumps(medians, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {arguments.output / 'RESULTS.md'} in {time.monotonic() - begun:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
