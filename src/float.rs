//! What an element may be: [`Float`] for predictions, [`Target`] for targets.

use std::fmt::{Debug, Display, LowerExp};
use std::ops::Add;

use ndarray::{ArrayView2, ScalarOperand};
use num_traits::{FloatConst, NumAssign, NumCast};

use crate::BinaryLabels;
use crate::compiled::Kernels;
use crate::engine::compiled::Compiled;
use crate::engine::elementwise::{self, Operands};
use crate::engine::reduce::{Divisor, Lanes, Pair, add_compensated};
use crate::engine::simd::Transposed;
use crate::engine::span::{Job, SpanKernel};
use crate::math::Elementary;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// The element type of predictions and results: `f32` or `f64`.
///
/// It is the only bound that generic code needs in order to call everything in this crate:
///
/// ```
/// use ndarray::{Array2, ArrayView1, ArrayView2};
/// use ndarray_loss::{Aggregate, CategoricalCrossentropy, Float, ItemwiseLoss, LossError};
///
/// fn step<F: Float>(p: ArrayView2<F>, labels: ArrayView1<u8>) -> Result<(F, Array2<F>), LossError> {
///     CategoricalCrossentropy.objective_and_gradient(p, labels, Aggregate::Mean)
/// }
/// # let p = ndarray::array![[0.5_f32, 0.5]];
/// # assert_eq!(step(p.view(), ndarray::aview1(&[1])).unwrap().1, ndarray::array![[0.0, -2.0]]);
/// ```
///
/// The trait is sealed: the numerics are written and measured for these two formats.
#[diagnostic::on_unimplemented(
    message = "predictions cannot hold `{Self}`",
    label = "predictions must be `f32` or `f64`",
    note = "convert them first, for example with `a.mapv(f64::from)`"
)]
#[allow(private_bounds)] // sealed, and what else the crate knows of a format
pub trait Float:
    num_traits::Float
    + FloatConst
    + NumAssign
    + ScalarOperand
    + Default
    + Debug
    + Display
    + LowerExp
    + Send
    + Sync
    + 'static
    + Elementary
    + Arithmetic
    + Compiled
    + Kernels
    + sealed::Sealed
{
}

impl Float for f32 {}
impl Float for f64 {}

/// What the engine needs to know about a format; a hidden supertrait of [`Float`].
#[doc(hidden)]
pub trait Arithmetic: Copy + Default + Add<Output = Self> + Transposed {
    /// The nearest value of this format.
    fn narrow(x: f64) -> Self;
    fn widen(self) -> f64;
    /// Adds a value to a running sum `hi + lo`.
    fn add_to(hi: &mut f64, lo: &mut f64, value: Self);
    /// Adds the values to the lanes, the first to the first lane.
    fn accumulate(lanes: &mut Lanes, values: &[Self]);
    /// Adds to a lane's sum that of another one, as [`total_of_section`](Self::total_of_section) does.
    fn join_lane(hi: &mut f64, lo: &mut f64, other: (f64, f64));
    /// What the sum of all lanes comes to, as [`total_of_section`](Self::total_of_section) has it.
    fn total_of_lane(hi: f64, lo: f64) -> f64;
    /// The sum of the lanes of a section of a row, to 53 bits at least.
    fn total_of_section(lanes: &Lanes) -> Pair;
    /// Adds the sum of the next section of a row.
    fn add_section(total: &mut Pair, section: Pair);
    /// Adds the exact products, but nothing where the weight is 0.
    fn accumulate_weighted(lanes: &mut Lanes, values: &[Self], weights: &[Self]);
    /// `weight / divisor`, rounded.
    fn coefficient(weight: Self, divisor: Divisor) -> Self;
    /// Multiplies each by its coefficient; it is 0 where the weight is 0.
    fn weigh(gradient: &mut [Self], weights: &[Self], divisor: Divisor);
    /// Whether all are positive, finite and not subnormal.
    fn all_positive_normal(values: &[Self]) -> bool;
}

