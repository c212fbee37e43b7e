//! Rows of targets that have to be one-hot.

use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2, ArrayViewD, Axis, Slice};

use super::long::{are_columns, slices};
use crate::engine::parallel;
use crate::engine::rows::{
    self, ABREAST, BLOCK, Block, Part, SHORT, Source, TOGETHER, are_contiguous_columns, copy_part,
};
use crate::float::{Float, Target};

/// A rough number of nanoseconds for an element.
const COST: f32 = 0.2;
/// How many parts of a row are copied at once.
const SEVERAL: usize = 16;

/// Whether a row is a single 1 among zeros.
pub(crate) fn is_one_hot<F: Float, T: Target<F>>(row: &ArrayView1<'_, T>) -> bool {
    let mut ones = 0;
    let mut others = false;
    for t in row {
        let t = t.to_float(None);
        ones += usize::from(t == F::one());
        others |= t != F::one() && t != F::zero();
    }
    ones == 1 && !others
}

/// Whether every row along the last axis is.
pub(crate) fn are_one_hot<F: Float, T: Target<F>>(rows: &ArrayViewD<'_, T>) -> bool {
    match rows.ndim() {
        0..=1 => plane(rows.view().insert_axis(Axis(0))),
        2 => plane(rows.view()),
        _ => rows.outer_iter().all(|rows| are_one_hot(&rows)),
    }
}

fn plane<F: Float, T: Target<F>>(rows: ArrayViewD<'_, T>) -> bool {
    rows.into_dimensionality().is_ok_and(|rows| {
        let classes = rows.ncols().max(1);
        let grain = parallel::grain(rows.len(), COST) / classes;
        shared(rows, grain.max(TOGETHER))
    })
}

/// On several threads, if there are more rows than `grain`.
fn shared<F: Float, T: Target<F>>(rows: ArrayView2<'_, T>, grain: usize) -> bool {
    if rows.nrows() > grain {
        let (left, right) = rows.split_at(Axis(0), (rows.nrows() / 2).next_multiple_of(TOGETHER));
        let (left, right) = parallel::join(|| shared(left, grain), || shared(right, grain));
        left && right
    } else if rows.ncols() <= SHORT {
        rows.rows().into_iter().all(|row| is_one_hot(&row))
    } else if let Some(rows) = T::as_float_rows(rows.view()).filter(are_contiguous_columns) {
        across(&rows)
    } else if are_columns(&rows) {
        together(&rows)
    } else {
        bands::<F, T, 1, SEVERAL>(&rows)
    }
}

#[inline(never)] // its frame is large
fn together<F: Float, T: Target<F>>(rows: &ArrayView2<'_, T>) -> bool {
    bands::<F, T, TOGETHER, TOGETHER>(rows)
}

/// Floats that lie along columns.
fn across<F: Float>(rows: &ArrayView2<'_, F>) -> bool {
    // The last row may be by itself: one row has no columns.
    let mut copy = [[F::zero(); BLOCK]];
    rows.axis_chunks_iter(Axis(0), ABREAST).all(|band| {
        let (count, classes) = band.dim();
        rows::are_one_hot(Source::View(band), count, classes, &mut copy)
    })
}

/// So many rows at a time; where they are not contiguous, with room for copies of so many parts.
fn bands<F: Float, T: Target<F>, const ROWS: usize, const PARTS: usize>(
    rows: &ArrayView2<'_, T>,
) -> bool {
    let mut copies = [[F::zero(); BLOCK]; PARTS];
    (0..rows.nrows()).step_by(ROWS).all(|start| {
        let end = (start + ROWS).min(rows.nrows());
        let band = rows.slice_axis(Axis(0), Slice::from(start..end));
        let lines = slices::<F, T, ROWS>(&band);
        let parts = |rows: Range<usize>, part: Part, copies: &mut [Block<F>]| {
            copy_part(&band.slice_axis(Axis(0), Slice::from(rows)), part, copies);
        };
        let source = match &lines {
            Some(lines) => Source::Slices(lines),
            None => Source::Parts(&parts),
        };
        rows::are_one_hot(source, band.nrows(), band.ncols(), &mut copies)
    })
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn columns_with_a_last_row_by_itself() {
        for rows in [ABREAST, ABREAST + 1, ABREAST + 2] {
            let mut columns = Array2::<f32>::zeros((SHORT + 1, rows));
            for row in 0..rows {
                columns[[row % SHORT, row]] = 1.0;
            }
            assert!(shared::<f32, f32>(columns.t(), usize::MAX), "{rows}");
            columns[[SHORT, rows - 1]] = 1.0;
            assert!(!shared::<f32, f32>(columns.t(), usize::MAX), "{rows}");
        }
    }
}
