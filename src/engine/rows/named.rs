//! The classes that long rows of targets name, for losses that know of labels alone.

use super::copies::{Block, Source};
use super::parts::{Largest, Part, Parts, position};
use super::{Dense, TOGETHER};
use crate::engine::simd;
use crate::float::Float;

/// Finds the class that each of several rows names, as many as `found` has room for, at most [`TOGETHER`]; `None` where
/// it names none.
pub(in crate::engine) fn named<F: Float>(
    dense: Dense,
    rows: Source<'_, F>,
    classes: usize,
    copies: &mut [Block<F>],
    found: &mut [Option<usize>],
) {
    let count = found.len().min(copies.len());
    let copies = &mut copies[..count];
    match dense {
        Dense::Distribution => found.fill(None),
        Dense::OneHot => {
            let of_rows = search(rows, classes, copies, TheOne { class: None });
            for (class, row) in found.iter_mut().zip(of_rows) {
                *class = row.class;
            }
        }
        Dense::Largest => {
            let state = LargestTarget {
                largest: Largest::new(),
                class: None,
                any_nan: false,
            };
            let of_rows = search(rows, classes, copies, state);
            for (class, row) in found.iter_mut().zip(of_rows) {
                // Of −∞ alone, the first.
                *class = (!row.any_nan).then_some(row.class.unwrap_or(0));
            }
        }
    }
}

/// Whether each of several rows, at most [`TOGETHER`], is a single 1 among zeros.
pub(in crate::engine) fn are_one_hot<F: Float>(
    rows: Source<'_, F>,
    count: usize,
    classes: usize,
    copies: &mut [Block<F>],
) -> bool {
    let state = OneHot {
        ones: 0,
        others: false,
    };
    let count = count.min(copies.len());
    let of_rows = search(rows, classes, &mut copies[..count], state);
    let mut of_rows = of_rows.iter().take(count);
    of_rows.all(|row| row.ones == 1 && !row.others)
}

/// What is known of a row between its parts. All functions have to be `#[inline(always)]`.
trait Look<F: Float>: Copy {
    /// What stands behind the end of a row.
    #[inline(always)]
    fn padding() -> F {
        F::zero()
    }
    fn look(&mut self, part: Part, targets: &[F]);
}

/// What is found of each row that there is a copy for.
fn search<F: Float, L: Look<F>>(
    rows: Source<'_, F>,
    classes: usize,
    copies: &mut [Block<F>],
    start: L,
) -> [L; TOGETHER] {
    let mut states = [start; TOGETHER];
    simd::dispatch(Search {
        rows,
        classes,
        copies,
        states: &mut states,
    });
    states
}

struct Search<'a, 'r, 's, F, L> {
    rows: Source<'a, F>,
    classes: usize,
    copies: &'r mut [Block<F>],
    states: &'s mut [L],
}

impl<F: Float, L: Look<F>> simd::Work for Search<'_, '_, '_, F, L> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        let Self {
            rows,
            classes,
            copies,
            states,
        } = self;
        let classes = *classes;
        for part in Parts::of(classes) {
            rows.copy(part, classes, L::padding(), copies);
            let states = states.iter_mut().zip(copies.iter_mut());
            for (row, (state, copy)) in states.enumerate() {
                state.look(part, rows.part(row, part, L::padding(), copy));
            }
        }
    }
}

/// Where the 1 of a one-hot row is.
#[derive(Clone, Copy)]
struct TheOne {
    class: Option<usize>,
}

impl<F: Float> Look<F> for TheOne {
    #[inline(always)]
    fn look(&mut self, part: Part, targets: &[F]) {
        if self.class.is_none() {
            let offset = position(targets, F::one());
            self.class = offset.map(|offset| part.start + offset);
        }
    }
}

#[derive(Clone, Copy)]
struct LargestTarget<F> {
    largest: Largest<F>,
    class: Option<usize>,
    any_nan: bool,
}

impl<F: Float> Look<F> for LargestTarget<F> {
    #[inline(always)]
    fn padding() -> F {
        F::neg_infinity()
    }

    #[inline(always)]
    fn look(&mut self, part: Part, targets: &[F]) {
        if self.largest.look(part, targets) {
            self.class = self.largest.class(part, targets);
        }
        self.any_nan |= targets.iter().fold(false, |any, t| any | t.is_nan());
    }
}

#[derive(Clone, Copy)]
struct OneHot {
    ones: usize,
    /// Whether there is anything but zeros and ones.
    others: bool,
}

impl<F: Float> Look<F> for OneHot {
    #[inline(always)]
    fn look(&mut self, _part: Part, targets: &[F]) {
        let (zero, one) = (F::zero(), F::one());
        let ones = targets.iter().fold(0_u32, |n, &t| n + u32::from(t == one));
        self.ones += ones as usize;
        let others = |any: bool, &t: &F| any | ((t != zero) & (t != one));
        self.others |= targets.iter().fold(false, others);
    }
}