impl Arithmetic for f32 {
    #[inline(always)]
    fn all_positive_normal(values: &[Self]) -> bool {
        const LEAST: u32 = f32::MIN_POSITIVE.to_bits();
        const LARGEST: u32 = f32::MAX.to_bits();
        // Bits below the least wrap around.
        let above_least = |x: &f32| x.to_bits().wrapping_sub(LEAST);
        let greatest = values.iter().map(above_least).fold(0, u32::max);
        greatest <= LARGEST - LEAST
    }

    #[inline(always)]
    fn narrow(x: f64) -> Self {
        x as f32
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        self as f64
    }

    #[inline(always)]
    fn add_to(hi: &mut f64, _lo: &mut f64, value: Self) {
        *hi += value as f64;
    }

    #[inline(always)]
    fn accumulate(lanes: &mut Lanes, values: &[Self]) {
        lanes.add_each(values, |x| x as f64);
    }

    #[inline(always)]
    fn join_lane(hi: &mut f64, _lo: &mut f64, (other, _): (f64, f64)) {
        *hi += other;
    }

    #[inline(always)]
    fn total_of_lane(hi: f64, _lo: f64) -> f64 {
        hi
    }

    #[inline(always)]
    fn total_of_section(lanes: &Lanes) -> Pair {
        // 29 bits more than are needed
        Pair::from(lanes.rounded_total())
    }

    #[inline(always)]
    fn add_section(total: &mut Pair, section: Pair) {
        total.hi += section.hi;
    }

    #[inline(always)]
    fn accumulate_weighted(lanes: &mut Lanes, values: &[Self], weights: &[Self]) {
        lanes.add_each_pair(values, weights, |x, w| {
            // 24 + 24 bits: exact in an f64
            let product = x as f64 * w as f64;
            if w == 0.0 { 0.0 } else { product }
        });
    }

    #[inline(always)]
    fn coefficient(weight: Self, divisor: Divisor) -> Self {
        // The products are 29 bits more precise than is needed, and no divisor has an inverse that overflows but 0.
        (weight as f64 * divisor.inverse.hi) as f32
    }

    #[inline(always)]
    fn weigh(gradient: &mut [Self], weights: &[Self], divisor: Divisor) {
        for (g, &weight) in gradient.iter_mut().zip(weights) {
            *g = weighted(*g, weight, Self::coefficient(weight, divisor));
        }
    }
}

impl Arithmetic for f64 {
    #[inline(always)]
    fn all_positive_normal(values: &[Self]) -> bool {
        const LEAST: u64 = f64::MIN_POSITIVE.to_bits();
        const LARGEST: u64 = f64::MAX.to_bits();
        // Of the bits of any other number, one difference or the other has the first bit set: AVX2 has no greater one of
        // two 64-bit integers, as `f32` makes use of.
        let either = values.iter().fold(0, |either, x| {
            let bits = x.to_bits();
            either | bits.wrapping_sub(LEAST) | LARGEST.wrapping_sub(bits)
        });
        either.leading_zeros() > 0
    }

    #[inline(always)]
    fn narrow(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }

    #[inline(always)]
    fn add_to(hi: &mut f64, lo: &mut f64, value: Self) {
        add_compensated(hi, lo, (value, 0.0));
    }

    #[inline(always)]
    fn accumulate(lanes: &mut Lanes, values: &[Self]) {
        lanes.add_each_compensated(values, |x| (x, 0.0));
    }

    #[inline(always)]
    fn join_lane(hi: &mut f64, lo: &mut f64, (other_hi, other_lo): (f64, f64)) {
        add_compensated(hi, lo, (other_hi, other_lo));
    }

    #[inline(always)]
    fn total_of_lane(hi: f64, lo: f64) -> f64 {
        // The value of a settled pair, without a branch.
        let sum = hi + lo;
        if sum.is_finite() { sum } else { hi }
    }

