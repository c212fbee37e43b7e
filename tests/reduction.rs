//! Sums and means against exact arithmetic: within 1 ULP of the correctly rounded result, at any length.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;
use ndarray::Array1;
use ndarray_loss::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::{Bits, ulps};

/// A binary number of any size.
type Big = FBig<HalfEven, 2>;

/// Exactly the sum of any number of products of two `f64`: a fixed-point number as wide as they can get.
struct Exact {
    /// Digits to the base 2³², each with room for 2³¹ additions before a carry; the first counts units of 2⁻²²⁰⁸.
    digits: Vec<i64>,
}

impl Exact {
    const UNIT: i32 = -2208;

    fn new() -> Self {
        Self {
            digits: vec![0; 140],
        }
    }

    fn add_product(&mut self, a: f64, b: f64) {
        let ((a_digits, a_power), (b_digits, b_power)) = (split(a), split(b));
        let product = i128::from(a_digits) * i128::from(b_digits);
        let place = (a_power + b_power - Self::UNIT) as usize;
        // Up to 106 bits, moved by up to 31: in two halves, to stay within 128.
        let (sign, magnitude) = (product.signum() as i64, product.unsigned_abs());
        for (half, offset) in [(magnitude & ((1 << 64) - 1), 0), (magnitude >> 64, 64)] {
            let mut rest = half << ((place + offset) % 32);
            for digit in &mut self.digits[(place + offset) / 32..] {
                if rest == 0 {
                    break;
                }
                *digit += sign * (rest & 0xffff_ffff) as i64;
                rest >>= 32;
            }
        }
    }

    fn value(&self) -> Big {
        let mut sum = Big::ZERO.with_precision(0).value();
        for (i, &digit) in self.digits.iter().enumerate() {
            if digit != 0 {
                sum += Big::from_parts(digit.into(), (32 * i) as isize + Self::UNIT as isize)
                    .with_precision(0)
                    .value();
            }
        }
        sum
    }
}

/// Digits and power of two of a finite number.
fn split(x: f64) -> (i64, i32) {
    let (bits, exponent) = (x.to_bits(), (x.to_bits() >> 52 & 0x7ff) as i32);
    let fraction = (bits & ((1 << 52) - 1)) as i64;
    let (digits, power) = if exponent == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, exponent - 1075)
    };
    (if x < 0.0 { -digits } else { digits }, power)
}

/// Σ w·l, exactly; a weight of 0 takes its element out.
fn exact_sum<F: Bits>(losses: &[F], weights: &[F]) -> Big {
    let mut sum = Exact::new();
    for (&loss, &weight) in losses.iter().zip(weights) {
        if weight != F::zero() {
            sum.add_product(loss.exactly(), weight.exactly());
        }
    }
    sum.value()
}

/// Σ|w·l| / |Σ w·l|
fn condition<F: Bits>(losses: &[F], weights: &[F]) -> f64 {
    let sizes: Vec<F> = losses
        .iter()
        .zip(weights)
        .map(|(&l, &w)| if l * w < F::zero() { -l } else { l })
        .collect();
    let (sizes, sum) = (exact_sum(&sizes, weights), exact_sum(losses, weights));
    quotient(&sizes, &sum).to_f64().value().abs()
}

/// To 300 bits: far more than the rounding to either type can tell from the exact one.
fn quotient(a: &Big, b: &Big) -> Big {
    // From unlimited precision in two steps, since one does not round.
    let rounded = |x: &Big| {
        x.clone()
            .with_precision(100_000)
            .value()
            .with_precision(300)
            .value()
    };
    if *a == Big::ZERO {
        Big::ZERO
    } else {
        rounded(a) / rounded(b)
    }
}

/// Rounded to the type of the losses.
trait Rounded: Bits {
    fn nearest(exact: &Big) -> Self;
}

impl Rounded for f32 {
    fn nearest(exact: &Big) -> Self {
        exact.to_f32().value()
    }
}

impl Rounded for f64 {
    fn nearest(exact: &Big) -> Self {
        exact.to_f64().value()
    }
}

#[track_caller]
fn assert_within_one_ulp<F: Rounded>(case: &str, computed: F, exact: &Big) {
    let rounded = F::nearest(exact);
    assert!(
        ulps(computed, rounded) <= 1,
        "{case}, {}: {computed:e} instead of {rounded:e}, {} ULP",
        F::NAME,
        ulps(computed, rounded)
    );
}

