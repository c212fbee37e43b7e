"""What was measured of a cell."""

import dataclasses
import statistics

import grid

OURS, MACHINE = "ndarray-loss", "machine"


@dataclasses.dataclass
class Result:
    """One row of a table: nanoseconds of every round by column."""

    cell: grid.Cell
    times: dict[str, list[float]]
    # The columns whose value was off.
    doubtful: set[str]

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
