//! Elementary functions that LLVM vectorises, with the same bits on every instruction set.
//!
//! No branch, no table, no call: additions, multiplications, fused multiply-adds, one division and moves of bits, each of
//! which IEEE 754 rounds the same everywhere. In a loop over slices they run at the full width of the processor, which
//! [`f32::ln`] and its like never do. Hence `#[inline(always)]` throughout: a call that stays in the loop keeps it scalar.
//!
//! ```
//! use ndarray_loss::math;
//!
//! let entropy: f32 = [0.5_f32, 0.25, 0.25].iter().map(|&p| -p * math::ln(p)).sum();
//! assert!((entropy - 1.5 * 2.0_f32.ln()).abs() < 1e-6);
//! ```
//!
//! Errors are given in ULP, the distance of the neighbouring floats at the exact value (for results that are subnormal: of the
//! subnormal ones). Those of `f32` are the largest over all 2³² arguments, those of `f64` a little above the
//! largest over 6·10⁷ arguments (2·10⁷ from every region, 4·10⁷ from where the error is largest), all measured against a wider format.
//!
//! On a processor without fused multiply-add the results are the same, but slow.

mod exp;
mod ln;
#[cfg(test)]
mod tests;

use crate::Float;

/// The functions of this module for one format; a hidden supertrait of [`Float`].
#[doc(hidden)]
pub trait Elementary: Copy {
    // Named unlike the methods of `num_traits::Float`, so that `x.ln()` stays unambiguous in generic code.

    /// The scale of a row of logits: the constant that rounds `x·log₂ e`, with the row's exponent in its last bits.
    #[doc(hidden)]
    type Exponent: Copy + Send + Sync;

    /// [`exp_scaled`](Self::exp_scaled) is for rows whose maximum is smaller than this in magnitude.
    const SCALED_LIMIT: Self;
    /// [`exp_scaled`](Self::exp_scaled) is for logits no further than this below the maximum; of terms further below it
    /// takes more than 10⁹ to make the smallest number.
    const SCALED_FLOOR: Self;

    /// See [`ln`](fn@ln).
    fn vector_ln(self) -> Self;

    /// As [`vector_ln`](Self::vector_ln), bit for bit, of a positive normal number; unspecified for any other.
    fn ln_of_normal(self) -> Self;

    /// See [`ln_1p`].
    fn vector_ln_1p(self) -> Self;

    /// As [`vector_ln_1p`](Self::vector_ln_1p), bit for bit, of a number from +0 to 1 or NaN; unspecified for any other.
    fn ln_1p_of_fraction(self) -> Self;

    /// See [`exp`](fn@exp).
    fn vector_exp(self) -> Self;

    /// See [`exp_m1`].
    fn vector_exp_m1(self) -> Self;

    /// `e^x` for x ≤ 0, cheaper than [`exp`](Self::exp); unspecified for x > 0.
    ///
    /// At most 1.05 ULP; subnormal results included, 0 for −∞.
    fn exp_nonpositive(self) -> Self;

    /// For the maximum of a row of logits, smaller than [`SCALED_LIMIT`](Self::SCALED_LIMIT) in magnitude: the scale of the row.
    fn exponent_offset(maximum: Self) -> Self::Exponent;

    /// `e^x·2^(bias − k)`, for a logit x of the row whose maximum m gave `offset`; 0 for x < `floor`.
    ///
    /// k is `m·log₂ e`, rounded to an integer; `bias` is 60 (`f32`) or 500 (`f64`). x − m is never formed, so that nothing cancels: at most
    /// 1.05 ULP. `floor` must be at least m − [`SCALED_FLOOR`](Self::SCALED_FLOOR), x at most m. NaN stays NaN.
    fn exp_scaled(self, floor: Self, offset: Self::Exponent) -> Self;

    /// `e^(x − m)·2^bias`, for a logit x of a row with any finite maximum m; 0 for x < m − [`SCALED_FLOOR`](Self::SCALED_FLOOR).
    ///
    /// x − m enters without rounding: at most 1.05 ULP. x must be at most m, and may be −∞. NaN stays NaN.
    fn exp_difference(self, maximum: Self) -> Self;
}

impl Elementary for f32 {
    type Exponent = f32;

    const SCALED_LIMIT: Self = 32_768.0;
    const SCALED_FLOOR: Self = <f32 as exp::Exponential>::SCALED_FLOOR;

    #[inline(always)]
    fn vector_ln(self) -> Self {
        ln::ln(self)
    }

    #[inline(always)]
    fn ln_of_normal(self) -> Self {
        ln::ln_of_normal(self)
    }

    #[inline(always)]
    fn vector_ln_1p(self) -> Self {
        ln::ln_1p(self)
    }

    #[inline(always)]
    fn ln_1p_of_fraction(self) -> Self {
        ln::ln_1p_of_fraction(self)
    }

    #[inline(always)]
    fn vector_exp(self) -> Self {
        exp::exp(self)
    }

    #[inline(always)]
    fn vector_exp_m1(self) -> Self {
        exp::exp_m1(self)
    }

    #[inline(always)]
    fn exp_nonpositive(self) -> Self {
        exp::exp_nonpositive(self)
    }

    #[inline(always)]
    fn exponent_offset(maximum: Self) -> Self::Exponent {
        exp::exponent_offset(maximum)
    }

    #[inline(always)]
    fn exp_scaled(self, floor: Self, offset: Self::Exponent) -> Self {
        exp::exp_scaled(self, floor, offset)
    }

    #[inline(always)]
    fn exp_difference(self, maximum: Self) -> Self {
        exp::exp_difference(self, maximum)
    }
}

impl Elementary for f64 {
    type Exponent = f64;

