//! The numbers in which exact results are computed: `f64` for `f32`, 192 bits for `f64`.

use std::ops::{Add, Div, Mul, Neg, Sub};
use std::sync::OnceLock;

use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;

/// A number with many more digits than the type whose results it judges.
pub(crate) trait Real:
    Clone
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// A number that is not a NaN, exactly.
    fn of(x: f64) -> Self;
    /// Rounded.
    fn to_f64(&self) -> f64;
    fn is_infinite(&self) -> bool;
    /// The largest k with 2^k ≤ |x|; any low number for 0.
    fn exponent(&self) -> i32;
    /// x·2^power
    fn scaled(self, power: i32) -> Self;
    /// e^x for x ≤ 0, or 0 where that is far below the smallest number of the judged type.
    fn exp(&self) -> Self;
    fn ln(&self) -> Self;
    fn ln_1p(&self) -> Self;
    /// Rounded as if once, also where the terms cancel.
    fn sum_of_three(a: Self, b: Self, c: Self) -> Self;

    fn zero() -> Self {
        Self::of(0.0)
    }

    fn one() -> Self {
        Self::of(1.0)
    }

    fn is_zero(&self) -> bool {
        *self == Self::zero()
    }

    fn abs(self) -> Self {
        if self < Self::zero() { -self } else { self }
    }
}

impl Real for f64 {
    fn of(x: f64) -> Self {
        x
    }

    fn to_f64(&self) -> f64 {
        *self
    }

    fn is_infinite(&self) -> bool {
        f64::is_infinite(*self)
    }

    fn exponent(&self) -> i32 {
        (self.to_bits() >> 52 & 0x7ff) as i32 - 1023
    }

    fn scaled(self, power: i32) -> Self {
        self * f64::from_bits(((1023 + power) as u64) << 52)
    }

    fn exp(&self) -> Self {
        f64::exp(*self)
    }

    fn ln(&self) -> Self {
        f64::ln(*self)
    }

    fn ln_1p(&self) -> Self {
        f64::ln_1p(*self)
    }

    fn sum_of_three(a: Self, b: Self, c: Self) -> Self {
        let two_sum = |a: f64, b: f64| {
            let sum = a + b;
            let b_part = sum - a;
            (sum, (a - (sum - b_part)) + (b - b_part))
        };
        let (first, error) = two_sum(a, b);
        let (sum, rest) = two_sum(first, c);
        sum + (error + rest)
    }

    fn abs(self) -> Self {
        f64::abs(self)
    }
}

type Binary = FBig<HalfEven, 2>;

/// 192 bits, and no end of exponents.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(crate) struct Big(Binary);

const BITS: usize = 192;

/// e^x below this is 0: beyond the smallest `f64`, even when it is multiplied by the largest.
const SMALLEST_EXPONENT: f64 = -2000.0;

impl Big {
    fn new(x: Binary) -> Self {
        Self(x.with_precision(BITS).value())
    }

    fn of_integer(n: u32) -> Self {
        Self::new(Binary::from(n))
    }

    fn square(&self) -> Self {
        Self(self.0.sqr())
    }
}

/// What [`Real::exp`] needs.
struct Constants {
    ln_2: Big,
    /// 1/0!, 1/1!, …
    inverse_factorials: Vec<Big>,
}

impl Constants {
    /// Terms of the exponential series: |r|ⁿ / n! < 2⁻²⁰⁰ for |r| ≤ ln 2 / 2¹³.
    const TERMS: u32 = 13;

    fn get() -> &'static Self {
        static CONSTANTS: OnceLock<Constants> = OnceLock::new();
        CONSTANTS.get_or_init(|| {
            let mut inverse_factorials = vec![Big::one()];
            let mut last = Big::one();
            for n in 1..=Self::TERMS {
                last = last / Big::of_integer(n);
                inverse_factorials.push(last.clone());
            }
            Self {
                ln_2: Big(Big::of_integer(2).0.ln()),
                inverse_factorials,
            }
        })
    }
}

macro_rules! operator {
    ($trait:ident, $function:ident) => {
        impl $trait for Big {
            type Output = Self;
            fn $function(self, other: Self) -> Self {
                Self($trait::$function(self.0, other.0))
            }
        }
    };
}
operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);

impl Neg for Big {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Real for Big {
    fn of(x: f64) -> Self {
        Self::new(Binary::try_from(x).unwrap_or(Binary::ZERO))
    }

    fn to_f64(&self) -> f64 {
        self.0.to_f64().value()
    }

    fn is_infinite(&self) -> bool {
        self.0.repr().is_infinite()
    }

    fn exponent(&self) -> i32 {
        if self.is_zero() {
            return i32::MIN / 2;
        }
        self.0.repr().exponent() as i32 + self.0.repr().digits() as i32 - 1
    }

    fn scaled(self, power: i32) -> Self {
        Self(self.0 << power as isize)
    }

