//! `e^x`, `e^x − 1` and the scaled forms of a softmax, for both formats.
//!
//! Reduction after Cody and Waite (*Software Manual for the Elementary Functions*, 1980), with fused multiply-adds:
//!
//! ```text
//! x = k·ln 2 + r,   k = round(x·log₂ e),   |r| ≤ ½·ln 2,   e^x = 2^k·(1 + r + r²·tail(r))
//! ```
//!
//! `x·log₂ e` is rounded by adding 1.5·2^(digits − 1): the integer is then in the last bits of the sum, and one shift
//! brings it into the exponent bits of 2^k. A cast to an integer would saturate, which costs more than all the rest.
//! Whatever integer is added to that constant beforehand (the exponent's bias, the scale of a row) costs nothing.
//!
//! The tails are minimax polynomials: Remez' exchange in 50 digits (mpmath) on (e^r − 1 − r − r²/2) / r³ with the weight
//! r³·e^−r, that is for the relative error of e^r, over |r| ≤ 1.003·½·ln 2; then each coefficient rounded. They add at most
//! 2^−27.9 (`f32`) and 2^−57.2 (`f64`) to the relative error.

use std::ops::{Add, Mul, Neg, Sub};

/// What the functions of this file need to know about a format.
pub(super) trait Exponential:
    Copy
    + PartialOrd
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
{
    const ZERO: Self;
    const HALF: Self;
    const ONE: Self;
    const LOG2_E: Self;
    /// ln 2, rounded; `x − k·LN_2_HIGH` is exact all the same, since it is so much smaller than x and fused.
    const LN_2_HIGH: Self;
    /// What `LN_2_HIGH` lacks.
    const LN_2_LOW: Self;
    /// 1.5·2^(digits − 1): the neighbours of this number are the integers next to it.
    const ROUNDER: Self;
    const EXPONENT_BIAS: Self;
    /// Half of the exponents: 2^k is reached in two steps where it may be no normal number.
    const HALF_RANGE: Self;
    /// 2^`HALF_RANGE`
    const HALF_POWER: Self;
    /// 2^−`HALF_RANGE`
    const HALF_POWER_INVERSE: Self;
    /// `e^x` is infinite from here on, and 2^k within two steps.
    const OVERFLOW: Self;
    /// `e^x` is 0 from here down, and 2^k within two steps.
    const UNDERFLOW: Self;
    /// `e^x − 1` is −1 from here down.
    const MINUS_ONE: Self;
    /// `e^x − 1` is x below this magnitude, where x/2 may be inexact and −0 would lose its sign.
    const TINY: Self;
    /// Exponent of the largest term of a row: no term is subnormal, and a sum of 2^40 terms is finite.
    const SCALED_BIAS: Self;
    const SCALED_FLOOR: Self;

    fn mul_add(self, factor: Self, addend: Self) -> Self;
    fn abs(self) -> Self;
    /// (e^r − 1 − r) / r² for |r| ≤ ½·ln 2
    fn tail(self) -> Self;
    /// 2^(n − `EXPONENT_BIAS`), of the sum `ROUNDER` + n.
    fn power_of_two(self) -> Self;
}

impl Exponential for f32 {
    const ZERO: Self = 0.0;
    const HALF: Self = 0.5;
    const ONE: Self = 1.0;
    const LOG2_E: Self = std::f32::consts::LOG2_E;
    const LN_2_HIGH: Self = std::f32::consts::LN_2;
    const LN_2_LOW: Self = -1.904_654_2e-9;
    const ROUNDER: Self = 12_582_912.0;
    const EXPONENT_BIAS: Self = 127.0;
    const HALF_RANGE: Self = 64.0;
    const HALF_POWER: Self = f32::from_bits((127 + 64) << 23);
    const HALF_POWER_INVERSE: Self = f32::from_bits((127 - 64) << 23);
    const OVERFLOW: Self = 89.0;
    const UNDERFLOW: Self = -104.0;
    const MINUS_ONE: Self = -18.0;
    const TINY: Self = f32::from_bits((127 - 30) << 23);
    const SCALED_BIAS: Self = 60.0;
    const SCALED_FLOOR: Self = 127.0;

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        f32::mul_add(self, factor, addend)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }

    #[inline(always)]
    fn tail(self) -> Self {
        let r = self;
        let r2 = r * r;
        let p01 = r.mul_add(0.166_665_33, 0.5);
        let p23 = r.mul_add(0.008_367_676, 0.041_667_245);
        r2.mul_add(r2.mul_add(0.001_386_360_8, p23), p01)
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        f32::from_bits(self.to_bits() << 23)
    }
}

impl Exponential for f64 {
    const ZERO: Self = 0.0;
    const HALF: Self = 0.5;
    const ONE: Self = 1.0;
    const LOG2_E: Self = std::f64::consts::LOG2_E;
    const LN_2_HIGH: Self = std::f64::consts::LN_2;
    const LN_2_LOW: Self = 2.319_046_813_846_299_6e-17;
    const ROUNDER: Self = 6_755_399_441_055_744.0;
    const EXPONENT_BIAS: Self = 1023.0;
    const HALF_RANGE: Self = 512.0;
    const HALF_POWER: Self = f64::from_bits((1023 + 512) << 52);
    const HALF_POWER_INVERSE: Self = f64::from_bits((1023 - 512) << 52);
    const OVERFLOW: Self = 710.0;
    const UNDERFLOW: Self = -746.0;
    const MINUS_ONE: Self = -38.0;
    const TINY: Self = f64::from_bits((1023 - 60) << 52);
    const SCALED_BIAS: Self = 500.0;
    const SCALED_FLOOR: Self = 1050.0;

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        f64::mul_add(self, factor, addend)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }

    #[inline(always)]
    fn tail(self) -> Self {
        // Estrin's scheme: Horner's has the fewest operations, but their latencies do not overlap.
        let r = self;
        let r2 = r * r;
        let r4 = r2 * r2;
        let p01 = r.mul_add(0.166_666_666_666_664_27, 0.5);
        let p23 = r.mul_add(0.008_333_333_333_503_942, 0.041_666_666_666_602_487);
        let p45 = r.mul_add(0.000_198_412_694_596_647_56, 0.001_388_888_892_746_315_5);
        let p67 = r.mul_add(2.755_764_458_412_346e-6, 2.480_150_776_234_360_4e-5);
        let p89 = r.mul_add(2.497_796_544_766_856e-8, 2.762_558_324_857_788e-7);
        let p4to9 = r4.mul_add(p89, r2.mul_add(p67, p45));
        r4.mul_add(p4to9, r2.mul_add(p23, p01))
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        f64::from_bits(self.to_bits() << 52)
    }
}

