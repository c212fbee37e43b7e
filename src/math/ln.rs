//! `ln x` and `ln(1 + x)`, for both formats.
//!
//! Reduction and polynomial in s after FreeBSD msun's `e_log.c`, but with other limits for f and other coefficients:
//!
//! ```text
//! x = 2^k·(1 + f),   ¾ ≤ 1 + f < 1½,   s = f / (2 + f),   ln x = k·ln 2 + ln(1 + f)
//! ln(1 + f) = 2·artanh s = f − f²/2 + s·(f²/2 + s²·P(s²))
//! ```
//!
//! With ¾ and 1½ in place of √½ and √2, `ln_1p` finds f without rounding wherever a rounding would show (k = ±1).
//!
//! P is a minimax polynomial: Remez' exchange in 50 digits (mpmath) on (2·artanh s / s − 2) / s² over s² ≤ 1/25 with the
//! weight s³ / (2·artanh s), that is for the relative error of ln(1 + f); the coefficients are rounded one by one from the lowest
//! and the others fitted anew. They add at most 2^−28.4 (`f32`) and 2^−55.9 (`f64`) to the relative error.

use std::ops::{Add, Mul, Neg, Sub};

/// What the functions of this file need to know about a format.
pub(super) trait Logarithm:
    Copy
    + PartialOrd
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
{
    const ZERO: Self;
    const QUARTER: Self;
    const HALF: Self;
    const ONE: Self;
    const THREE_HALVES: Self;
    const INFINITY: Self;
    const NAN: Self;
    const MIN_POSITIVE: Self;
    /// 2^`SUBNORMAL_SHIFT`: makes a subnormal number normal.
    const SUBNORMAL_SCALE: Self;
    const SUBNORMAL_SHIFT: Self;
    /// ln 2 with so few bits that k times it is exact.
    const LN_2_HIGH: Self;
    /// What `LN_2_HIGH` lacks; positive, which [`join`] relies on.
    const LN_2_LOW: Self;

    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// Of a positive normal number; unspecified for any other.
    fn split(self) -> Split<Self>;
    /// ln(1 + f) − f + low
    fn tail(f: Self, low: Self) -> Self;
}

/// A number 2^k·(1 + f).
pub(super) struct Split<T> {
    /// 1 + f, from ¾ up to 1½
    mantissa: T,
    /// −k; +0 where that is 0
    minus_k: T,
    /// 2^(2 − k): a normal number for every k, which 2^−k is not.
    inverse_power: T,
}

impl Logarithm for f32 {
    const ZERO: Self = 0.0;
    const QUARTER: Self = 0.25;
    const HALF: Self = 0.5;
    const ONE: Self = 1.0;
    const THREE_HALVES: Self = 1.5;
    const INFINITY: Self = f32::INFINITY;
    const NAN: Self = f32::NAN;
    const MIN_POSITIVE: Self = f32::MIN_POSITIVE;
    const SUBNORMAL_SCALE: Self = f32::from_bits((127 + 24) << 23);
    const SUBNORMAL_SHIFT: Self = 24.0;
    const LN_2_HIGH: Self = 0.693_145_75;
    const LN_2_LOW: Self = 1.428_606_8e-6;

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        f32::mul_add(self, factor, addend)
    }

    #[inline(always)]
    fn split(self) -> Split<Self> {
        const DIGITS: u32 = 23;
        const FOUR: u32 = (127 + 2) << DIGITS;
        const THREE_QUARTERS: u32 = 0x3f40_0000;
        // Shifted out below −k, this rounds it up.
        const ROUND_UP: u32 = (1 << DIGITS) - 1;
        // With few constants: 16 registers have to do for them and for all the rest.
        let bits = self.to_bits();
        let minus_k = (THREE_QUARTERS + ROUND_UP).wrapping_sub(bits) as i32 >> DIGITS;
        let power = (minus_k << DIGITS) as u32;
        Split {
            mantissa: f32::from_bits(bits.wrapping_add(power)),
            minus_k: minus_k as f32,
            inverse_power: f32::from_bits(FOUR.wrapping_add(power)),
        }
    }

    #[inline(always)]
    fn tail(f: Self, low: Self) -> Self {
        let s = f / (2.0 + f);
        let s2 = s * s;
        let p = s2.mul_add(0.303_644_98, 0.399_576_57);
        let p = s2.mul_add(p, 0.666_669_5);
        let minus_half = -0.5 * f;
        let inner = s.mul_add(p.mul_add(s2, -(minus_half * f)), low);
        minus_half.mul_add(f, inner)
    }
}

