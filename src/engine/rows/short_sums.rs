//! Sums of the rows of a group, one lane a row, in the [`Order`] that [`Lanes`](crate::engine::reduce::Lanes) add up a
//! single row.

use super::short::ROWS;
use crate::engine::reduce::{LANES, Order, STRIPE};
use crate::float::Float;

/// What is added up. All functions have to be `#[inline(always)]`; a closure would be compiled for the baseline.
pub(crate) trait Summands<F> {
    /// Those of a class.
    fn of(&self, class: usize) -> [F; ROWS];
}

impl<F: Float> Summands<F> for [[F; ROWS]] {
    #[inline(always)]
    fn of(&self, class: usize) -> [F; ROWS] {
        self[class]
    }
}

/// The sum over so many classes.
#[inline(always)]
pub(crate) fn sums<F: Float>(classes: usize, of: &(impl Summands<F> + ?Sized)) -> [f64; ROWS] {
    total::<F>(classes, Each { classes, of })
}

/// The sum of terms none of which is negative, but those of the maximal classes: see
/// [`Lanes::add_stripes`](crate::engine::reduce::Lanes::add_stripes).
#[inline(always)]
pub(crate) fn sums_of_others<F: Float>(terms: &[[F; ROWS]], maximal: &[F; ROWS]) -> [f64; ROWS] {
    total::<F>(terms.len(), Stripes { terms, maximal })
}

/// What the lanes add up. All functions have to be `#[inline(always)]`.
trait OfLane<F> {
    /// What there is of a class.
    fn of_class(&self, class: usize) -> [F; ROWS];
    /// The sums over the classes of a lane.
    fn of_lane(&self, lane: usize) -> GroupSums;
}

struct Each<'s, S: ?Sized> {
    classes: usize,
    of: &'s S,
}

struct Stripes<'t, F> {
    terms: &'t [[F; ROWS]],
    maximal: &'t [F; ROWS],
}

impl<F: Float, S: Summands<F> + ?Sized> OfLane<F> for Each<'_, S> {
    #[inline(always)]
    fn of_class(&self, class: usize) -> [F; ROWS] {
        self.of.of(class)
    }

    #[inline(always)]
    fn of_lane(&self, lane: usize) -> GroupSums {
        let mut sums = GroupSums::ZERO;
        for class in (lane..self.classes).step_by(LANES) {
            sums.add(&self.of.of(class));
        }
        sums
    }
}

impl<F: Float> OfLane<F> for Stripes<'_, F> {
    #[inline(always)]
    fn of_class(&self, class: usize) -> [F; ROWS] {
        others(self.terms, self.maximal, class)
    }

    #[inline(always)]
    fn of_lane(&self, lane: usize) -> GroupSums {
        let Self { terms, maximal } = *self;
        let whole = terms.len() - terms.len() % STRIPE;
        let mut sums = GroupSums::ZERO;
        for start in (lane..whole).step_by(STRIPE) {
            let first = pair(terms, maximal, start);
            let second = pair(terms, maximal, start + STRIPE / 2);
            let mut four = [F::zero(); ROWS];
            for i in 0..ROWS {
                four[i] = first[i] + second[i];
            }
            sums.add(&four);
        }
        for start in (whole + lane..terms.len()).step_by(STRIPE / 2) {
            sums.add(&pair(terms, maximal, start));
        }
        sums
    }
}

/// The terms of a class, 0 where it is the maximal one.
#[inline(always)]
fn others<F: Float>(terms: &[[F; ROWS]], maximal: &[F; ROWS], class: usize) -> [F; ROWS] {
    let place = F::narrow(class as f64);
    let terms = &terms[class];
    let mut others = [F::zero(); ROWS];
    for i in 0..ROWS {
        let term = terms[i];
        others[i] = if maximal[i] == place { F::zero() } else { term };
    }
    others
}

/// The same of two classes that a lane adds up, if there is a second one.
#[inline(always)]
fn pair<F: Float>(terms: &[[F; ROWS]], maximal: &[F; ROWS], class: usize) -> [F; ROWS] {
    let mut pair = others(terms, maximal, class);
    if class + LANES < terms.len() {
        let second = others(terms, maximal, class + LANES);
        for i in 0..ROWS {
            pair[i] += second[i];
        }
    }
    pair
}

/// Running sums of each row, and what was rounded off.
#[derive(Clone, Copy)]
struct GroupSums {
    hi: [f64; ROWS],
    lo: [f64; ROWS],
}

impl GroupSums {
    const ZERO: Self = Self {
        hi: [0.0; ROWS],
        lo: [0.0; ROWS],
    };

    #[inline(always)]
    fn add<F: Float>(&mut self, values: &[F; ROWS]) {
        for i in 0..ROWS {
            F::add_to(&mut self.hi[i], &mut self.lo[i], values[i]);
        }
    }

    #[inline(always)]
    fn join<F: Float>(&mut self, other: &Self) {
        for i in 0..ROWS {
            F::join_lane(&mut self.hi[i], &mut self.lo[i], (other.hi[i], other.lo[i]));
        }
    }

    #[inline(always)]
    fn totals<F: Float>(&self) -> [f64; ROWS] {
        let mut totals = [0.0; ROWS];
        for i in 0..ROWS {
            totals[i] = F::total_of_lane(self.hi[i], self.lo[i]);
        }
        totals
    }
}

/// The sums of all classes, along the tree of [`Lanes::total`](crate::engine::reduce::Lanes::total) where there are lanes.
#[inline(always)]
fn total<F: Float>(classes: usize, lanes: impl OfLane<F>) -> [f64; ROWS] {
    const QUARTER: usize = LANES / 4;
    if Order::of(classes) == Order::OneByOne {
        let mut sums = GroupSums::ZERO;
        for class in 0..classes {
            sums.add(&lanes.of_class(class));
        }
        return sums.totals::<F>();
    }
    let mut quarters = [GroupSums::ZERO; QUARTER];
    for (first, quarter) in quarters.iter_mut().enumerate() {
        for half in [first, first + QUARTER] {
            let mut sums = GroupSums::ZERO;
            for lane in [half, half + 2 * QUARTER] {
                sums.join::<F>(&lanes.of_lane(lane));
            }
            quarter.join::<F>(&sums);
        }
    }
    let [mut a, mut b, c, d] = quarters;
    a.join::<F>(&c);
    b.join::<F>(&d);
    a.join::<F>(&b);
    a.totals::<F>()
}

const _: () = assert!(LANES == 16 && LANES <= Order::FEW);
