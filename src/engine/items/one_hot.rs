//! Rows of targets that have to be one-hot.

use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2, ArrayViewD, Axis, Slice};

use super::long::{are_columns, slices};
use super::short::floats_of;
use crate::engine::parallel;
use crate::engine::rows::{
    self, ABREAST, BLOCK, Block, Panel, Part, ROWS, SHORT, Source, TOGETHER,
    are_contiguous_columns, are_short_one_hot, copy_part,
};
use crate::engine::simd::Lines;
use crate::float::{Float, Target};

/// A rough number of nanoseconds for an element.
const COST: f32 = 0.2;
/// Less than so many short rows are looked at one by one.
const FEW_ROWS: usize = 8;
/// Rows of at most so many classes need little room.
const FEW: usize = 16;
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
        short(&rows)
    } else if let Some(rows) = T::as_float_rows(rows.view()).filter(are_contiguous_columns) {
        across(&rows)
    } else if are_columns(&rows) {
        together(&rows)
    } else {
        bands::<F, T, 1, SEVERAL>(&rows)
    }
}

/// Short rows.
fn short<F: Float, T: Target<F>>(rows: &ArrayView2<'_, T>) -> bool {
    let zeros = [F::zero(); ROWS];
    match (rows.nrows(), rows.ncols()) {
        (..FEW_ROWS, _) | (_, 0) => rows.rows().into_iter().all(|row| is_one_hot(&row)),
        (_, ..=FEW) => groups(rows, &mut Lines([zeros; 2 * FEW]).0),
        _ => groups(rows, &mut Lines([zeros; 2 * SHORT]).0),
    }
}

/// Short rows in groups, with room for two panels.
fn groups<F: Float, T: Target<F>>(rows: &ArrayView2<'_, T>, scratch: &mut Panel<F>) -> bool {
    let (panel, copy) = scratch.split_at_mut(rows.ncols());
    let copy = copy.as_flattened_mut();
    rows.axis_chunks_iter(Axis(0), ROWS)
        .all(|rows| are_short_one_hot(floats_of(&rows, copy), rows.nrows(), panel))
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

    #[test]
    fn short_rows_by_themselves_and_in_groups() {
        for (count, classes) in [
            (3, 1),
            (7, 5),
            (8, 5),
            (33, 10),
            (40, 16),
            (33, 17),
            (9, 128),
        ] {
            let mut rows = Array2::<f32>::zeros((count, classes));
            for row in 0..count {
                rows[[row, row % classes]] = 1.0;
            }
            let columns = |rows: &Array2<f32>| rows.t().as_standard_layout().into_owned();
            let both = |rows: &Array2<f32>| {
                let plain = shared::<f32, f32>(rows.view(), usize::MAX);
                let by_columns = shared::<f32, f32>(columns(rows).t(), usize::MAX);
                assert_eq!(plain, by_columns);
                plain
            };
            assert!(both(&rows), "{count} x {classes}");
            let integers = rows.mapv(|t| t as u8);
            assert!(shared::<f32, u8>(integers.view(), usize::MAX));
            for row in [0, count / 2, count - 1] {
                for class in [0, classes / 2, classes - 1] {
                    let right = rows[[row, class]];
                    for wrong in [1.0 - right, 0.5, -1.0, f32::NAN] {
                        rows[[row, class]] = wrong;
                        assert!(!both(&rows), "{wrong} at {row}, {class}");
                    }
                    rows[[row, class]] = right;
                }
            }
        }
    }
}