impl Logarithm for f64 {
    const ZERO: Self = 0.0;
    const QUARTER: Self = 0.25;
    const HALF: Self = 0.5;
    const ONE: Self = 1.0;
    const THREE_HALVES: Self = 1.5;
    const INFINITY: Self = f64::INFINITY;
    const NAN: Self = f64::NAN;
    const MIN_POSITIVE: Self = f64::MIN_POSITIVE;
    const SUBNORMAL_SCALE: Self = f64::from_bits((1023 + 54) << 52);
    const SUBNORMAL_SHIFT: Self = 54.0;
    const LN_2_HIGH: Self = 0.693_147_180_559_890_3;
    const LN_2_LOW: Self = 5.497_923_018_708_371e-14;

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        f64::mul_add(self, factor, addend)
    }

    #[inline(always)]
    fn split(self) -> Split<Self> {
        const ONE: u64 = 1023 << 52;
        const THREE_QUARTERS: u64 = 0x3fe8_0000_0000_0000;
        // The bits of 2^52, whose last bits count ones: AVX2 cannot convert 64-bit integers.
        const INTEGERS: u64 = (1023 + 52) << 52;
        const BIASED_ZERO: f64 = 4_503_599_627_370_496.0 + 1023.0;
        let bits = self.to_bits().wrapping_add(ONE - THREE_QUARTERS);
        Split {
            mantissa: f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + THREE_QUARTERS),
            minus_k: BIASED_ZERO - f64::from_bits((bits >> 52) | INTEGERS),
            inverse_power: f64::from_bits((1 << 63) - (bits & 0x7ff0_0000_0000_0000)),
        }
    }

    #[inline(always)]
    fn tail(f: Self, low: Self) -> Self {
        let s = f / (2.0 + f);
        let s2 = s * s;
        let s4 = s2 * s2;
        let p01 = s2.mul_add(0.399_999_999_961_642_6, 0.666_666_666_666_727);
        let p23 = s2.mul_add(0.222_221_384_989_253_42, 0.285_714_293_950_990_13);
        let p45 = s2.mul_add(0.152_501_633_582_677_38, 0.181_863_568_006_874_75);
        let p456 = s4.mul_add(0.153_684_580_061_489_08, p45);
        let p = s4.mul_add(s4.mul_add(p456, p23), p01);
        let minus_half = -0.5 * f;
        let inner = s.mul_add(p.mul_add(s2, -(minus_half * f)), low);
        minus_half.mul_add(f, inner)
    }
}

/// k·ln 2 + ln(1 + f)
///
/// Takes −k, so that a zero f keeps its sign where k is 0: −k·`LN_2_HIGH` and −k·`LN_2_LOW` are then −0, as is every other
/// addend for f = −0.
#[inline(always)]
fn join<T: Logarithm>(minus_k: T, f: T) -> T {
    // k·LN_2_HIGH + f = high + error, exactly (Dekker's Fast2Sum).
    let high = (-minus_k).mul_add(T::LN_2_HIGH, f);
    let error = f - minus_k.mul_add(T::LN_2_HIGH, high);
    let low = (-minus_k).mul_add(T::LN_2_LOW, error);
    high + T::tail(f, low)
}

/// `logarithm`, save where `x` is not between its `pole` and +∞.
#[inline(always)]
fn with_limits<T: Logarithm>(x: T, pole: T, logarithm: T) -> T {
    let value = if x == pole { -T::INFINITY } else { logarithm };
    let value = if x < pole { T::NAN } else { value };
    if x < T::INFINITY { value } else { x }
}

#[inline(always)]
pub(super) fn ln<T: Logarithm>(x: T) -> T {
    let subnormal = x < T::MIN_POSITIVE;
    let scaled = x * T::SUBNORMAL_SCALE;
    let normal = if subnormal { scaled } else { x };
    let shift = if subnormal {
        T::SUBNORMAL_SHIFT
    } else {
        T::ZERO
    };
    let Split {
        mantissa, minus_k, ..
    } = normal.split();
    with_limits(x, T::ZERO, join(minus_k + shift, mantissa - T::ONE))
}

/// As [`ln`], for positive normal numbers.
#[inline(always)]
pub(super) fn ln_of_normal<T: Logarithm>(x: T) -> T {
    let Split {
        mantissa, minus_k, ..
    } = x.split();
    join(minus_k, mantissa - T::ONE)
}

#[inline(always)]
pub(super) fn ln_1p<T: Logarithm>(x: T) -> T {
    // The rounded 1 + x serves to find k alone; f = x·2^−k − (1 − 2^−k) is rounded once, and where k = 0 it is x itself.
    let Split {
        minus_k,
        inverse_power,
        ..
    } = (T::ONE + x).split();
    let one_minus_power = (-inverse_power).mul_add(T::QUARTER, T::ONE);
    let f = (x * inverse_power).mul_add(T::QUARTER, -one_minus_power);
    with_limits(x, -T::ONE, join(minus_k, f))
}

/// As [`ln_1p`], for 0 ≤ x ≤ 1 or NaN.
#[inline(always)]
pub(super) fn ln_1p_of_fraction<T: Logarithm>(x: T) -> T {
    // k is 0 or 1, and f exact: x itself or, for x from ½ on, (x − 1)/2.
    let is_halved = T::ONE + x >= T::THREE_HALVES;
    let halved = T::HALF * (x - T::ONE);
    let f = if is_halved { halved } else { x };
    let head = if is_halved { T::LN_2_HIGH } else { T::ZERO };
    let rest = if is_halved { T::LN_2_LOW } else { T::ZERO };
    // As in `join`.
    let high = head + f;
    let error = f - (high - head);
    high + T::tail(f, rest + error)
}