/// Around the number of lanes and the size of a chunk, and far above.
const LENGTHS: [usize; 11] = [1, 2, 15, 16, 17, 1000, 4095, 4096, 4097, 100_000, 1_000_000];

/// What is added up.
#[derive(Debug, Clone, Copy)]
enum Terms {
    Equal,
    Positive,
    /// From 10⁻¹² to 10¹².
    WideRange,
    /// From the smallest to a thousandth of the largest.
    WholeRange,
    /// Of both signs, the sum up to a million times smaller than what is added.
    Cancelling,
    /// Large ones that cancel exactly, small ones that remain.
    LargeThenSmall,
}

impl Terms {
    const ALL: [Self; 6] = [
        Self::Equal,
        Self::Positive,
        Self::WideRange,
        Self::WholeRange,
        Self::Cancelling,
        Self::LargeThenSmall,
    ];

    fn draw<F: Bits>(self, n: usize, random: &mut ChaCha8Rng) -> Vec<F> {
        let largest = F::max_value().exactly();
        let sign = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let mut values: Vec<F> = (0..n)
            .map(|i| {
                let x: f64 = random.random_range(0.5..1.0);
                F::of(match self {
                    Self::Equal => 0.1,
                    Self::Positive => x,
                    Self::WideRange => {
                        sign(i / 3) * x * 10.0_f64.powi(random.random_range(-12..12))
                    }
                    Self::WholeRange => {
                        x * 2.0_f64.powi(
                            random.random_range(-149..(largest / n as f64).log2() as i32 - 10),
                        )
                    }
                    Self::Cancelling => sign(i) * x + 2e-6,
                    Self::LargeThenSmall => x * if i < 2 { 1.0 } else { 1e-6 },
                })
            })
            .collect();
        if matches!(self, Self::Cancelling) {
            // Pair by pair the same size, but for the small excess that is left.
            for pair in values.chunks_exact_mut(2) {
                pair[1] = F::of(4e-6) - pair[0];
            }
        }
        if matches!(self, Self::LargeThenSmall) && n > 2 {
            values[1] = -values[0];
        }
        let last = values.len();
        for i in (1..last).rev() {
            values.swap(i, random.random_range(0..=i));
        }
        values
    }
}

fn every_sum<F: Rounded>(check: impl Fn(&str, Vec<F>, &mut ChaCha8Rng)) {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for n in LENGTHS {
        for terms in Terms::ALL {
            let values = terms.draw(n, &mut random);
            check(&format!("{n} terms, {terms:?}"), values, &mut random);
        }
    }
}

fn unweighted<F: Rounded>() {
    every_sum(|case, values: Vec<F>, _| {
        let (n, ones) = (values.len(), vec![F::one(); values.len()]);
        let difficulty = condition(&values, &ones);
        if difficulty > 1e6 {
            return; // beyond what is promised
        }
        let case = format!("{case}, condition {difficulty:.1e}");
        let exact = exact_sum(&values, &ones);
        let mean = quotient(&exact, &Big::from(n as u64));
        assert_within_one_ulp(
            &format!("sum of {case}"),
            aggregate(&values, Aggregate::Sum).unwrap(),
            &exact,
        );
        assert_within_one_ulp(
            &format!("mean of {case}"),
            aggregate(&values, Aggregate::Mean).unwrap(),
            &mean,
        );
        let zeros = Array1::<F>::zeros(n);
        for (by, exact) in [(Aggregate::Sum, &exact), (Aggregate::Mean, &mean)] {
            let mut buffer = Array1::zeros(n);
            let name = format!("objective of {case}, {by:?}");
            assert_within_one_ulp(
                &name,
                Itself.objective(&values, &zeros, &by).unwrap(),
                exact,
            );
            let fused = Itself
                .objective_and_gradient_into(&values, &zeros, &by, &mut buffer)
                .unwrap();
            assert_within_one_ulp(&name, fused, exact);
        }
    });
}

/// The prediction itself, so that an objective has any terms that are wanted.
#[derive(Clone, Copy)]
struct Itself;

impl<F: Float> ElementwiseLoss<F> for Itself {
    fn value(self, p: F, _: F) -> F {
        p
    }
    fn derivative(self, _: F, _: F) -> F {
        F::one()
    }
}

