from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num


@dataclass(frozen=True, kw_only=True)
class MeanSquares:
    """A two-way table with one number a cell: how far rows, columns and what is left differ."""

    rows: float
    columns: float
    left: float
    """Of rows by columns, from which error cannot be told apart."""
    shape: tuple[int, int]

    @property
    def freedom(self) -> int:
        """Degrees of freedom of what is left."""
        return (self.shape[0] - 1) * (self.shape[1] - 1)


def mean_squares(table: Num[np.ndarray, "row column"]) -> MeanSquares:
    """The analysis of variance of a table of two rows and two columns or more.

    Raises:
        ValueError: Fewer than two rows or columns.
    """
    rows, columns = table.shape
    if min(rows, columns) < 2:
        raise ValueError(
            f"an analysis of variance needs a 2 x 2 table or more, but got {rows} x {columns}"
        )
    # The middle is taken off first: squares of large numbers leave no digits for differences.
    centred = table - table.mean()
    of_row, of_column = centred.mean(axis=1), centred.mean(axis=0)
    left: Float[np.ndarray, "row column"] = centred - of_row[:, None] - of_column
    return MeanSquares(
        rows=columns * float((of_row**2).sum()) / (rows - 1),
        columns=rows * float((of_column**2).sum()) / (columns - 1),
        left=float((left**2).sum()) / ((rows - 1) * (columns - 1)),
        shape=(rows, columns),
    )
