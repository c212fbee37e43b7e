"""Time ndarray-loss beside what else there is, and write RESULTS.md with its pictures.

Each cell runs in turn in every library, several rounds, each in a process of its own that waits while another one
works; all have the same threads and the same numbers, and what they compute is compared. Times are medians; a ratio
is the median of the rounds' ratios, above 1 where ndarray-loss is faster.

    python benches/peers/run.py
    python benches/peers/run.py --peers PyTorch
"""

import argparse
import contextlib
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
import tomllib

import grid
import pictures
from results import MACHINE, OURS, Result

FOLDER = pathlib.Path(__file__).resolve().parent
SCRIPTS = {"PyTorch": "worker_torch.py", "XLA": "worker_jax.py", "NumPy": "worker_numpy.py"}
# By the name in the tables: what the Rust worker calls it, and the package whose version counts.
CRATES = {
    "burn (ndarray)": ("burn-ndarray", "burn"),
    "burn (flex)": ("burn-flex", "burn-flex"),
    "candle": ("candle", "candle-core"),
    "ndarray": ("ndarray", "ndarray"),
    "ndarray-stats": ("ndarray-stats", "ndarray-stats"),
}
PEERS = [*SCRIPTS, *CRATES]
# The Cargo features of the Rust worker.
FEATURES = {"burn (ndarray)": "burn", "burn (flex)": "burn", "candle": "candle"}
# Between two processes, for the threads of the first to fall asleep.
PAUSE = 0.01
# How far what they compute may be apart: some add up millions of numbers in plain `f32`. Up to the second limit a
# value is marked in the tables, above it the run fails.
TOLERANCE, DOUBTFUL = 2e-3, 0.1
# From which gain on a second thread pays, and from which share of the triad's bandwidth on it cannot.
PAYS, MEMORY_BOUND = 1.2, 0.6


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


