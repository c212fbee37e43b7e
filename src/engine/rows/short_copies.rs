//! Copies of short rows that do not lie one after the other, by way of their columns.

use ndarray::{ArrayBase, ArrayView1, ArrayView2, ArrayViewMut2, Ix2, RawData};

use super::short::{Panel, ROWS, transpose, transpose_back};
use crate::engine::copying::{are_one_lane, gather, scatter};
use crate::engine::simd::{self, PATCH_ROWS};
use crate::float::Float;

/// Copies at most [`ROWS`] rows, one after the other; the panel has as many classes.
pub(in crate::engine) fn gather_short<F: Float>(
    rows: &ArrayView2<'_, F>,
    panel: &mut Panel<F>,
    copy: &mut [F],
) {
    if !by_columns(rows) {
        gather(rows, copy);
        return;
    }
    for (lanes, column) in panel.iter_mut().zip(rows.columns()) {
        read(lanes, column);
    }
    simd::dispatch(ToRows { panel, copy });
}

/// The inverse of [`gather_short`].
pub(in crate::engine) fn scatter_short<F: Float>(
    copy: &[F],
    panel: &mut Panel<F>,
    mut rows: ArrayViewMut2<'_, F>,
) {
    if !by_columns(&rows) {
        scatter(copy, rows);
        return;
    }
    simd::dispatch(ToColumns { copy, panel });
    for (lanes, mut column) in panel.iter().zip(rows.columns_mut()) {
        if let Some(column) = column.as_slice_mut() {
            if let Some(lanes) = lanes.get(..column.len()) {
                column.copy_from_slice(lanes);
            }
        } else if column.len() == ROWS {
            for (i, &lane) in lanes.iter().enumerate() {
                column[i] = lane;
            }
        } else {
            for (to, &lane) in column.iter_mut().zip(lanes) {
                *to = lane;
            }
        }
    }
}

/// Whether columns are the better way: they are contiguous, or rows are short and many.
fn by_columns<S: RawData>(rows: &ArrayBase<S, Ix2>) -> bool {
    rows.nrows() >= PATCH_ROWS
        && (rows.strides()[0] == 1 || rows.ncols() < ROWS && !are_one_lane(rows))
}

fn read<F: Float>(lanes: &mut [F; ROWS], column: ArrayView1<'_, F>) {
    if let Some(column) = column.to_slice() {
        if let Some(lanes) = lanes.get_mut(..column.len()) {
            lanes.copy_from_slice(column);
        }
    } else if column.len() == ROWS {
        // Of a known number: over an iterator of the column it would take several times as long.
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = column[i];
        }
    } else {
        for (lane, &x) in lanes.iter_mut().zip(column) {
            *lane = x;
        }
    }
}

struct ToRows<'a, F> {
    panel: &'a Panel<F>,
    copy: &'a mut [F],
}

impl<F: Float> simd::Work for ToRows<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        transpose_back(self.panel, self.copy);
    }
}

struct ToColumns<'a, F> {
    copy: &'a [F],
    panel: &'a mut Panel<F>,
}

impl<F: Float> simd::Work for ToColumns<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        transpose(self.copy, self.panel);
    }
}
