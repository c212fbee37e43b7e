//! Copies from one layout to another: rows that are made contiguous, and put back.

use std::array::from_fn;
use std::hint::black_box;

use ndarray::{ArrayBase, ArrayView2, ArrayViewMut, ArrayViewMut2, Axis, Ix2, RawData, Slice, Zip};

use super::simd::{self, Shuffles, TILE as SQUARE, covers};
use crate::BinaryLabels;
use crate::float::{Float, Target};

/// The bytes of a line of memory.
pub(super) const LINE: usize = 64;
/// How many elements of several columns are fetched at once.
const STRETCH: usize = 16384;

/// Copies a tile to a slice in row-major order.
pub(super) fn copy_tile<F: Float, T: Target<F>>(
    from: &ArrayView2<'_, T>,
    to: &mut [F],
    pair: Option<BinaryLabels>,
) {
    // The sizes are the same: this cannot fail.
    if let Ok(to) = ArrayViewMut2::from_shape(from.raw_dim(), to) {
        copy(from, to, pair);
    }
}

/// The inverse of [`copy_tile`].
pub(super) fn copy_tile_back<F: Float>(from: &[F], to: ArrayViewMut2<'_, F>) {
    if let Ok(from) = ArrayView2::from_shape(to.raw_dim(), from) {
        copy_back(from, to);
    }
}

/// Copies rows to a slice, one after the other; what lies along columns is fetched ahead.
pub(super) fn gather<F: Float, T: Target<F>>(from: &ArrayView2<'_, T>, to: &mut [F]) {
    if let Some(from) = from.to_slice() {
        // All at once: rows may be short.
        for (to, &x) in to.iter_mut().zip(from) {
            *to = x.to_float(None);
        }
    } else if let Ok(to) = ArrayViewMut2::from_shape(from.raw_dim(), to) {
        copy_ahead(from, to);
    }
}

/// The inverse of [`gather`].
pub(super) fn scatter<F: Float>(from: &[F], to: ArrayViewMut2<'_, F>) {
    if let Ok(from) = ArrayView2::from_shape(to.raw_dim(), from) {
        copy_back_ahead(from, to);
    }
}

/// Copies rows to contiguous ones; what lies along columns is fetched ahead.
pub(super) fn copy_ahead<F: Float, T: Target<F>>(
    from: &ArrayView2<'_, T>,
    mut to: ArrayViewMut2<'_, F>,
) {
    for stretch in stretches(from) {
        let from = from.slice_axis(Axis(1), stretch);
        if by_columns(&from) {
            fetch(&from);
        }
        copy(&from, to.slice_axis_mut(Axis(1), stretch), None);
    }
}

/// The inverse of [`copy_ahead`].
pub(super) fn copy_back_ahead<F: Float>(from: ArrayView2<'_, F>, mut to: ArrayViewMut2<'_, F>) {
    for stretch in stretches(&to) {
        let to = to.slice_axis_mut(Axis(1), stretch);
        if by_columns(&to) {
            fetch(&to.view());
        }
        copy_back(from.slice_axis(Axis(1), stretch), to);
    }
}

/// The columns, as many at a time as may be fetched before they are used.
fn stretches<S: RawData>(rows: &ArrayBase<S, Ix2>) -> impl Iterator<Item = Slice> + use<S> {
    let columns = rows.ncols();
    let stretch = if by_columns(rows) {
        (STRETCH / rows.nrows().max(1)).max(SQUARE)
    } else {
        columns.max(1)
    };
    let starts = (0..columns).step_by(stretch);
    starts.map(move |start| Slice::from(start..columns.min(start + stretch)))
}

/// Reads a little of every line of memory: loads and nothing else, so that many are under way at once.
pub(super) fn fetch<T: Copy>(tile: &ArrayView2<'_, T>) {
    let along = Axis(usize::from(!by_columns(tile)));
    let line = (LINE / size_of::<T>()).max(1);
    for lane in tile.lanes(along) {
        for x in lane.to_slice().unwrap_or_default().iter().step_by(line) {
            black_box(*x);
        }
    }
}