@functools.cache
def build(features):
    """The path of the Rust worker, built in release mode with those features."""
    command = ["cargo", "build", "--release", "--message-format", "json-render-diagnostics"]
    command += ["--no-default-features", "--features", ",".join(features)]
    output = subprocess.run(command, cwd=FOLDER, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = map(json.loads, output.splitlines())
    return next(message["executable"] for message in messages if message.get("executable"))


@contextlib.contextmanager
def started(peers, threads):
    """All workers with that many threads, and the versions of the peers."""
    # No library that takes minutes to build, unless it is asked for.
    binary = build(tuple(sorted({FEATURES[name] for name in peers if name in FEATURES})))
    processors = os.sched_getaffinity(0)
    # The workers inherit it; XLA has no other way to be told.
    os.sched_setaffinity(0, sorted(processors)[:threads])
    counts = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PEERS_THREADS")
    environment = os.environ | {name: str(threads) for name in counts} | {"JAX_PLATFORMS": "cpu"}
    locked = tomllib.loads((FOLDER / "Cargo.lock").read_text())["package"]
    locked = {package["name"]: package["version"] for package in locked}
    workers = {name: Worker([binary, name], environment) for name in (OURS, MACHINE)}
    versions = []
    for name in peers:
        if name in SCRIPTS:
            workers[name] = Worker([sys.executable, SCRIPTS[name]], environment)
            versions.append(workers[name].read()["version"])
        else:
            library, package = CRATES[name]
            workers[name] = Worker([binary, library], environment)
            versions.append(f"{package} {locked[package]}")
    try:
        yield workers, versions
    finally:
        for worker in workers.values():
            worker.close()
        os.sched_setaffinity(0, processors)


def agrees(cell, name, answer, ours):
    """Whether it computed the same. A gradient has to be; a value that is off by a little is told to the reader."""
    for key, limit in (("gradient", TOLERANCE), ("value", DOUBTFUL)):
        got, wanted = answer[key], ours[key]
        if (got is None) != (wanted is None) or (got is not None and not math.isclose(got, wanted, rel_tol=limit)):
            raise RuntimeError(f"{cell.name}: the {key} is {got} in {name} and {wanted} in {OURS}")
    return math.isclose(answer["value"], ours["value"], rel_tol=TOLERANCE)


def measure(cell, entries, rounds, seconds):
    """Runs the entries (column, worker, request) in turn, round after round; the first is ours."""
    times, doubtful = {}, set()
    for _ in range(rounds):
        first = None
        for column, worker, request in entries:
            answer = worker.ask(seconds=seconds, **request)
            if answer is None:
                continue
            times.setdefault(column, []).append(answer["nanoseconds"])
            if column == OURS:
                first = answer
            elif column in PEERS and not agrees(cell, column, answer, first):
                doubtful.add(column)
    return Result(cell, times, doubtful)


# The tables. Each function measures its cells and returns its results.


def against_peers(cells, workers, rounds, seconds):
    results = []
    for cell in cells:
        peers = [name for name in workers if name not in (OURS, MACHINE)]
        entries = [(name, workers[name], {"cell": cell.name}) for name in (OURS, *peers)]
        for limit in ("all", "one"):
            entries.append((limit, workers[MACHINE], {"cell": grid.triad(cell, limit).name}))
        results.append(measure(cell, entries, rounds, seconds))
        report(results[-1], peers)
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
        for limit in ("all", "one"):
            entries.append((limit, workers[MACHINE], {"cell": grid.triad(cell, limit).name}))
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
    return "—" if value is None else f"{value:.2f}×" if value < 10 else f"{value:.0f}×"


def percent(value, digits=0):
    return f"{100 * value:.{digits}f} %"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" + " ---: |" * (len(header) - 1)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def peer_table(results, peers):
    rows = []
    for result in results:
        limit = min(result.median("all"), result.median("one"))
        share = result.bandwidth(OURS) / (grid.triad(result.cell).bytes / limit)
        rows.append(
            [result.cell.label, duration(result.median(OURS)), f"{result.bandwidth(OURS):.1f}", percent(share)]
            + [ratio(result.ratio(peer)) + (" †" if peer in result.doubtful else "") for peer in peers]
        )
    return table(["work", OURS, "GB/s", "of the triad", *peers], rows)


def machine_table(results):
    rows = []
    for result in results:
        limit = grid.Cell.parse(next(column for column in result.times if column != OURS))
        ours, theirs = result.bandwidth(OURS), result.bandwidth(limit.name, limit)
        # The ratio of the times is taken within a round, as everywhere.
        share = result.ratio(limit.name) * result.cell.bytes / limit.bytes
        work = f"{result.cell.section} {result.cell.label}"
        rows.append([work, duration(result.median(OURS)), f"{ours:.1f}", limit.section, f"{theirs:.1f}", percent(share)])
    return table(["work", "time", "GB/s", "limit", "its GB/s", "share"], rows)


def shares(result):
    """Of the triad's bandwidth, with one thread and with all."""
    triad = grid.triad(result.cell).bytes
    one = result.bandwidth("one thread") / (triad / result.median("one"))
    many = result.bandwidth(OURS) / (triad / min(result.median("all"), result.median("one")))
    return one, many


def thread_table(results):
    rows = []
    for result in results:
        rows.append(
            [f"{result.cell.section} {result.cell.label}"]
            + [duration(result.median("one thread")), duration(result.median(OURS)), ratio(result.ratio("one thread"))]
            + [percent(share) for share in shares(result)]
        )
    header = ["work", "one thread", "all threads", "gain", "of the triad, one thread", "of the triad, all threads"]
    return table(header, rows)


def scaling_table(results):
    """For each kind of work, from where on a second thread helps, and what stops it in the end."""
    rows = []
    series = {}
    for result in results:
        rows_or_elements = f" of {result.cell.classes} classes" if result.cell.classes > 1 else ""
        work = f"{result.cell.section} `{result.cell.loss}`{rows_or_elements}"
        series.setdefault(work, []).append(result)
    for work, results in series.items():
        pays = [result.cell.items for result in results if result.ratio("one thread") >= PAYS]
        last = results[-1]
        share = shares(last)[1]
        reason = "the memory's bandwidth" if share >= MEMORY_BOUND else "arithmetic: more threads would help"
        rows.append(
            [work, str(pays[0]) if pays else "never", str(last.cell.items), ratio(last.ratio("one thread"))]
            + [percent(share), reason]
        )
    return table(["work", "pays from", "at", "gain", "of the triad", "limit there"], rows)


def summary_table(groups, peers):
    """Geometric mean and worst cell of each group against each peer."""
    rows = []
    for title, results in groups:
        for peer in peers:
            ratios = [(result.ratio(peer), result.cell) for result in results if peer in result.times]
            if not ratios:
                continue
            worst, cell = min(ratios, key=lambda pair: pair[0])
            mean = statistics.geometric_mean(value for value, _ in ratios)
            rows.append([title, peer, str(len(ratios)), ratio(mean), ratio(worst), cell.label])
    return table(["grid", "against", "cells", "geometric mean", "worst", "worst cell"], rows)


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def document(tables, peers, facts):
    small = [result for result in tables["plain"] if result.cell.classes > 1 or result.cell.items <= 10**5]
    large = [result for result in tables["plain"] if result.cell.classes == 1 and result.cell.items > 10**5]
    groups = [
        ("step", tables["steps"]),
        ("plain, n ≤ 10⁵ and item-wise", small),
        ("plain, n = 10⁷", large),
        ("value alone", tables["values"]),
    ]
    lines = ["# Beside other libraries", "", f"Written by `python benches/peers/run.py`. {facts}", ""]
    lines += [
        "Ratios are their time over ours: above 1, ndarray-loss is faster. All times are for `f32`. A dash stands where "
        "a library has no such function: ndarray-stats knows two losses, no gradients, and the place of a maximum. "
        "`ndarray` and NumPy are the formula as one would type it, on one thread, as these libraries are; the others "
        "have the losses of their own, or the formula where they have none. Where a † stands, the peer's value is off by more "
        f"than {percent(TOLERANCE, 1)}: it adds up in plain `f32`.",
        "",
        "## Summary",
        "",
        *summary_table(groups, peers),
        f"![ratios]({pictures.RATIOS})",
        "",
        f"![time against n]({pictures.SIZES})",
        "",
        "## A training step",
        "",
        "Value and gradient of the mean: `objective_and_gradient_into` into a buffer; forward and backward; "
        "`jax.jit(jax.value_and_grad(…))`. `top1` and `top5` are the mean of `categorical_accuracy`. The triad "
        "`o = a + s·b` has as many elements; the better one of one and of all threads counts.",
        "",
        *peer_table(tables["steps"], peers),
        "## Plain functions",
        "",
        'A new array of losses: the plain function; `reduction="none"`; the jitted function.',
        "",
        *peer_table(tables["plain"], peers),
        "## The value alone",
        "",
        "`objective`, the mean without an array of losses and without a gradient.",
        "",
        *peer_table(tables["values"], peers),
        "## The machine's limits",
        "",
        *machine_table(tables["limits"]),
        "## Threads",
        "",
        f"Sequential over parallel: a gain below 1 would be a loss. A second thread pays where it gains {PAYS}× or more; "
        f"from {percent(MEMORY_BOUND)} of the triad's bandwidth on, the memory is the limit and a further thread cannot "
        "help.",
        "",
        *scaling_table(tables["threads"]),
        *thread_table(tables["threads"]),
        "## Classes",
        "",
        "About two million scores, in rows of ever more classes.",
        "",
        *thread_table(tables["classes"]),
    ]
    return "\n".join(lines)


def raw(tables):
    return {
        title: {result.cell.name: {column: result.median(column) for column in result.times} for result in results}
        for title, results in tables.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS, metavar="PEER", help=", ".join(PEERS))
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

    def chosen(cells, cell=lambda item: item):
        return [item for item in cells if arguments.only.search(cell(item).name)]

    tables, sweeps = {}, {}
    with started(arguments.peers, arguments.threads) as (workers, versions):
        run = functools.partial(dict, workers=workers, rounds=arguments.rounds, seconds=arguments.seconds)
        # New arrays come first, of few elements before many: of 40 MB, which the system gives and takes back, each page
        # costs more than its results. What a process has freed of 32 MB, as later cells do, it may keep for them, and
        # whether it does depends on all else that the process has allocated.
        tables["plain"] = against_peers(chosen(grid.plain_cells()), **run())
        tables["steps"] = against_peers(chosen(grid.step_cells()), **run())
        tables["values"] = against_peers(chosen(grid.value_cells()), **run())
        tables["limits"] = against_machine(chosen(grid.limit_pairs(), lambda pair: pair[0]), **run())
        tables["threads"] = across_threads(chosen(grid.thread_cells()), arguments.threads, **run())
        tables["classes"] = across_threads(chosen(grid.class_cells()), arguments.threads, **run())
        sweeps[arguments.threads] = against_peers(chosen(grid.sweep_cells()), **run())
    if arguments.threads > 1:
        with started(arguments.peers, 1) as (workers, _):
            run = functools.partial(dict, workers=workers, rounds=arguments.rounds, seconds=arguments.seconds)
            sweeps[1] = against_peers(chosen(grid.sweep_cells()), **run())

    facts = (
        f"{datetime.date.today()}, {processor()}, {arguments.threads} threads, {arguments.rounds} rounds of "
        f"{arguments.seconds:g} s a cell; {', '.join(versions)}."
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    text = document(tables, arguments.peers, facts)
    (arguments.output / "RESULTS.md").write_text(text, encoding="utf-8")
    pictures.ratios(tables["steps"], arguments.peers, arguments.output / pictures.RATIOS)
    pictures.sizes(sweeps, arguments.peers, arguments.output / pictures.SIZES)
    medians = {"facts": facts} | raw(tables) | {f"sweep, {count}": raw(sweeps)[count] for count in sweeps}
    (arguments.output / "results.json").write_text(json.dumps(medians, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {arguments.output / 'RESULTS.md'} in {time.monotonic() - begun:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