    fn exp(&self) -> Self {
        const HALVINGS: i32 = 12;
        let constants = Constants::get();
        let approximate = self.to_f64();
        if approximate < SMALLEST_EXPONENT {
            return Self::zero();
        }
        // e^x = 2^k·(e^r)^4096
        let k = (approximate * std::f64::consts::LOG2_E).round();
        let r = (self.clone() - Self::of(k) * constants.ln_2.clone()).scaled(-HALVINGS);
        let mut sum = Self::zero();
        for coefficient in constants.inverse_factorials.iter().rev() {
            sum = Self(sum.0 * &r.0 + &coefficient.0);
        }
        for _ in 0..HALVINGS {
            sum = sum.square();
        }
        sum.scaled(k as i32)
    }

    fn ln(&self) -> Self {
        // x = 2^k·y, with a guess at ln y that the series of ln_1p corrects
        let k = self.exponent();
        let y = self.clone().scaled(-k);
        // ¾ … 1½: ln y and k·ln 2 do not cancel.
        let (k, y) = if y > Self::of(1.5) {
            (k + 1, y.scaled(-1))
        } else {
            (k, y)
        };
        let of_power = Self::of(f64::from(k)) * Constants::get().ln_2.clone();
        let beyond_one = y.clone() - Self::one();
        if beyond_one.exponent() < SERIES_BELOW {
            return of_power + series_of_ln_1p(&beyond_one);
        }
        let guess = Self::of(beyond_one.to_f64().ln_1p());
        let correction = series_of_ln_1p(&(y * (-guess.clone()).exp() - Self::one()));
        of_power + (guess + correction)
    }

    fn ln_1p(&self) -> Self {
        if self.exponent() < SERIES_BELOW {
            series_of_ln_1p(self)
        } else {
            (self.clone() + Self::one()).ln()
        }
    }

    fn sum_of_three(a: Self, b: Self, c: Self) -> Self {
        // Without rounding.
        let unlimited = |x: Self| x.0.with_precision(0).value();
        let sum = unlimited(a) + unlimited(b) + unlimited(c);
        Self::new(sum.with_precision(5000).value())
    }
}

/// The exponent below which [`series_of_ln_1p`] is right.
const SERIES_BELOW: i32 = -39;

/// ln(1 + x) for |x| < 2⁻³⁹
fn series_of_ln_1p(x: &Big) -> Big {
    let mut sum = Big::zero();
    for n in (1..=6_u32).rev() {
        let sign = if n % 2 == 1 { 1.0 } else { -1.0 };
        sum = sum * x.clone() + Big::of(sign) / Big::of_integer(n);
    }
    sum * x.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of every size, and close to 1.
    fn arguments() -> Vec<f64> {
        let mut all = vec![
            0.5,
            0.75,
            1.0 - f64::EPSILON / 2.0,
            1.0 + f64::EPSILON,
            1.4,
            1.6,
            2.0,
        ];
        all.extend((1..200).map(|n| 10.0_f64.powf(-1.6 * f64::from(n))));
        all
    }

    #[test]
    fn elementary_functions_are_those_of_dashu() {
        let close = |name: &str, x: f64, got: &Big, wanted: &Binary| {
            let wanted = Big::new(wanted.clone());
            let error = (got.clone() - wanted.clone()).abs() / wanted.abs();
            assert!(
                error.exponent() < -125,
                "{name}({x:e}): off by {}",
                error.to_f64()
            );
        };
        for x in arguments() {
            let exact = Binary::try_from(x).unwrap_or(Binary::ZERO);
            let rounded = |x: Binary| x.with_precision(BITS + 60).value();
            close("ln", x, &Big::of(x).ln(), &rounded(exact.clone()).ln());
            close(
                "ln_1p",
                x,
                &Big::of(x).ln_1p(),
                &rounded(exact.clone()).ln_1p(),
            );
            for x in [x, 1000.0 * x] {
                let exact = -Big::of(x).0;
                close("exp", -x, &Big::of(-x).exp(), &rounded(exact).exp());
            }
            if x < 1.0 {
                let below = Big::of(-x);
                close(
                    "ln_1p",
                    -x,
                    &below.ln_1p(),
                    &rounded(below.0.clone()).ln_1p(),
                );
            }
        }
    }

    #[test]
    fn exponents_are_those_of_floats() {
        for (x, exponent) in [(1.0, 0), (0.75, -1), (-8.0, 3), (15.9, 3), (f64::MAX, 1023)] {
            assert_eq!(Big::of(x).exponent(), exponent);
            assert_eq!(Real::exponent(&x), exponent);
        }
        assert_eq!(Big::of(5e-324).exponent(), -1074);
    }

    #[test]
    fn three_terms_keep_what_cancels() {
        assert_eq!(<f64 as Real>::sum_of_three(1e-20, -1.0, 1.0), 1e-20);
        assert_eq!(
            Big::sum_of_three(Big::of(1e-300), Big::of(-1.0), Big::of(1.0)),
            Big::of(1e-300)
        );
    }
}