    const SCALED_LIMIT: Self = 1_073_741_824.0;
    const SCALED_FLOOR: Self = <f64 as exp::Exponential>::SCALED_FLOOR;

    #[inline(always)]
    fn vector_ln(self) -> Self {
        ln::ln(self)
    }

    #[inline(always)]
    fn ln_of_normal(self) -> Self {
        ln::ln_of_normal(self)
    }

    #[inline(always)]
    fn vector_ln_1p(self) -> Self {
        ln::ln_1p(self)
    }

    #[inline(always)]
    fn ln_1p_of_fraction(self) -> Self {
        ln::ln_1p_of_fraction(self)
    }

    #[inline(always)]
    fn vector_exp(self) -> Self {
        exp::exp(self)
    }

    #[inline(always)]
    fn vector_exp_m1(self) -> Self {
        exp::exp_m1(self)
    }

    #[inline(always)]
    fn exp_nonpositive(self) -> Self {
        exp::exp_nonpositive(self)
    }

    #[inline(always)]
    fn exponent_offset(maximum: Self) -> Self::Exponent {
        exp::exponent_offset(maximum)
    }

    #[inline(always)]
    fn exp_scaled(self, floor: Self, offset: Self::Exponent) -> Self {
        exp::exp_scaled(self, floor, offset)
    }

    #[inline(always)]
    fn exp_difference(self, maximum: Self) -> Self {
        exp::exp_difference(self, maximum)
    }
}

/// The natural logarithm, within 0.83 ULP (`f32`) and 0.93 ULP (`f64`).
///
/// | x | ln x |
/// |---|---|
/// | ±0 | −∞ |
/// | < 0 | NaN |
/// | 1 | +0 |
/// | +∞ | +∞ |
/// | NaN | NaN |
///
/// ```
/// use ndarray_loss::math::ln;
///
/// assert_eq!(ln(1.0_f32), 0.0);
/// assert_eq!(ln(0.0_f32), f32::NEG_INFINITY);
/// // The smallest positive number is 2^-1074.
/// assert_eq!(ln(5e-324_f64), -1074.0 * std::f64::consts::LN_2);
/// ```
#[inline(always)]
#[must_use]
pub fn ln<F: Float>(x: F) -> F {
    Elementary::vector_ln(x)
}

/// `ln(1 + x)`, without forming 1 + x: within 0.83 ULP (`f32`) and 0.93 ULP (`f64`).
///
/// | x | ln(1 + x) |
/// |---|---|
/// | −1 | −∞ |
/// | < −1 | NaN |
/// | ±0 | ±0 |
/// | +∞ | +∞ |
/// | NaN | NaN |
///
/// ```
/// use ndarray_loss::math::ln_1p;
///
/// assert_eq!(ln_1p(1e-20_f32), 1e-20);
/// assert_eq!(ln_1p(-0.5_f64), -std::f64::consts::LN_2);
/// ```
#[inline(always)]
#[must_use]
pub fn ln_1p<F: Float>(x: F) -> F {
    Elementary::vector_ln_1p(x)
}

/// `e^x`, within 0.90 ULP (`f32`) and 0.92 ULP (`f64`), subnormal results included.
///
/// | x | e^x |
/// |---|---|
/// | −∞ | 0 |
/// | ±0 | 1 |
/// | +∞ | +∞ |
/// | NaN | NaN |
///
/// ```
/// use ndarray_loss::math::exp;
///
/// assert_eq!(exp(1.0_f64), std::f64::consts::E);
/// assert_eq!(exp(-103.0_f32), f32::from_bits(1));
/// assert_eq!(exp(89.0_f32), f32::INFINITY);
/// ```
#[inline(always)]
#[must_use]
pub fn exp<F: Float>(x: F) -> F {
    Elementary::vector_exp(x)
}

/// `e^x − 1`, without forming e^x: within 1.24 ULP (`f32`) and 1.40 ULP (`f64`).
///
/// | x | e^x − 1 |
/// |---|---|
/// | −∞ | −1 |
/// | ±0 | ±0 |
/// | +∞ | +∞ |
/// | NaN | NaN |
///
/// ```
/// use ndarray_loss::math::exp_m1;
///
/// assert_eq!(exp_m1(1e-20_f32), 1e-20);
/// assert_eq!(exp_m1(-50.0_f64), -1.0);
/// ```
#[inline(always)]
#[must_use]
pub fn exp_m1<F: Float>(x: F) -> F {
    Elementary::vector_exp_m1(x)
}

/// See [`Elementary::ln_of_normal`].
#[inline(always)]
pub(crate) fn ln_of_normal<F: Float>(x: F) -> F {
    Elementary::ln_of_normal(x)
}

/// See [`Elementary::ln_1p_of_fraction`].
#[inline(always)]
pub(crate) fn ln_1p_of_fraction<F: Float>(x: F) -> F {
    Elementary::ln_1p_of_fraction(x)
}

/// See [`Elementary::exp_nonpositive`].
#[inline(always)]
pub(crate) fn exp_nonpositive<F: Float>(x: F) -> F {
    Elementary::exp_nonpositive(x)
}

/// See [`Elementary::exponent_offset`].
#[inline(always)]
pub(crate) fn exponent_offset<F: Float>(maximum: F) -> F::Exponent {
    Elementary::exponent_offset(maximum)
}

/// See [`Elementary::exp_scaled`].
#[inline(always)]
pub(crate) fn exp_scaled<F: Float>(x: F, floor: F, offset: F::Exponent) -> F {
    Elementary::exp_scaled(x, floor, offset)
}

/// See [`Elementary::exp_difference`].
#[inline(always)]
pub(crate) fn exp_difference<F: Float>(x: F, maximum: F) -> F {
    Elementary::exp_difference(x, maximum)
}
