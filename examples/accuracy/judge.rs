//! Errors in units of the last place.

use ndarray_loss::Float;

use crate::real::{Big, Real};
use crate::reference::Exact;

/// A type whose results are judged.
pub(crate) trait Number: Float {
    /// In what exact results are computed.
    type Real: Real;
    const NAME: &'static str;
    /// Digits of a significand.
    const DIGITS: i32;
    /// The exponent of the smallest normal number.
    const LOWEST: i32;
    /// The exponent of the largest number.
    const HIGHEST: i32;
    /// Beyond it the loss of a confident right answer is subnormal.
    const LARGEST_LOGIT: f64;
    fn of(x: f64) -> Self;
    /// Exactly.
    fn wide(self) -> f64;
    fn bits(self) -> u64;
    /// The number with these low bits.
    fn from_low_bits(bits: u64) -> Self;

    fn real(self) -> Self::Real {
        Self::Real::of(self.wide())
    }
}

impl Number for f32 {
    type Real = f64;
    const NAME: &'static str = "f32";
    const DIGITS: i32 = 24;
    const LOWEST: i32 = -126;
    const HIGHEST: i32 = 127;
    const LARGEST_LOGIT: f64 = 87.0;

    fn of(x: f64) -> Self {
        x as Self
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
    fn bits(self) -> u64 {
        u64::from(self.to_bits())
    }
    fn from_low_bits(bits: u64) -> Self {
        Self::from_bits(bits as u32)
    }
}

impl Number for f64 {
    type Real = Big;
    const NAME: &'static str = "f64";
    const DIGITS: i32 = 53;
    const LOWEST: i32 = -1022;
    const HIGHEST: i32 = 1023;
    const LARGEST_LOGIT: f64 = 708.0;

    fn of(x: f64) -> Self {
        x
    }
    fn wide(self) -> f64 {
        self
    }
    fn bits(self) -> u64 {
        self.to_bits()
    }
    fn from_low_bits(bits: u64) -> Self {
        Self::from_bits(bits)
    }
}

/// What errors are measured against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// In the units of [`error`](fn@error).
    pub(crate) budget: f64,
    /// Whether a factor that multiplies something subnormal widens no unit.
    pub(crate) strict: bool,
}

/// The error in units of one ULP of the exact result, plus u·Σ|operands| where a subtraction of the formula cancels, plus
/// as many of the smallest numbers as the factor that multiplies what may itself underflow.
pub(crate) fn error<F: Number>(got: F, exact: &Exact<F::Real>, rule: Rule) -> f64 {
    let factor = exact.factor.as_ref().filter(|_| !rule.strict);
    let unit = Unit {
        operands: exact.operands.as_ref(),
        factor,
    };
    let error = distance::<F>(got, &exact.value, &unit);
    match &exact.kink {
        Some(kink) if error > rule.budget => {
            let of_margin = Unit {
                operands: Some(&kink.operands),
                factor: None,
            };
            if distance::<F>(F::zero(), &kink.margin, &of_margin) <= rule.budget {
                distance::<F>(got, &kink.gradient, &unit)
            } else {
                error
            }
        }
        _ => error,
    }
}

/// What widens the unit of an error.
struct Unit<'a, R> {
    operands: Option<&'a R>,
    factor: Option<&'a R>,
}

fn distance<F: Number>(got: F, exact: &F::Real, unit: &Unit<'_, F::Real>) -> f64 {
    let zero = F::Real::zero();
    if got.is_nan() {
        return f64::INFINITY;
    }
    let same_sign = (got > F::zero()) == (*exact > zero);
    if exact.is_infinite() {
        let is_same = got.is_infinite() && same_sign;
        return if is_same { 0.0 } else { f64::INFINITY };
    }
    let got = if got.is_infinite() {
        if same_sign && exact.exponent() > F::HIGHEST {
            return 0.0;
        }
        // The number after the largest.
        let sign = if got > F::zero() { 1.0 } else { -1.0 };
        F::Real::of(sign).scaled(F::HIGHEST).scaled(1)
    } else {
        got.real()
    };
    // Subnormal numbers are as far apart as the smallest normal ones.
    let exponent = exact.exponent().clamp(F::LOWEST, F::HIGHEST);
    let to_ulps = |x: F::Real| {
        // In two steps: one factor may be out of range.
        x.scaled(-exponent).scaled(F::DIGITS - 1).to_f64()
    };
    // u is half of the spacing at 1.
    let cancelled = unit
        .operands
        .map_or(0.0, |sum| to_ulps(sum.clone()) * 2.0_f64.powi(-F::DIGITS));
    let underflowed = unit.factor.map_or(0.0, |factor| {
        to_ulps(factor.clone().scaled(F::LOWEST - (F::DIGITS - 1)))
    });
    to_ulps(got - exact.clone()).abs() / (1.0 + cancelled + underflowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        budget: 4.0,
        strict: false,
    };

    fn plain<F: Number>(value: f64) -> Exact<F::Real> {
        Exact {
            value: F::Real::of(value),
            operands: None,
            factor: None,
            kink: None,
        }
    }

    fn one_ulp_is_one<F: Number>() {
        let (one, tiny) = (F::one(), F::from_low_bits(1));
        let of = |got: F, exact: f64| error(got, &plain::<F>(exact), RULE);
        assert_eq!(of(one + F::epsilon(), 1.0), 1.0);
        assert_eq!(of(one - F::epsilon(), 1.0), 1.0);
        assert_eq!(of(F::zero(), (tiny + tiny).wide()), 2.0);
        assert_eq!(
            of(tiny, F::min_positive_value().wide()),
            2.0_f64.powi(F::DIGITS - 1) - 1.0
        );
        assert_eq!(of(F::infinity(), F::max_value().wide()), 1.0);
        assert_eq!(of(F::infinity(), f64::INFINITY), 0.0);
        assert_eq!(of(F::max_value(), f64::INFINITY), f64::INFINITY);
        assert_eq!(of(F::nan(), 1.0), f64::INFINITY);
    }

    #[test]
    fn ulps() {
        one_ulp_is_one::<f32>();
        one_ulp_is_one::<f64>();
    }

    #[test]
    fn operands_widen_the_unit() {
        let exact = Exact {
            value: Big::of(1.0),
            // u·Σ is 3 ULP of the result
            operands: Some(Big::of(6.0)),
            factor: None,
            kink: None,
        };
        assert_eq!(error(1.0 + 8.0 * f64::EPSILON, &exact, RULE), 2.0);
    }

    #[test]
    fn a_factor_widens_the_unit_of_subnormal_results_alone() {
        let tiny = f64::from_low_bits(1);
        let of = |got: f64, exact: f64, strict: bool| {
            let exact = Exact {
                value: Big::of(exact),
                operands: None,
                factor: Some(Big::of(7.0)),
                kink: None,
            };
            error(got, &exact, Rule { strict, ..RULE })
        };
        assert_eq!(of(0.0, 16.0 * tiny, false), 2.0);
        assert_eq!(of(0.0, 16.0 * tiny, true), 16.0);
        assert_eq!(of(1.0 + 2.0 * f64::EPSILON, 1.0, false), 2.0);
    }
}
