//! The classes that rows of targets name, for losses that know of labels alone: of long rows, and in a file beneath of
//! short ones.

mod short_rows;

pub(in crate::engine) use short_rows::{are_short_one_hot, named_of_short};

use ndarray::ArrayView2;

use super::columns::{ABREAST, Abreast, Columns, LargestAcross, are_enough_across};
use super::copies::{Block, Source};
use super::parts::{Largest, Part, Parts, largest_and_any_nan, position};
use super::short::update;
use super::{Dense, IN_TURN, TOGETHER};
use crate::engine::simd;
use crate::float::Float;

/// Finds the class that each of several long rows names, as many as `found` has room for; `None` where it names none.
///
/// At most [`TOGETHER`], [`ABREAST`] of columns.
pub(in crate::engine) fn named<F: Float>(
    dense: Dense,
    rows: Source<'_, F>,
    classes: usize,
    copies: &mut [Block<F>],
    found: &mut [Option<usize>],
) {
    // No more states than there is use for.
    match found.len() {
        n if n <= IN_TURN => named_of::<F, IN_TURN>(dense, rows, classes, copies, found),
        n if n <= TOGETHER => named_of::<F, TOGETHER>(dense, rows, classes, copies, found),
        _ => named_of::<F, ABREAST>(dense, rows, classes, copies, found),
    }
}

fn named_of<F: Float, const ROWS: usize>(
    dense: Dense,
    rows: Source<'_, F>,
    classes: usize,
    copies: &mut [Block<F>],
    found: &mut [Option<usize>],
) {
    let count = found.len();
    match dense {
        Dense::Distribution => found.fill(None),
        Dense::OneHot => {
            let start = TheOne { class: None };
            let of_rows = search::<F, _, ROWS>(rows, count, classes, copies, start);
            for (class, row) in found.iter_mut().zip(of_rows) {
                *class = row.class;
            }
        }
        Dense::Largest => {
            let start = LargestTarget {
                largest: Largest::new(),
                class: None,
                any_nan: false,
            };
            let of_rows = search::<F, _, ROWS>(rows, count, classes, copies, start);
            for (class, row) in found.iter_mut().zip(of_rows) {
                // Of −∞ alone, the first.
                *class = (!row.any_nan).then_some(row.class.unwrap_or(0));
            }
        }
    }
}

/// Whether each of several long rows, at most [`TOGETHER`], [`ABREAST`] of columns, is a single 1 among zeros.
pub(in crate::engine) fn are_one_hot<F: Float>(
    rows: Source<'_, F>,
    count: usize,
    classes: usize,
    copies: &mut [Block<F>],
) -> bool {
    match count {
        0..=1 => are_one_hot_of::<F, 1>(rows, count, classes, copies),
        2..=TOGETHER => are_one_hot_of::<F, TOGETHER>(rows, count, classes, copies),
        _ => are_one_hot_of::<F, ABREAST>(rows, count, classes, copies),
    }
}

fn are_one_hot_of<F: Float, const ROWS: usize>(
    rows: Source<'_, F>,
    count: usize,
    classes: usize,
    copies: &mut [Block<F>],
) -> bool {
    let start = OneHot {
        ones: 0,
        others: false,
    };
    let of_rows = search::<F, _, ROWS>(rows, count, classes, copies, start);
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
    /// The whole of several rows, by their columns.
    fn across(rows: &mut [Self], targets: Columns<'_, F>);
}

/// What is found of each row.
fn search<F: Float, L: Look<F>, const ROWS: usize>(
    rows: Source<'_, F>,
    count: usize,
    classes: usize,
    copies: &mut [Block<F>],
    start: L,
) -> [L; ROWS] {
    let mut states = [start; ROWS];
    let found = &mut states[..count];
    if are_enough_across::<F>(count)
        && rows.is_by_columns()
        && let Some(targets) = rows.view()
    {
        across(found, targets);
    } else {
        simd::dispatch(Search {
            rows,
            classes,
            copies,
            states: found,
        });
    }
    states
}

#[inline(never)] // its frame is large
fn across<F: Float, L: Look<F>>(states: &mut [L], targets: ArrayView2<'_, F>) {
    simd::dispatch(SearchAcross { targets, states });
}

struct SearchAcross<'a, 's, F, L> {
    targets: ArrayView2<'a, F>,
    states: &'s mut [L],
}

impl<F: Float, L: Look<F>> simd::Work for SearchAcross<'_, '_, F, L> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        L::across(self.states, Columns::of(self.targets.view()));
    }
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
        // The room is one row's, or for a part of each.
        let at_once = if states.len() == 1 { copies.len() } else { 1 };
        let mut start = 0;
        for states in states.chunks_mut(copies.len().max(1)) {
            for parts in Parts::several(0..classes, at_once) {
                let band = start..start + states.len();
                rows.copy(band.clone(), parts, classes, L::padding(), copies);
                for (place, (row, state)) in band.zip(&mut *states).enumerate() {
                    for (part, copy) in parts.each().zip(copies.iter_mut().skip(place)) {
                        state.look(part, rows.part(row, part, L::padding(), copy));
                    }
                }
            }
            start += states.len();
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

    #[inline(always)]
    fn across(rows: &mut [Self], mut targets: Columns<'_, F>) {
        for (part, targets) in targets.stretches() {
            // Of zeros and a one, which was checked.
            let ones = LargestAcross::of(targets, None);
            for (row, (value, class, _)) in rows.iter_mut().zip(ones.of_rows(part)) {
                if row.class.is_none() && value == F::one() {
                    row.class = Some(class);
                }
            }
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
        let (largest, any_nan) = largest_and_any_nan(targets);
        if self.largest.look_at(part, largest) {
            self.class = self.largest.class(part, targets);
        }
        self.any_nan |= any_nan;
    }

    #[inline(always)]
    fn across(rows: &mut [Self], mut targets: Columns<'_, F>) {
        for (part, targets) in targets.stretches() {
            let largest = LargestAcross::of(targets, None);
            for (row, (value, class, any_nan)) in rows.iter_mut().zip(largest.of_rows(part)) {
                if row.largest.look_at(part, value) {
                    row.class = Some(class);
                }
                row.any_nan |= any_nan;
            }
        }
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

    #[inline(always)]
    fn across(rows: &mut [Self], mut targets: Columns<'_, F>) {
        let (zero, one) = (F::zero(), F::one());
        for (_, targets) in targets.stretches() {
            let mut ones: Abreast<F> = [zero; _];
            let mut others: Abreast<F> = [zero; _];
            for column in targets.each() {
                let targets = column.scores();
                for row in 0..targets.len() {
                    let t = targets[row];
                    ones[row] += if t == one { one } else { zero };
                    others[row] = update((t != zero) & (t != one), one, others[row]);
                }
            }
            let found = ones.iter().zip(&others);
            for (row, (ones, &other)) in rows.iter_mut().zip(found) {
                row.ones += ones.widen() as usize;
                row.others |= other == one;
            }
        }
    }
}
