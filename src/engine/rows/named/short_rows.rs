//! Short rows of targets, in groups: one lane a row.

use std::array::from_fn;

use crate::engine::rows::short::{Maxima, Panel, ROWS, transpose, update};
use crate::engine::simd;
use crate::float::Float;

/// The class of the largest target of each of at most [`ROWS`] rows, one after the other; `None` for a row with a NaN.
/// What it finds for rows that are not there is unspecified. The panel has as many classes.
pub(in crate::engine) fn named_of_short<F: Float>(
    rows: &[F],
    panel: &mut Panel<F>,
) -> [Option<usize>; ROWS] {
    simd::dispatch(Named { rows, panel })
}

struct Named<'r, 'p, F> {
    rows: &'r [F],
    panel: &'p mut Panel<F>,
}

impl<F: Float> simd::Work for Named<'_, '_, F> {
    type Output = [Option<usize>; ROWS];

    #[inline(always)]
    fn run(&mut self) -> Self::Output {
        let (zero, one) = (F::zero(), F::one());
        transpose(self.rows, self.panel);
        let largest = Maxima::of(self.panel);
        let mut nans = [zero; ROWS];
        for targets in self.panel.iter() {
            for i in 0..ROWS {
                nans[i] += if targets[i].is_nan() { one } else { zero };
            }
        }
        from_fn(|i| (nans[i] == zero).then_some(largest.maximal[i].widen() as usize))
    }
}

/// Whether each of `count` rows, at most [`ROWS`], one after the other, is a single 1 among zeros. The panel has as many
/// classes.
pub(in crate::engine) fn are_short_one_hot<F: Float>(
    rows: &[F],
    count: usize,
    panel: &mut Panel<F>,
) -> bool {
    simd::dispatch(Check { rows, count, panel })
}

struct Check<'r, 'p, F> {
    rows: &'r [F],
    count: usize,
    panel: &'p mut Panel<F>,
}

impl<F: Float> simd::Work for Check<'_, '_, F> {
    type Output = bool;

    #[inline(always)]
    fn run(&mut self) -> bool {
        let (zero, one) = (F::zero(), F::one());
        transpose(self.rows, self.panel);
        let (mut ones, mut others) = ([zero; ROWS], [zero; ROWS]);
        for targets in self.panel.iter() {
            for i in 0..ROWS {
                let t = targets[i];
                ones[i] += if t == one { one } else { zero };
                others[i] = update((t != zero) & (t != one), one, others[i]);
            }
        }
        let mut rows = ones.iter().zip(&others).take(self.count);
        rows.all(|(&ones, &other)| ones == one && other == zero)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first class with the largest target, by the definition.
    fn named(row: &[f32]) -> Option<usize> {
        let is_largest = |x: f32| row.iter().all(|&other| other <= x);
        row.iter().position(|&x| is_largest(x))
    }

    #[test]
    fn ties_infinities_and_nans() {
        let kinds = [f32::NEG_INFINITY, -1.0, 0.0, 2.0, 2.0, f32::INFINITY];
        let mut state = 1_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 33) as usize % below
        };
        for (count, classes) in [(1, 1), (5, 3), (31, 7), (32, 10), (32, 128)] {
            for kinds in [&kinds[..1], &kinds[..5], &kinds] {
                let mut rows: Vec<f32> = (0..count * classes)
                    .map(|_| kinds[next(kinds.len())])
                    .collect();
                rows[next(count * classes)] = f32::NAN;
                let found = named_of_short(&rows, &mut vec![[0.0; ROWS]; classes]);
                for (row, found) in rows.chunks(classes).zip(found) {
                    assert_eq!(found, named(row), "{row:?}");
                }
            }
        }
    }
}
