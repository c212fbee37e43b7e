//! Sums that are accurate and have the same bits however the work was spread.
//!
//! Values go into a fixed number of lanes by their position; lanes and, further up, chunks are joined along a fixed
//! binary tree. Sums of `f32` run in plain `f64` lanes, those of `f64` carry a compensation (`TwoSum`, Knuth, *The Art
//! of Computer Programming* 2, 4.2.2; products by a fused multiply-add). Pairs are kept to the end, the quotient of a
//! mean included (Dekker, "A floating-point technique for extending the available precision", 1971).

use std::array::from_fn;

use super::parallel::CHUNK;
use crate::float::Arithmetic;

/// How many running sums there are side by side.
pub(crate) const LANES: usize = 16;
/// How many terms of a softmax the lanes take at a time.
pub(crate) const STRIPE: usize = 4 * LANES;

/// In which order the classes of a row are added up: by their number alone, so that a row has the same bits in a group of
/// others and singly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Few classes, which is quicker in a group.
    OneByOne,
    ByLanes,
}

impl Order {
    /// Rows of at most so many classes are added up one by one.
    pub(crate) const FEW: usize = STRIPE;

    #[inline(always)]
    pub(crate) fn of(classes: usize) -> Self {
        if classes <= Self::FEW {
            Self::OneByOne
        } else {
            Self::ByLanes
        }
    }
}

/// An unevaluated sum `hi + lo`.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pair {
    pub(crate) hi: f64,
    pub(crate) lo: f64,
}

impl From<f64> for Pair {
    #[inline(always)]
    fn from(hi: f64) -> Self {
        Self { hi, lo: 0.0 }
    }
}

/// `a + b` and its rounding error; the error is NaN where the sum is not finite.
#[inline(always)]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

impl Pair {
    pub(crate) const ZERO: Self = Self { hi: 0.0, lo: 0.0 };
    pub(crate) const ONE: Self = Self { hi: 1.0, lo: 0.0 };

    /// A sum that is infinite or NaN has nothing to compensate.
    #[inline(always)]
    pub(crate) fn settle(hi: f64, lo: f64) -> Self {
        let sum = hi + lo;
        let rest = lo - (sum - hi);
        if hi.is_finite() && sum.is_finite() {
            Self { hi: sum, lo: rest }
        } else {
            Self { hi, lo: 0.0 }
        }
    }

    #[inline(always)]
    pub(crate) fn join(self, other: Self) -> Self {
        let (sum, error) = two_sum(self.hi, other.hi);
        Self::settle(sum, error + (self.lo + other.lo))
    }

    #[inline(always)]
    pub(crate) fn value(self) -> f64 {
        self.hi
    }

    #[inline(always)]
    pub(crate) fn is_zero(self) -> bool {
        self.hi == 0.0 && self.lo == 0.0
    }

    /// `self / divisor`, rounded nearly once.
    #[inline(always)]
    pub(crate) fn divide(self, divisor: Self) -> f64 {
        let quotient = self.hi / divisor.hi;
        let rest = (-quotient).mul_add(divisor.hi, self.hi) + self.lo - quotient * divisor.lo;
        let correction = rest / divisor.hi;
        if quotient.is_finite() && correction.is_finite() {
            quotient + correction
        } else {
            quotient
        }
    }

    /// `self · factor`, rounded nearly once.
    #[inline(always)]
    pub(crate) fn times(self, factor: f64) -> f64 {
        let product = self.hi * factor;
        let error = self.hi.mul_add(factor, -product);
        let sum = product + self.lo.mul_add(factor, error);
        if sum.is_finite() { sum } else { product }
    }
}

/// What weights are divided by, once for all of them: each is multiplied by the inverse.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Divisor {
    pub(crate) value: Pair,
    /// To twice the bits of an `f64`, if it is ordinary.
    pub(crate) inverse: Pair,
    /// Whether neither it nor its inverse is near the ends of the range.
    pub(crate) is_ordinary: bool,
}

impl Divisor {
    pub(crate) const ONE: Self = Self {
        value: Pair::ONE,
        inverse: Pair::ONE,
        is_ordinary: true,
    };
}

impl From<Pair> for Divisor {
    fn from(value: Pair) -> Self {
        const SMALLEST: f64 = 1e-250;
        let hi = 1.0 / value.hi;
        let lo = ((-hi).mul_add(value.hi, 1.0) - hi * value.lo) / value.hi;
        Self {
            value,
            inverse: Pair { hi, lo },
            is_ordinary: (SMALLEST..=1.0 / SMALLEST).contains(&value.hi.abs()),
        }
    }
}