    #[inline(always)]
    fn total_of_section(lanes: &Lanes) -> Pair {
        lanes.total()
    }

    #[inline(always)]
    fn add_section(total: &mut Pair, section: Pair) {
        *total = total.join(section);
    }

    #[inline(always)]
    fn accumulate_weighted(lanes: &mut Lanes, values: &[Self], weights: &[Self]) {
        lanes.add_each_pair_compensated(values, weights, |x, w| {
            let product = x * w;
            let error = x.mul_add(w, -product);
            if w == 0.0 {
                (0.0, 0.0)
            } else {
                (product, error)
            }
        });
    }

    #[inline(always)]
    fn coefficient(weight: Self, divisor: Divisor) -> Self {
        if divisor.is_ordinary {
            divisor.inverse.times(weight)
        } else {
            Pair::from(weight).divide(divisor.value)
        }
    }

    #[inline(always)]
    fn weigh(gradient: &mut [Self], weights: &[Self], divisor: Divisor) {
        let pairs = gradient.iter_mut().zip(weights);
        // Asked here, since the compiler leaves the question in the loop.
        if divisor.is_ordinary {
            for (g, &weight) in pairs {
                *g = weighted(*g, weight, divisor.inverse.times(weight));
            }
        } else {
            for (g, &weight) in pairs {
                *g = weighted(*g, weight, Self::coefficient(weight, divisor));
            }
        }
    }
}

/// A gradient times the coefficient of its weight.
#[inline(always)]
fn weighted<F: Float>(gradient: F, weight: F, coefficient: F) -> F {
    if weight == F::zero() {
        F::zero()
    } else {
        gradient * coefficient
    }
}