/// Whether the columns are contiguous.
fn by_columns<S: RawData>(tile: &ArrayBase<S, Ix2>) -> bool {
    tile.strides()[0] == 1 && tile.strides()[1] != 1
}

/// Copies rows to contiguous ones.
fn copy<F: Float, T: Target<F>>(
    from: &ArrayView2<'_, T>,
    to: ArrayViewMut2<'_, F>,
    pair: Option<BinaryLabels>,
) {
    if by_columns(from) {
        transpose(from.t(), to, pair);
    } else {
        copy_rows(from.view(), to, pair);
    }
}

/// The inverse of [`copy`].
fn copy_back<F: Float>(from: ArrayView2<'_, F>, to: ArrayViewMut2<'_, F>) {
    if by_columns(&to) {
        transpose(from, to.reversed_axes(), None);
    } else {
        copy_rows(from, to, None);
    }
}

fn copy_rows<F: Float, T: Target<F>>(
    from: ArrayView2<'_, T>,
    mut to: ArrayViewMut2<'_, F>,
    pair: Option<BinaryLabels>,
) {
    for (mut from, mut to) in from.rows().into_iter().zip(to.rows_mut()) {
        let is_turned = (from.stride_of(Axis(0)) < 0) != (to.stride_of(Axis(0)) < 0);
        if from.stride_of(Axis(0)) < 0 {
            from.invert_axis(Axis(0));
        }
        if to.stride_of(Axis(0)) < 0 {
            to.invert_axis(Axis(0));
        }
        match (from.to_slice(), to.as_slice_mut(), is_turned) {
            (Some(from), Some(to), false) => {
                for (to, &x) in to.iter_mut().zip(from) {
                    *to = x.to_float(pair);
                }
            }
            (Some(from), Some(to), true) => {
                for (to, &x) in to.iter_mut().rev().zip(from) {
                    *to = x.to_float(pair);
                }
            }
            _ => {
                if is_turned {
                    to.invert_axis(Axis(0));
                }
                let lanes = Zip::from(to).and(from);
                lanes.for_each(|to, &x| *to = x.to_float(pair));
            }
        }
    }
}

/// Makes columns of rows that are contiguous, as those of the result are.
fn transpose<F: Float, T: Target<F>>(
    from: ArrayView2<'_, T>,
    to: ArrayViewMut2<'_, F>,
    pair: Option<BinaryLabels>,
) {
    if T::as_floats(&[]).is_some() && from.nrows() >= SQUARE && from.ncols() >= SQUARE {
        simd::dispatch(Squares { from, to });
    } else {
        copy_rows(from, to.reversed_axes(), pair);
    }
}

/// Rows that become columns in registers.
struct Squares<'a, 'b, F, T> {
    from: ArrayView2<'a, T>,
    to: ArrayViewMut2<'b, F>,
}

impl<F: Float, T: Target<F>> simd::Work for Squares<'_, '_, F, T> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        // Of its own, so that the compiler need not read them again after each write.
        let (from, mut to) = (self.from.view(), self.to.view_mut());
        let zeros = [F::zero(); SQUARE];
        let shuffles = Shuffles::new();
        for top in covers(to.nrows(), SQUARE) {
            let (_, below) = to.view_mut().split_at(Axis(0), top);
            let mut below = below.into_outer_iter_mut().map(ArrayViewMut::into_slice);
            let mut lines: [&mut [F]; SQUARE] =
                from_fn(|_| below.next().flatten().unwrap_or_default());
            for left in covers(from.nrows(), SQUARE) {
                let columns = F::transpose(
                    shuffles,
                    from_fn(|k| {
                        let row = from.index_axis_move(Axis(0), left + k).to_slice();
                        let row = row.and_then(T::as_floats).and_then(|row| row.get(top..));
                        row.and_then(|row| row.first_chunk()).unwrap_or(&zeros)
                    }),
                );
                for (line, column) in lines.iter_mut().zip(&columns) {
                    let place = line.get_mut(left..);
                    if let Some(place) = place.and_then(|line| line.first_chunk_mut()) {
                        *place = *column;
                    }
                }
            }
        }
    }
}