/// Running sums side by side.
#[doc(hidden)]
#[derive(Debug, Clone)]
#[repr(align(64))] // as `Lines`
pub struct Lanes {
    hi: [f64; LANES],
    lo: [f64; LANES],
}

impl Lanes {
    pub(crate) const ZERO: Self = Self {
        hi: [0.0; LANES],
        lo: [0.0; LANES],
    };

    /// Lanes with these sums and what was rounded off.
    #[inline(always)]
    pub(crate) fn of(sums: impl Fn(usize) -> (f64, f64)) -> Self {
        let mut lanes = Self::ZERO;
        for (lane, (hi, lo)) in lanes.hi.iter_mut().zip(&mut lanes.lo).enumerate() {
            (*hi, *lo) = sums(lane);
        }
        lanes
    }

    /// Keeps the lanes in memory: taken apart into scalars, the compiler would not make vectors of them again.
    #[inline(always)]
    pub(crate) fn in_memory(&mut self) -> &mut Self {
        std::hint::black_box(self)
    }

    /// Adds to every lane what `exact` makes of its value.
    #[inline(always)]
    pub(crate) fn add_each<T: Copy>(&mut self, values: &[T], exact: impl Fn(T) -> f64) {
        let (blocks, rest) = values.as_chunks::<LANES>();
        for block in blocks {
            for i in 0..LANES {
                self.hi[i] += exact(block[i]);
            }
        }
        for (lane, &x) in self.hi.iter_mut().zip(rest) {
            *lane += exact(x);
        }
    }

    /// As [`add_each`](Self::add_each), of two values.
    #[inline(always)]
    pub(crate) fn add_each_pair<T: Copy>(
        &mut self,
        values: &[T],
        weights: &[T],
        exact: impl Fn(T, T) -> f64,
    ) {
        let (blocks, rest) = values.as_chunks::<LANES>();
        let (weight_blocks, weight_rest) = weights.as_chunks::<LANES>();
        for (block, weight_block) in blocks.iter().zip(weight_blocks) {
            for i in 0..LANES {
                self.hi[i] += exact(block[i], weight_block[i]);
            }
        }
        for (lane, (&x, &w)) in self.hi.iter_mut().zip(rest.iter().zip(weight_rest)) {
            *lane += exact(x, w);
        }
    }

    /// As [`add_each`](Self::add_each), of sums of two, compensated.
    #[inline(always)]
    pub(crate) fn add_each_compensated<T: Copy>(
        &mut self,
        values: &[T],
        exact: impl Fn(T) -> (f64, f64),
    ) {
        let Self { hi, lo } = self;
        let (blocks, rest) = values.as_chunks::<LANES>();
        for block in blocks {
            for i in 0..LANES {
                add_compensated(&mut hi[i], &mut lo[i], exact(block[i]));
            }
        }
        for ((hi, lo), &x) in hi.iter_mut().zip(lo).zip(rest) {
            add_compensated(hi, lo, exact(x));
        }
    }

    /// As [`add_each_compensated`](Self::add_each_compensated), of two values.
    #[inline(always)]
    pub(crate) fn add_each_pair_compensated<T: Copy>(
        &mut self,
        values: &[T],
        weights: &[T],
        exact: impl Fn(T, T) -> (f64, f64),
    ) {
        let Self { hi, lo } = self;
        let (blocks, rest) = values.as_chunks::<LANES>();
        let (weight_blocks, weight_rest) = weights.as_chunks::<LANES>();
        for (block, weight_block) in blocks.iter().zip(weight_blocks) {
            for i in 0..LANES {
                add_compensated(&mut hi[i], &mut lo[i], exact(block[i], weight_block[i]));
            }
        }
        for ((hi, lo), (&x, &w)) in hi.iter_mut().zip(lo).zip(rest.iter().zip(weight_rest)) {
            add_compensated(hi, lo, exact(x, w));
        }
    }

    /// Adds values [`STRIPE`] at a time, of which each lane has four, summed up pair by pair before they are added. Of what is
    /// left over it has two, as if zeros followed.
    #[inline(always)]
    pub(crate) fn add_stripes<F: Arithmetic>(&mut self, values: &[F]) {
        let mut lanes = self.running();
        let (stripes, _) = values.as_chunks::<STRIPE>();
        for x in stripes {
            let mut sums = [F::default(); LANES];
            for i in 0..LANES {
                sums[i] = (x[i] + x[i + LANES]) + (x[i + 2 * LANES] + x[i + 3 * LANES]);
            }
            lanes.add(&sums);
        }
        lanes.add_rest(values);
        *self = lanes;
    }