/// `x` with its integer k taken off.
struct Reduced<T> {
    k: T,
    /// 2^(k + n)
    power: T,
    /// x − k·`LN_2_HIGH`, exactly
    high: T,
}

/// `rounder` is `ROUNDER` + `EXPONENT_BIAS` + n.
#[inline(always)]
fn reduce<T: Exponential>(x: T, rounder: T) -> Reduced<T> {
    let sum = x.mul_add(T::LOG2_E, rounder);
    let k = sum - rounder;
    Reduced {
        k,
        power: sum.power_of_two(),
        high: (-k).mul_add(T::LN_2_HIGH, x),
    }
}

/// e^r·power
#[inline(always)]
fn expand<T: Exponential>(r: T, power: T) -> T {
    let minus_one = (r * r).mul_add(r.tail(), r);
    // Also what keeps a NaN a NaN, with whatever exponent its bits made of `power`.
    minus_one.mul_add(power, power)
}

/// e^x·2^n for `rounder` = `ROUNDER` + `EXPONENT_BIAS` + n, where 2^(k + n) is a normal number.
#[inline(always)]
fn exp_shifted<T: Exponential>(x: T, rounder: T) -> T {
    let Reduced { k, power, high } = reduce(x, rounder);
    expand((-k).mul_add(T::LN_2_LOW, high), power)
}

#[inline(always)]
pub(super) fn exp<T: Exponential>(x: T) -> T {
    let x = if x < T::UNDERFLOW { T::UNDERFLOW } else { x };
    let x = if x > T::OVERFLOW { T::OVERFLOW } else { x };
    let negative = x < T::ZERO;
    let middle = T::ROUNDER + T::EXPONENT_BIAS;
    let rounder = if negative {
        middle + T::HALF_RANGE
    } else {
        middle - T::HALF_RANGE
    };
    let rest = if negative {
        T::HALF_POWER_INVERSE
    } else {
        T::HALF_POWER
    };
    let Reduced { k, power, high } = reduce(x, rounder);
    // `low` is added last, not rounded into r: 0.15 ULP for two additions, which the scaled forms do without.
    let low = -k * T::LN_2_LOW;
    let r = high + low;
    let minus_one = high + (r * r).mul_add(r.tail(), low);
    minus_one.mul_add(power, power) * rest
}

#[inline(always)]
pub(super) fn exp_nonpositive<T: Exponential>(x: T) -> T {
    let x = if x < T::UNDERFLOW { T::UNDERFLOW } else { x };
    exp_shifted(x, T::ROUNDER + T::EXPONENT_BIAS + T::HALF_RANGE) * T::HALF_POWER_INVERSE
}

#[inline(always)]
pub(super) fn exp_m1<T: Exponential>(x: T) -> T {
    let inner = if x < T::MINUS_ONE { T::MINUS_ONE } else { x };
    let inner = if inner > T::OVERFLOW {
        T::OVERFLOW
    } else {
        inner
    };
    // Half of everything, since 2^k may overflow where the result does not.
    let rounder = T::ROUNDER + T::EXPONENT_BIAS - T::ONE;
    let Reduced { k, power, high } = reduce(inner, rounder);
    let low = -k * T::LN_2_LOW;
    let r = high + low;
    let head = high.mul_add(power, power - T::HALF);
    let half = (r * r).mul_add(r.tail(), low).mul_add(power, head);
    if x.abs() < T::TINY { x } else { half + half }
}

#[inline(always)]
pub(super) fn exponent_offset<T: Exponential>(maximum: T) -> T {
    let k = maximum.mul_add(T::LOG2_E, T::ROUNDER) - T::ROUNDER;
    T::ROUNDER + (T::EXPONENT_BIAS + T::SCALED_BIAS - k)
}

#[inline(always)]
pub(super) fn exp_scaled<T: Exponential>(x: T, floor: T, offset: T) -> T {
    let term = exp_shifted(x, offset);
    if x < floor { T::ZERO } else { term }
}

#[inline(always)]
pub(super) fn exp_difference<T: Exponential>(x: T, maximum: T) -> T {
    // x − maximum = difference + error, exactly (Knuth's TwoSum); where it overflows, `difference` is −∞ and below the floor.
    let difference = x - maximum;
    let part = difference + maximum;
    let error = (x - part) - (maximum - (part - difference));
    let rounder = T::ROUNDER + T::EXPONENT_BIAS + T::SCALED_BIAS;
    let Reduced { k, power, high } = reduce(difference, rounder);
    let term = expand(high + (-k).mul_add(T::LN_2_LOW, error), power);
    if difference < -T::SCALED_FLOOR {
        T::ZERO
    } else {
        term
    }
}
