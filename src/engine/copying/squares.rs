//! Rows that become columns in registers.

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis, Slice};

use crate::engine::simd::{self, Columns, PATCH_COLUMNS, PATCH_ROWS, Shuffles, covers};
use crate::float::{Float, Target};

/// How many elements of a row are made use of at once, where there are so many: a line of memory, which is then read
/// once.
const WIDE: usize = 16;

/// The side of a square, in which whole patches fit.
pub(in crate::engine) const SQUARE: usize = PATCH_ROWS;

/// Whether [`transpose`] serves for it.
pub(super) fn has_squares<F: Float, T: Target<F>>(
    from: &ArrayView2<'_, T>,
    to: &ArrayViewMut2<'_, F>,
) -> bool {
    let are_rows = from.strides()[1] == 1 && to.strides()[1] == 1;
    are_rows && T::as_floats(&[]).is_some() && from.nrows() >= SQUARE && from.ncols() >= SQUARE
}

/// Makes columns of rows that are contiguous, as those of the result are.
pub(super) fn transpose<F: Float, T: Target<F>>(
    from: &ArrayView2<'_, T>,
    to: &mut ArrayViewMut2<'_, F>,
) {
    let rows = from.nrows();
    let whole = rows - rows % PATCH_ROWS;
    bands(from, to, Slice::from(..whole));
    if whole < rows {
        // The rest overlaps what is before it.
        bands(from, to, Slice::from(rows - PATCH_ROWS..));
    }
}

/// Some of the rows, a multiple of [`PATCH_ROWS`].
fn bands<F: Float, T: Target<F>>(
    from: &ArrayView2<'_, T>,
    to: &mut ArrayViewMut2<'_, F>,
    rows: Slice,
) {
    let from = from.slice_axis(Axis(0), rows);
    let to = to.slice_axis_mut(Axis(1), rows);
    if from.ncols() >= WIDE {
        simd::dispatch(Squares::<F, T, WIDE> { from, to });
    } else {
        simd::dispatch(Squares::<F, T, SQUARE> { from, to });
    }
}

/// Rows, a multiple of [`PATCH_ROWS`], `WIDTH` elements of each at once, and what becomes of them.
struct Squares<'a, 'b, F, T, const WIDTH: usize> {
    from: ArrayView2<'a, T>,
    to: ArrayViewMut2<'b, F>,
}

impl<F: Float, T: Target<F>, const WIDTH: usize> simd::Work for Squares<'_, '_, F, T, WIDTH> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        let shuffles = Shuffles::new();
        for top in covers(self.from.ncols(), WIDTH) {
            let mut to = self.to.slice_axis_mut(Axis(0), Slice::from(top..));
            let mut lines = [(); WIDTH].map(|()| Default::default());
            for (line, row) in lines.iter_mut().zip(to.outer_iter_mut()) {
                let row = row.into_slice().unwrap_or_default();
                *line = row.as_chunks_mut::<PATCH_ROWS>().0;
            }
            let mut rows = self.from.outer_iter();
            let mut left = 0;
            while let Some(band) = band::<F, T, WIDTH>(&mut rows, top) {
                for column in (0..WIDTH).step_by(PATCH_COLUMNS) {
                    let columns = columns(shuffles, &band, column);
                    for (line, column) in lines[column..].iter_mut().zip(columns) {
                        if let Some(to) = line.get_mut(left) {
                            *to = column;
                        }
                    }
                }
                left += 1;
            }
        }
    }
}

/// The next rows, from a column on.
#[inline(always)]
fn band<'r, F: Float, T: Target<F>, const WIDTH: usize>(
    rows: &mut impl Iterator<Item = ArrayView1<'r, T>>,
    column: usize,
) -> Option<[&'r [F; WIDTH]; PATCH_ROWS]> {
    let mut next = || {
        let row = T::as_floats(rows.next()?.to_slice()?)?;
        row.get(column..)?.first_chunk()
    };
    Some([
        next()?,
        next()?,
        next()?,
        next()?,
        next()?,
        next()?,
        next()?,
        next()?,
    ])
}

/// The columns of a patch of the rows.
#[inline(always)]
fn columns<F: Float, const WIDTH: usize>(
    shuffles: Shuffles,
    rows: &[&[F; WIDTH]; PATCH_ROWS],
    column: usize,
) -> Columns<F> {
    let zeros = [F::zero(); PATCH_COLUMNS];
    let part = |row: usize| rows[row][column..].first_chunk().unwrap_or(&zeros);
    let patch = [
        part(0),
        part(1),
        part(2),
        part(3),
        part(4),
        part(5),
        part(6),
        part(7),
    ];
    shuffles.columns_of(patch)
}