    /// The last of [`add_stripes`](Self::add_stripes): what is left over of values behind whole stripes.
    #[inline(always)]
    pub(crate) fn add_rest<F: Arithmetic>(&mut self, values: &[F]) {
        const HALF: usize = STRIPE / 2;
        let (halves, rest) = values.as_chunks::<HALF>();
        if halves.len() % 2 > 0
            && let Some(x) = halves.last()
        {
            self.add_half(x);
        }
        if rest.is_empty() {
            return;
        }
        // Copies of a length that is known: of another, it would be a call.
        let mut copy = [F::default(); 2 * HALF];
        let start = match values.last_chunk::<HALF>() {
            Some(last) => {
                copy[..HALF].copy_from_slice(last);
                HALF - rest.len()
            }
            None => {
                copy[..rest.len()].copy_from_slice(rest);
                0
            }
        };
        if let Some(x) = copy.get(start..).and_then(<[F]>::first_chunk) {
            self.add_half(x);
        }
    }

    #[inline(always)]
    fn add_half<F: Arithmetic>(&mut self, x: &[F; STRIPE / 2]) {
        let mut sums = [F::default(); LANES];
        for i in 0..LANES {
            sums[i] = x[i] + x[i + LANES];
        }
        self.add(&sums);
    }

    /// A copy that may stay in registers.
    #[inline(always)]
    pub(crate) fn running(&self) -> Self {
        let Self { hi, lo } = *self;
        Self { hi, lo }
    }

    /// Adds a value to each lane.
    #[inline(always)]
    pub(crate) fn add<F: Arithmetic>(&mut self, values: &[F; LANES]) {
        for i in 0..LANES {
            F::add_to(&mut self.hi[i], &mut self.lo[i], values[i]);
        }
    }

    /// Adds the values of a row.
    #[inline(always)]
    pub(crate) fn add_row<F: Arithmetic>(&mut self, values: &[F], order: Order) {
        match order {
            Order::OneByOne => self.add_one_by_one(values),
            Order::ByLanes => F::accumulate(self.in_memory(), values),
        }
    }

    /// Adds the terms of a softmax over a row.
    #[inline(always)]
    pub(crate) fn add_terms<F: Arithmetic>(&mut self, terms: &[F], order: Order) {
        match order {
            Order::OneByOne => self.add_one_by_one(terms),
            Order::ByLanes => self.in_memory().add_stripes(terms),
        }
    }

    #[inline(always)]
    fn add_one_by_one<F: Arithmetic>(&mut self, values: &[F]) {
        let [mut hi, mut lo] = [self.hi[0], self.lo[0]];
        for &value in values {
            F::add_to(&mut hi, &mut lo, value);
        }
        [self.hi[0], self.lo[0]] = [hi, lo];
    }

    /// The sum of all lanes, along a fixed tree.
    #[inline(always)]
    pub(crate) fn total(&self) -> Pair {
        let mut lanes = self.clone();
        lanes.in_memory().halve::<{ LANES / 2 }>();
        lanes.in_memory().halve::<{ LANES / 4 }>();
        lanes.in_memory().halve::<{ LANES / 8 }>();
        lanes.halve::<{ LANES / 16 }>();
        Pair::settle(lanes.hi[0], lanes.lo[0])
    }

    /// The same with each addition rounded, of what was added without [`add_compensated`].
    #[inline(always)]
    pub(crate) fn rounded_total(&self) -> f64 {
        let hi = &self.hi;
        let eight: [f64; LANES / 2] = from_fn(|i| hi[i] + hi[i + LANES / 2]);
        let four: [f64; LANES / 4] = from_fn(|i| eight[i] + eight[i + LANES / 4]);
        (four[0] + four[2]) + (four[1] + four[3])
    }

    /// Adds each of the `WIDTH` lanes behind the first ones to one of those.
    #[inline(always)]
    fn halve<const WIDTH: usize>(&mut self) {
        for i in 0..WIDTH {
            let (sum, error) = two_sum(self.hi[i], self.hi[i + WIDTH]);
            self.hi[i] = sum;
            self.lo[i] += self.lo[i + WIDTH] + error;
        }
    }
}

/// Adds a sum of two to a running sum of two.
#[inline(always)]
pub(crate) fn add_compensated(hi: &mut f64, lo: &mut f64, (value, error): (f64, f64)) {
    let (sum, rounding) = two_sum(*hi, value);
    *hi = sum;
    *lo += rounding + error;
}

const _: () = assert!(CHUNK.is_multiple_of(LANES) && LANES == 16);