fn weighted<F: Rounded>() {
    every_sum(|case, mut values: Vec<F>, random| {
        let n = values.len();
        let mut weights: Vec<F> = (0..n)
            .map(|_| F::of(random.random_range(-0.25..1.0)))
            .collect();
        let mut mask = vec![true; n];
        for i in (1..n).step_by(7) {
            (weights[i], mask[i]) = (F::zero(), false);
            values[i] = [F::nan(), F::infinity(), F::neg_infinity()][i / 7 % 3];
        }
        let ones: Vec<F> = mask
            .iter()
            .map(|&keep| if keep { F::one() } else { F::zero() })
            .collect();
        let kept = mask.iter().filter(|&&keep| keep).count();
        let total = exact_sum(&weights, &vec![F::one(); n]);
        let count = |n: usize| Big::from(n as u64);
        for (by, weights, divisor) in [
            (Aggregate::weighted_sum(&weights), &weights, count(1)),
            (Aggregate::weighted_mean(&weights), &weights, count(n)),
            (Aggregate::normalized_sum(&weights), &weights, total),
            (Aggregate::masked_mean(&mask), &ones, count(kept)),
        ] {
            let difficulty =
                condition(&values, weights).max(condition(weights, &vec![F::one(); n]));
            if difficulty > 1e6 {
                continue; // beyond what is promised
            }
            let name = by_name(&by);
            let exact = quotient(&exact_sum(&values, weights), &divisor);
            let case = format!("{name} of {case}, condition {difficulty:.1e}");
            assert_within_one_ulp(&case, aggregate(&values, &by).unwrap(), &exact);
            let objective = Itself
                .objective(&values, &Array1::<F>::zeros(n), &by)
                .unwrap();
            assert_within_one_ulp(&format!("objective: {case}"), objective, &exact);
        }
    });
}

fn by_name<F>(by: &Aggregate<'_, F>) -> &'static str {
    match by {
        Aggregate::Mean => "mean",
        Aggregate::Sum => "sum",
        Aggregate::WeightedMean(..) => "weighted mean",
        Aggregate::WeightedSum(..) => "weighted sum",
        Aggregate::NormalizedSum(..) => "normalized sum",
        _ => "masked mean",
    }
}

#[test]
fn sums_and_means_of_f32() {
    unweighted::<f32>();
}

#[test]
fn sums_and_means_of_f64() {
    unweighted::<f64>();
}

#[test]
fn weighted_sums_of_f32() {
    weighted::<f32>();
}

#[test]
fn weighted_sums_of_f64() {
    weighted::<f64>();
}

#[test]
fn the_terms_are_as_hard_as_they_should_be() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let terms: Vec<f64> = Terms::Cancelling.draw(10_000, &mut random);
    let difficulty = condition(&terms, &[1.0; 10_000]);
    assert!((1e5..1e6).contains(&difficulty), "condition {difficulty:e}");
    let large: Vec<f64> = Terms::LargeThenSmall.draw(1000, &mut random);
    assert!(condition(&large, &[1.0; 1000]) > 100.0);
}

#[test]
fn the_exact_sum_is_exact() {
    let terms = [1e300, 1.0, -1e300, f64::MIN_POSITIVE, 5e-324];
    let sum = exact_sum(&terms, &[1.0; 5]);
    let expected = Big::try_from(1.0).unwrap().with_precision(0).value()
        + Big::try_from(f64::MIN_POSITIVE)
            .unwrap()
            .with_precision(0)
            .value()
        + Big::try_from(5e-324).unwrap().with_precision(0).value();
    assert_eq!(sum, expected);
    let squares = exact_sum(&[1e-320, f64::MAX, 3.5], &[1e-320, f64::MAX, -2.0]);
    let exactly = |x: f64| Big::try_from(x).unwrap().with_precision(0).value();
    let expected =
        exactly(1e-320) * exactly(1e-320) + exactly(f64::MAX) * exactly(f64::MAX) - exactly(7.0);
    assert_eq!(squares, expected);
}