/// An element of the targets: the predictions' own float type, `bool`, or any primitive integer.
///
/// Targets are read in place and rounded once to the predictions' type `F`; they are never copied to a float array.
/// `bool` means the pair of labels that the loss declares, 0 and 1 unless it says otherwise.
/// The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the target of predictions of type `{F}`",
    label = "targets must be `{F}`, `bool` or a primitive integer",
    note = "convert float targets of another type first, for example with `t.mapv(|t| t as {F})`"
)]
pub trait Target<F>: Copy + PartialEq + Send + Sync + 'static {
    /// What arrays of this type can mean to an item-wise loss: distributions, one-hot rows, or labels.
    #[doc(hidden)]
    type Kind;
    /// Whether this is an integer type, whose values may be labels.
    #[doc(hidden)]
    const INTEGER: bool;

    /// Fills the outputs of an element-wise loss and returns the (weighted) sum of the losses.
    #[doc(hidden)]
    fn traverse(operands: Operands<'_, F, Self>, kernel: &dyn SpanKernel<F>, job: Job<F>) -> Pair
    where
        F: Float,
    {
        elementwise::traverse(operands, kernel, job)
    }
    /// Its value; an integer with a pair is one of it.
    #[doc(hidden)]
    fn to_float(self, pair: Option<BinaryLabels>) -> F;
    /// Whether an integer is one of the pair.
    #[doc(hidden)]
    fn is_of(self, _pair: BinaryLabels) -> bool {
        true
    }
    /// The slice itself, if no element needs converting.
    #[doc(hidden)]
    fn as_floats(slice: &[Self]) -> Option<&[F]>;
    /// The same of rows.
    #[doc(hidden)]
    fn as_float_rows(rows: ArrayView2<'_, Self>) -> Option<ArrayView2<'_, F>>;
    /// The classes that these labels name, if they are classes already.
    #[doc(hidden)]
    #[inline(always)]
    fn as_classes(_labels: &[Self]) -> Option<&[usize]> {
        None
    }
    /// The class that this label names; `usize::MAX` if it can be none.
    #[doc(hidden)]
    fn class(self) -> usize;
    #[doc(hidden)]
    fn label(self) -> i128;
    /// The inverse of `label`, if this type has it.
    #[doc(hidden)]
    fn of_label(label: i128) -> Option<Self>;
}

/// The kinds of targets of an item-wise loss.
pub(crate) mod kind {
    /// Floats: a distribution for each item.
    #[derive(Debug)]
    pub struct Distribution;
    /// `bool`: a one-hot row for each item.
    #[derive(Debug)]
    pub struct OneHot;
    /// Integers: one label for each item, or a row of counts or one-hot.
    #[derive(Debug)]
    pub struct Labels;
}

impl<F: Float> Target<F> for F {
    type Kind = kind::Distribution;
    const INTEGER: bool = false;

    fn traverse(operands: Operands<'_, F, Self>, kernel: &dyn SpanKernel<F>, job: Job<F>) -> Pair {
        <F as Compiled>::traverse(operands, kernel, job)
    }
    #[inline(always)]
    fn to_float(self, _pair: Option<BinaryLabels>) -> F {
        self
    }
    #[inline(always)]
    fn as_floats(slice: &[Self]) -> Option<&[F]> {
        Some(slice)
    }
    #[inline(always)]
    fn as_float_rows(rows: ArrayView2<'_, Self>) -> Option<ArrayView2<'_, F>> {
        Some(rows)
    }
    #[inline(always)]
    fn class(self) -> usize {
        usize::MAX
    }
    fn label(self) -> i128 {
        -1
    }
    fn of_label(_label: i128) -> Option<Self> {
        None
    }
}

impl<F: Float> Target<F> for bool {
    type Kind = kind::OneHot;
    const INTEGER: bool = false;

    #[inline(always)]
    fn to_float(self, pair: Option<BinaryLabels>) -> F {
        if self { F::one() } else { low(pair) }
    }
    #[inline(always)]
    fn as_floats(_slice: &[Self]) -> Option<&[F]> {
        None
    }
    #[inline(always)]
    fn as_float_rows(_rows: ArrayView2<'_, Self>) -> Option<ArrayView2<'_, F>> {
        None
    }
    #[inline(always)]
    fn class(self) -> usize {
        usize::MAX
    }
    fn label(self) -> i128 {
        self as i128
    }
    fn of_label(_label: i128) -> Option<Self> {
        None
    }
}

/// The lower one of a pair.
#[inline(always)]
fn low<F: Float>(pair: Option<BinaryLabels>) -> F {
    match pair {
        Some(BinaryLabels::PlusMinusOne) => -F::one(),
        Some(BinaryLabels::ZeroOne) | None => F::zero(),
    }
}

macro_rules! integer_targets {
    ($($integer:ty $({ $($own:tt)* })?)*) => {$(
        impl<F: Float> Target<F> for $integer {
            type Kind = kind::Labels;
            const INTEGER: bool = true;
            $($($own)*)?

            #[inline(always)]
            fn to_float(self, pair: Option<BinaryLabels>) -> F {
                match pair {
                    // Of several at once, as conversions of 64-bit integers are only with AVX-512.
                    Some(_) if self == 1 => F::one(),
                    Some(_) => low(pair),
                    // `as`, for every pair of types: rounded once
                    None => <F as NumCast>::from(self).unwrap_or_else(F::nan),
                }
            }
            #[inline(always)]
            fn is_of(self, pair: BinaryLabels) -> bool {
                let is_low = match pair {
                    BinaryLabels::ZeroOne => self == 0,
                    // −1, of signed integers
                    BinaryLabels::PlusMinusOne => (self == !0) & (Self::MIN != 0),
                };
                // `||` would be a branch, which labels leave to chance.
                is_low | (self == 1)
            }
            #[inline(always)]
            fn as_floats(_slice: &[Self]) -> Option<&[F]> {
                None
            }
            #[inline(always)]
            fn as_float_rows(_rows: ArrayView2<'_, Self>) -> Option<ArrayView2<'_, F>> {
                None
            }
            #[inline(always)]
            fn class(self) -> usize {
                usize::try_from(self).unwrap_or(usize::MAX)
            }
            fn label(self) -> i128 {
                i128::try_from(self).unwrap_or(i128::MAX)
            }
            fn of_label(label: i128) -> Option<Self> {
                Self::try_from(label).ok()
            }
        }
    )*};
}

integer_targets! {
    i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128
    usize {
        #[inline(always)]
        fn as_classes(labels: &[Self]) -> Option<&[usize]> {
            Some(labels)
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn finds_what_is_not_ordinary<F: Float>(least: F) {
        let ordinary = [least, F::max_value(), F::one(), F::narrow(1e-20)];
        let mut values: Vec<F> = ordinary.into_iter().cycle().take(70).collect();
        assert!(F::all_positive_normal(&values));
        let largest_subnormal = least - least * F::epsilon();
        let others = [F::zero(), F::neg_zero(), -F::one(), F::nan(), -F::nan()];
        let limits = [F::infinity(), F::neg_infinity(), largest_subnormal];
        for place in [0, 33, 69] {
            let before = values[place];
            for other in others.into_iter().chain(limits) {
                values[place] = other;
                assert!(!F::all_positive_normal(&values), "{other} at {place}");
            }
            values[place] = before;
        }
    }

    /// Over divisors and weights of all sizes, against the quotient.
    fn coefficients_are_quotients<F: Float>(quotient: fn(F, Pair) -> F) {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut magnitude = |range: f64| {
            let exponent = random.random_range(-range..range).exp2();
            random.random_range(-2.0..2.0) * exponent
        };
        let widest = -F::min_positive_value().widen().log2();
        let mut pairs = Vec::new();
        for _ in 0..100_000 {
            let hi = magnitude(100.0);
            let divisor = Pair::settle(hi, hi * f64::EPSILON * magnitude(1.0));
            pairs.push((F::narrow(magnitude(20.0)), divisor));
            pairs.push((F::narrow(magnitude(widest)), Pair::from(magnitude(widest))));
        }
        let special = [0.0, -0.0, 1.0, -3.0, 5e-324, 1e-300, 1e300, f64::MAX];
        let special = special.into_iter().chain([f64::INFINITY, f64::NAN]);
        let special = special.map(F::narrow);
        for weight in special.clone() {
            pairs.extend(special.clone().map(|d| (weight, Pair::from(d.widen()))));
        }
        let mut rounded_otherwise = 0;
        for &(weight, divisor) in &pairs {
            let expected = quotient(weight, divisor);
            let found = F::coefficient(weight, divisor.into());
            let is_same = found == expected || found.is_nan() && expected.is_nan();
            let ulp = (expected.abs() * F::epsilon()).max(F::narrow(5e-324));
            assert!(
                is_same || (found - expected).abs() <= ulp,
                "{weight} / {divisor:?}: {found}, not {expected}"
            );
            rounded_otherwise += if is_same { 0 } else { 1 };
            let mut weighed = [F::one(); 9];
            F::weigh(&mut weighed, &[weight; 9], divisor.into());
            let is_right = |&x: &F| {
                let is_nothing = weight == F::zero() && x == F::zero();
                is_nothing || x == found || x.is_nan() && found.is_nan()
            };
            assert!(weighed.iter().all(is_right), "{weight} / {divisor:?}");
        }
        let all = pairs.len();
        assert!(
            rounded_otherwise <= all / 1000,
            "{rounded_otherwise} of {all}"
        );
    }

    #[test]
    fn coefficients() {
        coefficients_are_quotients::<f32>(|weight, divisor| (weight as f64 / divisor.hi) as f32);
        coefficients_are_quotients::<f64>(|weight, divisor| Pair::from(weight).divide(divisor));
    }

    #[test]
    fn ordinary_numbers() {
        finds_what_is_not_ordinary(f32::MIN_POSITIVE);
        finds_what_is_not_ordinary(f64::MIN_POSITIVE);
    }
}
