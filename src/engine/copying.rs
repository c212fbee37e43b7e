//! Copies from one layout to another: rows that are made contiguous, and put back.

mod lanes;
mod squares;

use std::hint::black_box;

use ndarray::{ArrayBase, ArrayView2, ArrayViewMut2, Axis, Ix2, RawData, Slice};

use crate::BinaryLabels;
use crate::float::{Float, Target};
use lanes::copy_lane;
pub(super) use squares::SQUARE;
use squares::has_squares;

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
    mut from: ArrayView2<'_, T>,
    mut to: ArrayViewMut2<'_, F>,
    pair: Option<BinaryLabels>,
) {
    if are_one_lane(&from) && are_one_lane(&to) {
        from.merge_axes(Axis(0), Axis(1));
        to.merge_axes(Axis(0), Axis(1));
    }
    // Few long lanes rather than many short ones.
    let is_contiguous = from.stride_of(Axis(1)) == 1 && to.stride_of(Axis(1)) == 1;
    let along = Axis(usize::from(is_contiguous || to.ncols() >= to.nrows()));
    for (from, to) in from.lanes(along).into_iter().zip(to.lanes_mut(along)) {
        copy_lane(from, to, pair);
    }
}

/// Whether all elements lie at the same distance.
pub(super) fn are_one_lane<S: RawData>(rows: &ArrayBase<S, Ix2>) -> bool {
    rows.nrows() <= 1 || rows.strides()[0] == rows.ncols() as isize * rows.strides()[1]
}

/// Makes columns of rows.
fn transpose<F: Float, T: Target<F>>(
    from: ArrayView2<'_, T>,
    mut to: ArrayViewMut2<'_, F>,
    pair: Option<BinaryLabels>,
) {
    if has_squares(&from, &to) {
        squares::transpose(&from, &mut to);
    } else {
        copy_rows(from, to.reversed_axes(), pair);
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ArrayViewMut2};

    use super::*;

    /// Elements within a larger array, as a layout has them.
    fn laid<A: Clone>((rows, columns): (usize, usize), layout: usize, gap: A) -> Array2<A> {
        match layout {
            0 | 1 => Array2::from_elem((rows, columns), gap),
            2 | 3 => Array2::from_elem((columns, rows), gap),
            4 => Array2::from_elem((rows, 2 * columns), gap),
            _ => Array2::from_elem((columns + 3, rows + 2), gap),
        }
    }

    /// Where they are: rows, rows backwards, columns, columns backwards, every second, columns of a part.
    fn place<S: RawData>(array: &mut ArrayBase<S, Ix2>, columns: usize, layout: usize) {
        if layout % 2 == 1 {
            array.invert_axis(Axis(1));
        }
        match layout {
            0 | 1 => {}
            4 => array.slice_axis_inplace(Axis(1), Slice::from(..).step_by(2)),
            5 => {
                array.slice_axis_inplace(Axis(0), Slice::from(1..1 + columns));
                array.slice_axis_inplace(Axis(1), Slice::from(2..));
                array.swap_axes(0, 1);
            }
            _ => array.swap_axes(0, 1),
        }
    }

    fn copies<F: Float, T: Target<F>>(of: impl Fn(usize) -> T) {
        let sizes = [1, 3, 7, 8, 15, 16, 17, 31, 40];
        let shapes = sizes
            .iter()
            .flat_map(|&rows| sizes.map(|columns| (rows, columns)));
        for (shape, (from_layout, to_layout)) in
            shapes.flat_map(|shape| (0..36).map(move |pair| (shape, (pair / 6, pair % 6))))
        {
            let columns = shape.1;
            let mut stored = laid(shape, from_layout, of(0));
            let mut from = stored.view_mut();
            place(&mut from, columns, from_layout);
            for ((row, column), x) in from.indexed_iter_mut() {
                *x = of(1 + row * columns + column);
            }
            let mut out = laid(shape, to_layout, F::nan());
            let mut to = out.view_mut();
            place(&mut to, columns, to_layout);
            copy_ahead(&from.view(), to.view_mut());
            let what = format!("{shape:?} from layout {from_layout} to {to_layout}");
            for ((row, column), &x) in to.indexed_iter() {
                let right = of(1 + row * columns + column).to_float(None);
                assert_eq!(x, right, "{what} at {row}, {column}");
            }
            let written = out.iter().filter(|x| !x.is_nan()).count();
            assert_eq!(written, shape.0 * columns, "{what}");
        }
    }

    #[test]
    fn from_any_layout_to_any() {
        copies::<f32, f32>(|n| n as f32);
        copies::<f64, f64>(|n| n as f64);
        copies::<f32, u16>(|n| n as u16);
    }

    fn copies_back<F: Float>() {
        for layout in 0..6 {
            for shape in [(5, 10), (16, 33), (64, 20)] {
                let mut out = laid(shape, layout, F::nan());
                let mut to: ArrayViewMut2<'_, F> = out.view_mut();
                place(&mut to, shape.1, layout);
                let from = Array2::from_shape_fn(shape, |(i, j)| F::narrow((100 * i + j) as f64));
                copy_back_ahead(from.view(), to.view_mut());
                assert_eq!(to, from, "{shape:?}, layout {layout}");
            }
        }
    }

    #[test]
    fn and_back() {
        copies_back::<f32>();
        copies_back::<f64>();
    }
}
