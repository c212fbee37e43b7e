"""The part of a worker that all libraries share: it reads requests and times what they ask for.

A request is a line of JSON with the name of a `cell` and the `seconds` to measure; so is the answer, with the median
time of a step in `nanoseconds`, and the `value` and `gradient` (Σ|g|) that it computed, for the driver to compare.
The answer is null where the library has no such function.
"""

import itertools
import json
import statistics
import sys
import time

from grid import Cell

BATCH = 100_000  # ns; short steps are timed together, so that the clock costs nothing
LEAST_SAMPLES = 5


def measure(step, seconds):
    """The median time of a step in nanoseconds. `src/work.rs` does the same."""
    clock = time.perf_counter_ns
    duration = seconds * 1e9
    fastest = None
    warm_up = clock()
    while fastest is None or clock() - warm_up < duration / 5:
        start = clock()
        step()
        elapsed = clock() - start
        fastest = elapsed if fastest is None else min(fastest, elapsed)
    batch = max(1, BATCH // max(1, fastest))
    samples = []
    start = clock()
    while len(samples) < LEAST_SAMPLES or clock() - start < duration:
        begun = clock()
        for _ in itertools.repeat(None, batch):
            step()
        samples.append((clock() - begun) / batch)
    return statistics.median(samples)


def serve(prepare, version):
    """`prepare` makes of a cell a step and a function that returns value and gradient; or None."""
    # What libraries print must not get between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps({"version": version}), file=answers, flush=True)
    name = prepared = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["cell"] != name:
            prepared = None  # frees the old arrays before the new ones are made
            name = request["cell"]
            prepared = prepare(Cell.parse(name))
            if prepared is not None:
                step, summary = prepared
                step()
                value, gradient = summary()
        answer = None
        if prepared is not None:
            answer = {"nanoseconds": measure(step, request["seconds"]), "value": value, "gradient": gradient}
        print(json.dumps(answer), file=answers, flush=True)
