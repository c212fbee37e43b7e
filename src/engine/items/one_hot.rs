//! Rows of targets that have to be one-hot.

use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2, ArrayViewD, Axis, Slice};

use super::targets::{AnyRows, Divide};
use crate::engine::parallel;
use crate::engine::rows::{
    self, ABREAST, BLOCK, Block, Panel, Part, ROWS, Source, TOGETHER, are_contiguous_columns,
    are_short_one_hot, slices,
};
use crate::engine::simd::Lines;
use crate::float::{Float, Target};

/// A rough number of nanoseconds for an element.
const COST: f32 = 0.2;
/// Rows of at most so many classes are looked at in groups, one lane a row.
const SHORT: usize = 128;
/// Those of at most so many need little room.
const FEW_CLASSES: usize = 16;
/// Less than so many short rows are looked at one by one.
const FEW_ROWS: usize = 8;
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
        F::are_one_hot(AnyRows::of(&rows), grain.max(TOGETHER))
    })
}

/// Whether every row is, found out on several threads if there are more than `grain`.
pub(in crate::engine) fn are_one_hot_rows<F: Float>(rows: AnyRows<'_, F>, grain: usize) -> bool {
    if rows.nrows() > grain {
        let middle = (rows.nrows() / 2).next_multiple_of(TOGETHER);
        let (left, right) = rows.divide(middle);
        let (left, right) = parallel::join(
            || are_one_hot_rows(left, grain),
            || are_one_hot_rows(right, grain),
        );
        left && right
    } else if rows.ncols() <= SHORT {
        short(&rows)
    } else if let Some(rows) = rows.floats().filter(|rows| are_contiguous_columns(rows)) {
        across(rows)
    } else if rows.are_columns() {
        together(&rows)
    } else {
        bands::<F, 1, SEVERAL>(&rows)
    }
}

/// Short rows.
fn short<F: Float>(rows: &AnyRows<'_, F>) -> bool {
    let zeros = [F::zero(); ROWS];
    match (rows.nrows(), rows.ncols()) {
        (..FEW_ROWS, _) | (_, 0) => {
            let mut copy = [F::zero(); SHORT];
            (0..rows.nrows()).all(|row| {
                let row = rows.consecutive(row..row + 1, &mut copy);
                is_one_hot::<F, F>(&ArrayView1::from(row))
            })
        }
        (_, ..=FEW_CLASSES) => groups(rows, &mut Lines([zeros; 2 * FEW_CLASSES]).0),
        _ => groups(rows, &mut Lines([zeros; 2 * SHORT]).0),
    }
}

/// Short rows in groups, with room for two panels.
fn groups<F: Float>(rows: &AnyRows<'_, F>, scratch: &mut Panel<F>) -> bool {
    let (panel, copy) = scratch.split_at_mut(rows.ncols());
    let (all, copy) = (rows.slice(), copy.as_flattened_mut());
    (0..rows.nrows()).step_by(ROWS).all(|start| {
        let end = (start + ROWS).min(rows.nrows());
        let group = rows.consecutive_short(all, start..end, panel, copy);
        are_short_one_hot(group, end - start, panel)
    })
}

#[inline(never)] // its frame is large
fn together<F: Float>(rows: &AnyRows<'_, F>) -> bool {
    bands::<F, TOGETHER, TOGETHER>(rows)
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
fn bands<F: Float, const ROWS: usize, const PARTS: usize>(rows: &AnyRows<'_, F>) -> bool {
    let mut copies = [[F::zero(); BLOCK]; PARTS];
    (0..rows.nrows()).step_by(ROWS).all(|start| {
        let end = (start + ROWS).min(rows.nrows());
        let count = end - start;
        match rows {
            AnyRows::Floats(view) => {
                let band = view.slice_axis(Axis(0), Slice::from(start..end));
                let mut lines = [&[][..]; ROWS];
                let source = match slices(&band, &mut lines[..count]) {
                    Some(lines) => Source::Slices(lines),
                    None => Source::View(band),
                };
                rows::are_one_hot(source, count, view.ncols(), &mut copies)
            }
            AnyRows::Others(others) => {
                let parts = |rows: Range<usize>, part: Part, copies: &mut [Block<F>]| {
                    others.copy_part(start + rows.start..start + rows.end, part, copies);
                };
                rows::are_one_hot(Source::Parts(&parts), count, rows.ncols(), &mut copies)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn are_all<T: Target<f32>>(rows: ArrayView2<'_, T>) -> bool {
        are_one_hot_rows(AnyRows::of(&rows), usize::MAX)
    }

    #[test]
    fn columns_with_a_last_row_by_itself() {
        for rows in [ABREAST, ABREAST + 1, ABREAST + 2] {
            let mut columns = Array2::<f32>::zeros((SHORT + 1, rows));
            for row in 0..rows {
                columns[[row % SHORT, row]] = 1.0;
            }
            assert!(are_all(columns.t()), "{rows}");
            columns[[SHORT, rows - 1]] = 1.0;
            assert!(!are_all(columns.t()), "{rows}");
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
                let plain = are_all(rows.view());
                let by_columns = are_all(columns(rows).t());
                assert_eq!(plain, by_columns);
                plain
            };
            assert!(both(&rows), "{count} x {classes}");
            let integers = rows.mapv(|t| t as u8);
            assert!(are_all(integers.view()));
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