fn infinities_and_nan<F: Bits>() {
    let (one, inf, nan, max) = (F::one(), F::infinity(), F::nan(), F::max_value());
    for n in [1, 17, 5000] {
        for (what, here, there, sum) in [
            ("∞", inf, one, inf),
            ("−∞", -inf, one, -inf),
            ("∞ and ∞", inf, inf, inf),
            ("∞ and −∞", inf, -inf, nan),
            ("NaN", nan, one, nan),
            ("NaN and ∞", nan, inf, nan),
            ("an overflow", max, max, inf),
            ("an overflow below", -max, -max, -inf),
        ] {
            let mut losses = vec![one; n];
            losses.push(there);
            losses[n / 2] = here;
            if n == 1 {
                losses = vec![here, there];
            }
            let (n, ones) = (losses.len(), vec![one; losses.len()]);
            let case = format!("{what}, {n} losses, {}", F::NAME);
            for by in [Aggregate::Sum, Aggregate::weighted_sum(&ones)] {
                let computed = aggregate(&losses, &by).unwrap();
                assert_eq!(
                    ulps(computed, sum),
                    0,
                    "{case}, {}: {computed} instead of {sum}",
                    by_name(&by)
                );
            }
            if here != max && here != -max {
                for by in [
                    Aggregate::Mean,
                    Aggregate::weighted_mean(&ones),
                    Aggregate::normalized_sum(&ones),
                ] {
                    let computed = aggregate(&losses, &by).unwrap();
                    assert_eq!(
                        ulps(computed, sum),
                        0,
                        "{case}, {}: {computed} instead of {sum}",
                        by_name(&by)
                    );
                }
            }
        }
    }
    // The mean of f32 does not overflow where the sum does.
    if F::NAME == "f32" {
        assert_eq!(aggregate(&[max, max], Aggregate::Mean), Ok(max));
    }
}

fn weights_that_are_not_numbers<F: Bits>() {
    let (zero, one, inf, nan) = (F::zero(), F::one(), F::infinity(), F::nan());
    let of = |losses: [F; 3], weights: [F; 3]| {
        aggregate(&losses, Aggregate::weighted_sum(&weights)).unwrap()
    };
    for (losses, weights, expected) in [
        ([one, nan, inf], [one, zero, -zero], one),
        ([one, one, one], [one, nan, one], nan),
        ([one, one, one], [one, inf, one], inf),
        ([one, zero, one], [one, inf, one], nan),
        ([one, -one, one], [one, inf, one], -inf),
        ([one, one, one], [-inf, inf, one], nan),
        ([one, nan, one], [one, one, zero], nan),
    ] {
        let computed = of(losses, weights);
        assert_eq!(
            ulps(computed, expected),
            0,
            "{losses:?} by {weights:?}: {computed} instead of {expected}"
        );
    }
    let mask = [true, false, true];
    assert_eq!(
        aggregate(&[one, nan, one], Aggregate::masked_mean(&mask)),
        Ok(one)
    );
    let weights = [zero, one, -one];
    let gradient = aggregate_gradient(&[nan, inf, one], Aggregate::weighted_sum(&weights)).unwrap();
    assert_eq!(
        gradient.to_vec(),
        weights,
        "the gradient does not read the losses"
    );
    // Nor does what the gradient of the loss is, where the weight is 0.
    let (p, t) = ([zero, nan, one], [one, one, one]);
    let (value, gradient) = BinaryCrossentropy
        .objective_and_gradient(&p, &t, Aggregate::weighted_sum(&[zero, zero, one]))
        .unwrap();
    assert_eq!((value, gradient.to_vec()), (zero, vec![zero, zero, -one]));
}

#[test]
fn infinities() {
    infinities_and_nan::<f32>();
    infinities_and_nan::<f64>();
}

#[test]
fn strange_weights() {
    weights_that_are_not_numbers::<f32>();
    weights_that_are_not_numbers::<f64>();
}

/// The same numbers by ndarray-stats, which shares no code with this crate.
#[test]
fn ndarray_stats_agrees() -> Result<(), Box<dyn std::error::Error>> {
    use ndarray::Array1;
    use ndarray_stats::{DeviationExt, EntropyExt, SummaryStatisticsExt};

    let p = Array1::from_shape_fn(1009, |i| 0.01 + 0.97 * ((i * 617 % 1009) as f64 / 1009.0));
    let t = Array1::from_shape_fn(1009, |i| (i * 271 % 1009) as f64 / 1009.0);
    let close =
        |ours: f64, theirs: f64| assert!((ours / theirs - 1.0).abs() < 1e-13, "{ours} {theirs}");
    close(
        SquaredError.objective(&p, &t, Aggregate::Mean)?,
        p.mean_sq_err(&t)?,
    );
    close(
        aggregate(&p, Aggregate::normalized_sum(&t))?,
        p.weighted_mean(&t)?,
    );
    let (p, t) = (&p / p.sum(), &t / t.sum());
    let rows = |x: &Array1<f64>| x.clone().insert_axis(ndarray::Axis(0));
    close(
        CategoricalCrossentropy.objective(&rows(&p), &rows(&t), Aggregate::Sum)?,
        t.cross_entropy(&p)?,
    );
    Ok(())
}
