//! Elementary functions that LLVM vectorises: without branches, tables or calls, and with the same bits on every
//! instruction set.

mod exp;
mod ln;

use crate::Float;

/// The functions of this module for one format; a hidden supertrait of [`Float`].
#[doc(hidden)]
pub trait Elementary: Copy {
    /// What [`exponent_offset`](Self::exponent_offset) hands to [`exp_scaled`](Self::exp_scaled).
    #[doc(hidden)]
    type Exponent: Copy + Send + Sync;

    /// Rows of logits whose maximum is smaller than this in magnitude may use [`exp_scaled`](Self::exp_scaled).
    const SCALED_LIMIT: Self;
    /// So far below the maximum of its row a logit may be for [`exp_scaled`](Self::exp_scaled).
    const SCALED_FLOOR: Self;

    /// See [`ln`](fn@ln).
    fn ln(self) -> Self;
    /// See [`ln_1p`].
    fn ln_1p(self) -> Self;
    /// See [`exp`](fn@exp).
    fn exp(self) -> Self;
    /// See [`exp_m1`].
    fn exp_m1(self) -> Self;
    /// `e^x` for x ≤ 0, cheaper than [`exp`](Self::exp); unspecified for x > 0.
    fn exp_nonpositive(self) -> Self;
    /// For the maximum `m` of a row of logits, |m| < [`SCALED_LIMIT`](Self::SCALED_LIMIT): the scale of the row.
    fn exponent_offset(m: Self) -> Self::Exponent;
    /// `e^x·2^(bias − k)` with k = round(m·log₂ e) of the row's maximum m; 0 for x < `floor`.
    fn exp_scaled(self, floor: Self, offset: Self::Exponent) -> Self;
    /// `e^(x − m)·2^bias` for x ≤ m and any finite m.
    fn exp_difference(self, m: Self) -> Self;
}

impl Elementary for f32 {
    type Exponent = f32;

    const SCALED_LIMIT: Self = 32_768.0;
    const SCALED_FLOOR: Self = <f32 as exp::Exponential>::SCALED_FLOOR;

    #[inline(always)]
    fn ln(self) -> Self {
        ln::ln(self)
    }
    #[inline(always)]
    fn ln_1p(self) -> Self {
        ln::ln_1p(self)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        exp::exp(self)
    }
    #[inline(always)]
    fn exp_m1(self) -> Self {
        exp::exp_m1(self)
    }
    #[inline(always)]
    fn exp_nonpositive(self) -> Self {
        exp::exp_nonpositive(self)
    }
    #[inline(always)]
    fn exponent_offset(m: Self) -> Self::Exponent {
        exp::exponent_offset(m)
    }
    #[inline(always)]
    fn exp_scaled(self, floor: Self, offset: Self::Exponent) -> Self {
        exp::exp_scaled(self, floor, offset)
    }
    #[inline(always)]
    fn exp_difference(self, m: Self) -> Self {
        exp::exp_difference(self, m)
    }
}

impl Elementary for f64 {
    type Exponent = f64;

    const SCALED_LIMIT: Self = 1_073_741_824.0;
    const SCALED_FLOOR: Self = <f64 as exp::Exponential>::SCALED_FLOOR;

    #[inline(always)]
    fn ln(self) -> Self {
        ln::ln(self)
    }
    #[inline(always)]
    fn ln_1p(self) -> Self {
        ln::ln_1p(self)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        exp::exp(self)
    }
    #[inline(always)]
    fn exp_m1(self) -> Self {
        exp::exp_m1(self)
    }
    #[inline(always)]
    fn exp_nonpositive(self) -> Self {
        exp::exp_nonpositive(self)
    }
    #[inline(always)]
    fn exponent_offset(m: Self) -> Self::Exponent {
        exp::exponent_offset(m)
    }
    #[inline(always)]
    fn exp_scaled(self, floor: Self, offset: Self::Exponent) -> Self {
        exp::exp_scaled(self, floor, offset)
    }
    #[inline(always)]
    fn exp_difference(self, m: Self) -> Self {
        exp::exp_difference(self, m)
    }
}

/// Natural logarithm.
#[inline(always)]
pub fn ln<F: Float>(x: F) -> F {
    Elementary::ln(x)
}

/// `ln(1 + x)`, accurate where x is small.
#[inline(always)]
pub fn ln_1p<F: Float>(x: F) -> F {
    Elementary::ln_1p(x)
}

/// `e^x`.
#[inline(always)]
pub fn exp<F: Float>(x: F) -> F {
    Elementary::exp(x)
}

/// `e^x − 1`, accurate where x is small.
#[inline(always)]
pub fn exp_m1<F: Float>(x: F) -> F {
    Elementary::exp_m1(x)
}

/// `e^x` for x ≤ 0.
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
