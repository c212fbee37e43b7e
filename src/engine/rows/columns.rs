//! Parts of long rows whose columns are contiguous: read where they are, lanes across rows.

use ndarray::{ArrayView2, Axis, Slice};

use super::parts::{Part, greater};
use super::{ROWS, TOGETHER};
use crate::float::Float;

/// How many strips there are of the rows that are treated together.
const STRIPS: usize = TOGETHER / ROWS;

/// A number of each of the rows that are treated together, a strip of them at a time.
pub(crate) type Strips<F> = [[F; ROWS]; STRIPS];

/// The scores of a part of several rows, at most [`TOGETHER`], class by class.
pub(crate) struct Columns<'a, F> {
    pub(crate) part: Part,
    scores: ArrayView2<'a, F>,
}

impl<'a, F: Float> Columns<'a, F> {
    pub(super) fn of(part: Part, rows: &'a ArrayView2<'_, F>) -> Self {
        let end = rows.ncols().min(part.start + part.len);
        Self {
            part,
            scores: rows.slice_axis(Axis(1), Slice::from(part.start..end)),
        }
    }

    /// The scores of each class, each strip with its number; NaN behind the last row.
    #[inline(always)]
    pub(crate) fn classes(&self) -> impl Iterator<Item = impl Iterator<Item = (usize, [F; ROWS])>> {
        let columns = self.scores.columns().into_iter();
        columns.map(|column| {
            let scores = column.to_slice().unwrap_or_default();
            let strips = scores.chunks(ROWS).map(padded).enumerate();
            strips.take(STRIPS)
        })
    }

    /// The largest number of each row, as [`Largest`](super::Largest) finds it.
    #[inline(always)]
    pub(crate) fn largest(&self) -> Strips<F> {
        let mut largest = [[F::neg_infinity(); ROWS]; STRIPS];
        for strips in self.classes() {
            for (strip, scores) in strips {
                let largest = &mut largest[strip];
                for i in 0..ROWS {
                    largest[i] = greater(scores[i], largest[i]);
                }
            }
        }
        largest
    }
}

#[inline(always)]
fn padded<F: Float>(scores: &[F]) -> [F; ROWS] {
    match scores.first_chunk() {
        Some(scores) => *scores,
        None => {
            let mut padded = [F::nan(); ROWS];
            for (to, &x) in padded.iter_mut().zip(scores) {
                *to = x;
            }
            padded
        }
    }
}
