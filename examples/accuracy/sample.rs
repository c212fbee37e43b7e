//! Inputs: every order of magnitude alike, the confident ends and the kinks included.

use ndarray_loss::BinaryLabels;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::judge::Number;

/// Inputs of one kind. The first three are those of `benches/peers/accuracy.py`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Region {
    /// The prediction is on the target's side, up to the confident end.
    Right,
    /// It is on the other side.
    Wrong,
    /// The target is between the classes.
    Soft,
    /// Rows of every spread, some classes masked with −∞.
    Spread,
    /// Rows with the largest and the smallest numbers, and ties.
    Extreme,
    /// Every prediction in [0, 1].
    Every,
}

impl Region {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::Soft => "soft",
            Self::Spread => "spread",
            Self::Extreme => "extreme",
            Self::Every => "every",
        }
    }
}

/// What a batch is wanted to be.
pub(crate) enum Targets<F> {
    /// One number per prediction.
    Numbers(Vec<F>),
    /// One label per row.
    Labels(Vec<usize>),
}

/// Items with the same number of classes (1 for element-wise functions), and the same parameters.
pub(crate) struct Batch<F> {
    pub(crate) classes: usize,
    pub(crate) predictions: Vec<F>,
    pub(crate) targets: Targets<F>,
    pub(crate) parameters: [F; 2],
}

impl<F> Batch<F> {
    pub(crate) fn items(&self) -> usize {
        self.predictions.len() / self.classes
    }
}

pub(crate) type Random = ChaCha8Rng;

/// The same numbers for the same seed and stream, on any number of threads.
pub(crate) fn random(seed: u64, stream: u64) -> Random {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
    random
}

fn chance(random: &mut Random, probability: f64) -> bool {
    random.random_bool(probability)
}

fn sign(random: &mut Random) -> f64 {
    if chance(random, 0.5) { 1.0 } else { -1.0 }
}

fn log_uniform(random: &mut Random, low: f64, high: f64) -> f64 {
    let exponent: f64 = random.random_range(low.ln()..high.ln());
    exponent.exp().clamp(low, high)
}

fn smallest<F: Number>() -> f64 {
    F::from_low_bits(1).wide()
}

/// Any positive finite number, every order of magnitude alike.
fn any_magnitude<F: Number>(random: &mut Random) -> f64 {
    let bits = random.next_u64() % F::infinity().bits();
    F::from_low_bits(bits).wide()
}

/// The number some steps above or below.
fn beside<F: Number>(x: F, random: &mut Random) -> F {
    let steps = random.random_range(-4..=4_i64);
    let bits = x.bits().wrapping_add_signed(steps);
    let moved = F::from_low_bits(bits);
    if moved.is_finite() && moved.signum() == x.signum() {
        moved
    } else {
        x
    }
}

// Parameters.

/// δ: 1, or of any size.
pub(crate) fn margin<F: Number>(random: &mut Random) -> F {
    F::of(match random.random_range(0..4) {
        0 => 1.0,
        _ => log_uniform(random, 1e-3, 1e3),
    })
}

pub(crate) fn pos_weight<F: Number>(random: &mut Random) -> F {
    F::of(match random.random_range(0..5) {
        0 => 0.0,
        1 => 1.0,
        _ => log_uniform(random, 1e-2, 1e2),
    })
}

pub(crate) fn smoothing<F: Number>(random: &mut Random) -> F {
    F::of(match random.random_range(0..6) {
        0 => 1.0,
        1 => log_uniform(random, 1e-9, 1e-2),
        _ => random.random_range(0.0..1.0),
    })
}

// Element-wise inputs: a prediction and a target.

/// On the right side the numbers are close, on the wrong one far apart.
pub(crate) fn numbers<F: Number>(region: Region, delta: F, random: &mut Random) -> (F, F) {
    let target = F::of(match random.random_range(0..3) {
        0 => 0.0,
        1 => sign(random) * log_uniform(random, 1e-3, 1e3),
        _ => sign(random) * any_magnitude::<F>(random),
    });
    let delta = delta.wide();
    let prediction = match (region, random.random_range(0..3)) {
        (_, 0) => beside(F::of(target.wide() + sign(random) * delta), random),
        (Region::Right, 1) => beside(target, random),
        (Region::Right, _) => {
            F::of(target.wide() + sign(random) * log_uniform(random, 1e-8 * delta, delta))
        }
        (_, 1) => F::of(sign(random) * any_magnitude::<F>(random)),
        _ => F::of(target.wide() + sign(random) * log_uniform(random, delta, 1e6 * delta)),
    };
    let within = |x: F| if x.is_finite() { x } else { F::max_value() };
    (within(prediction), target)
}

/// A share strictly between 0 and 1.
fn soft_target<F: Number>(random: &mut Random) -> F {
    let near_end = log_uniform(random, 1e-12, 0.5);
    F::of(match random.random_range(0..6) {
        0 => near_end,
        1 => (1.0 - near_end).min(1.0 - F::epsilon().wide()),
        _ => random.random_range(0.01..0.99),
    })
}

/// The hard target that a positive or a negative distance from the boundary calls for in this region, or a soft one.
fn target_for<F: Number>(region: Region, positive: bool, random: &mut Random) -> F {
    match region {
        Region::Soft => soft_target(random),
        Region::Wrong => F::of(if positive { 0.0 } else { 1.0 }),
        _ => F::of(if positive { 1.0 } else { 0.0 }),
    }
}

/// A logit and a target in [0, 1].
pub(crate) fn binary_logit<F: Number>(region: Region, random: &mut Random) -> (F, F) {
    let distance = F::of(match random.random_range(0..10) {
        0 => any_magnitude::<F>(random),
        _ => log_uniform(random, 1e-4, 1.2 * F::LARGEST_LOGIT),
    });
    let positive = chance(random, 0.5);
    let target = target_for(region, positive, random);
    (if positive { distance } else { -distance }, target)
}

/// A logit and a cotangent.
pub(crate) fn logit_and_cotangent<F: Number>(region: Region, random: &mut Random) -> (F, F) {
    let distance = binary_logit::<F>(region, random).0.abs();
    let cotangent = sign(random) * log_uniform(random, 1e-3, 1e3);
    let logit = if region == Region::Right {
        distance
    } else {
        -distance
    };
    (logit, F::of(cotangent))
}

/// A probability, strictly between 0 and 1, and a target in [0, 1].
///
/// The distance from the nearer end is spread over all magnitudes: down to one ULP at 1, to the smallest number at 0.
pub(crate) fn binary_probability<F: Number>(region: Region, random: &mut Random) -> (F, F) {
    let one = F::one();
    let last = one - F::epsilon() / (one + one);
    let prediction = match random.random_range(0..8) {
        0 => random.random_range(0.0..1.0),
        1..=3 => 1.0 - log_uniform(random, 1.0 - last.wide(), 0.5),
        _ => log_uniform(random, smallest::<F>(), 0.5),
    };
    let prediction = F::of(prediction.clamp(smallest::<F>(), last.wide()));
    let prediction = if prediction < one { prediction } else { last };
    let positive = prediction.wide() > 0.5;
    (prediction, target_for(region, positive, random))
}

/// Log-odds or a probability, and a target of the pair; a third of the log-odds around the kink.
pub(crate) fn hinge_input<F: Number>(
    region: Region,
    probabilities: bool,
    labels: BinaryLabels,
    delta: F,
    random: &mut Random,
) -> (F, F) {
    let (prediction, target) = if probabilities {
        binary_probability::<F>(region, random)
    } else {
        let (x, target) = binary_logit::<F>(region, random);
        if chance(random, 0.3) {
            (beside(delta, random).copysign(x), target)
        } else {
            (x, target)
        }
    };
    // At the boundary of the kink for probabilities: ln(p / (1 − p)) = ±δ.
    let prediction = if probabilities && chance(random, 0.2) {
        let p = 1.0 / (1.0 + (-delta.wide()).exp());
        let p = if prediction.wide() > 0.5 { p } else { 1.0 - p };
        let p = beside(F::of(p), random);
        if p > F::zero() && p < F::one() {
            p
        } else {
            prediction
        }
    } else {
        prediction
    };
    let target = match labels {
        BinaryLabels::ZeroOne => target,
        BinaryLabels::PlusMinusOne => target + target - F::one(),
    };
    (prediction, target)
}

// Item-wise inputs.

/// How many rows of how many classes.
///
/// Around what the kernels do at once (8, 16, 32, 128, 512), and far above.
pub(crate) fn shapes(rows: usize) -> Vec<(usize, usize)> {
    const SHARES: [(usize, f64); 12] = [
        (2, 0.3),
        (3, 0.3),
        (5, 0.1),
        (10, 0.1),
        (17, 0.07),
        (32, 0.05),
        (33, 0.04),
        (64, 0.02),
        (128, 0.01),
        (129, 0.01),
        (513, 0.003),
        (1000, 0.002),
    ];
    SHARES
        .iter()
        .map(|&(classes, share)| (classes, ((rows as f64 * share).ceil() as usize).max(1)))
        .collect()
}

/// Non-negative numbers whose sum is about 1, some of them 0, or counts.
fn distribution<F: Number>(classes: usize, random: &mut Random) -> Vec<F> {
    let kind = random.random_range(0..6);
    let mut row: Vec<f64> = (0..classes)
        .map(|_| match kind {
            0 => f64::from(random.random_range(0..4_u8)),
            1 => log_uniform(random, 1e-9, 1.0),
            _ if chance(random, 0.1) => 0.0,
            _ => random.random_range(0.01..1.0),
        })
        .collect();
    if kind != 0 {
        let sum: f64 = row.iter().sum::<f64>().max(0.01);
        row.iter_mut().for_each(|t| *t /= sum);
    }
    row.into_iter().map(F::of).collect()
}

/// A row of logits, and the label that it is right or wrong about.
fn class_logits<F: Number>(region: Region, classes: usize, random: &mut Random) -> (Vec<F>, usize) {
    let label = random.random_range(0..classes);
    let row = match region {
        Region::Spread => {
            let scale = log_uniform(random, 1e-3, 1e4);
            let masked = if chance(random, 0.3) { 0.3 } else { 0.0 };
            (0..classes)
                .map(|class| {
                    let x = F::of(scale * random.random_range(-1.0..1.0));
                    let is_masked = class != label && chance(random, masked);
                    if is_masked { F::neg_infinity() } else { x }
                })
                .collect()
        }
        Region::Extreme => {
            let top = F::of(match random.random_range(0..5) {
                0 => sign(random) * any_magnitude::<F>(random),
                1 => sign(random) * 1e30,
                // where the way of computing the terms changes
                2 => sign(random) * log_uniform(random, 1e4, 1e5),
                3 => sign(random) * log_uniform(random, 5e8, 2e9),
                _ => 0.0,
            });
            (0..classes)
                .map(|_| match random.random_range(0..6) {
                    0 => top,
                    1 => beside(top, random),
                    2 => F::of(-sign(random) * any_magnitude::<F>(random)),
                    3 => F::of(sign(random) * 1e30),
                    4 => F::of(top.wide() - log_uniform(random, 1e-9, 1.1 * F::LARGEST_LOGIT)),
                    _ => F::of(sign(random) * log_uniform(random, smallest::<F>(), 1e-3)),
                })
                .collect()
        }
        _ => {
            let offset = match random.random_range(0..3) {
                0 => sign(random) * log_uniform(random, 1e-2, 1e4),
                _ => 0.0,
            };
            let distance = log_uniform(random, 1e-4, 1.2 * F::LARGEST_LOGIT);
            let above = match region {
                Region::Right => true,
                Region::Wrong => false,
                _ => chance(random, 0.5),
            };
            let mut row: Vec<F> = (0..classes)
                .map(|_| F::of(offset + random.random_range(-0.5..0.5)))
                .collect();
            row[label] = F::of(row[label].wide() + if above { distance } else { -distance });
            row
        }
    };
    (row, label)
}

/// How targets of rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Labels,
    /// One-hot rows, or distributions in the soft region and, half of them, in those of many spreads.
    Rows,
    /// One number per class, of any sign.
    Cotangents,
}

impl Form {
    fn push<F: Number>(
        self,
        region: Region,
        logits: &[F],
        label: usize,
        targets: &mut Targets<F>,
        random: &mut Random,
    ) {
        let classes = logits.len();
        match targets {
            Targets::Labels(labels) => labels.push(label),
            Targets::Numbers(numbers) if self == Self::Cotangents => {
                numbers.extend(
                    (0..classes).map(|_| F::of(sign(random) * log_uniform(random, 1e-3, 1e3))),
                );
            }
            Targets::Numbers(numbers) => {
                let soft = match region {
                    Region::Right | Region::Wrong => false,
                    Region::Soft => true,
                    _ => chance(random, 0.5),
                };
                if soft {
                    let row = distribution::<F>(classes, random);
                    // A masked class is not wanted.
                    numbers.extend(
                        row.iter().zip(logits).map(
                            |(&t, &x)| {
                                if x.is_finite() { t } else { F::zero() }
                            },
                        ),
                    );
                } else {
                    numbers.extend(
                        (0..classes).map(|class| if class == label { F::one() } else { F::zero() }),
                    );
                }
            }
        }
    }

    fn empty<F>(self) -> Targets<F> {
        match self {
            Self::Labels => Targets::Labels(Vec::new()),
            Self::Rows | Self::Cotangents => Targets::Numbers(Vec::new()),
        }
    }
}

/// Rows of logits, with their targets.
pub(crate) fn logit_rows<F: Number>(
    region: Region,
    form: Form,
    (classes, rows): (usize, usize),
    parameters: [F; 2],
    random: &mut Random,
) -> Batch<F> {
    rows_of(
        form,
        (classes, rows),
        parameters,
        random,
        |targets, random| {
            let (row, label) = class_logits::<F>(region, classes, random);
            form.push(region, &row, label, targets, random);
            row
        },
    )
}

/// Rows of probabilities, with their targets.
pub(crate) fn probability_rows<F: Number>(
    region: Region,
    form: Form,
    (classes, rows): (usize, usize),
    random: &mut Random,
) -> Batch<F> {
    rows_of(
        form,
        (classes, rows),
        [F::zero(); 2],
        random,
        |targets, random| {
            let label = random.random_range(0..classes);
            let mut row: Vec<F> = (0..classes)
                .map(|_| binary_probability::<F>(region, random).0)
                .collect();
            let mut own = binary_probability::<F>(region, random).0;
            while (own.wide() > 0.5) != (region == Region::Right) && region != Region::Soft {
                own = binary_probability::<F>(region, random).0;
            }
            row[label] = own;
            form.push(region, &row, label, targets, random);
            row
        },
    )
}

/// Rows of scores whose best rival is around the margin of the target.
pub(crate) fn score_rows<F: Number>(
    region: Region,
    form: Form,
    (classes, rows): (usize, usize),
    delta: F,
    random: &mut Random,
) -> Batch<F> {
    let parameters = [delta, F::zero()];
    rows_of(
        form,
        (classes, rows),
        parameters,
        random,
        |targets, random| {
            let (mut row, label) = class_logits::<F>(region, classes, random);
            if chance(random, 0.3) {
                let mut rival = F::neg_infinity();
                for (class, &x) in row.iter().enumerate() {
                    if class != label && x > rival {
                        rival = x;
                    }
                }
                if rival.is_finite() {
                    row[label] = beside(F::of(rival.wide() + delta.wide()), random);
                }
            }
            let row: Vec<F> = row
                .into_iter()
                // All rivals at −∞ is a limit, which has a test of its own.
                .map(|x| {
                    if x.is_infinite() {
                        -F::max_value() / F::of(4.0)
                    } else {
                        x
                    }
                })
                .collect();
            form.push(Region::Right, &row, label, targets, random);
            row
        },
    )
}

fn rows_of<F: Number>(
    form: Form,
    (classes, rows): (usize, usize),
    parameters: [F; 2],
    random: &mut Random,
    mut draw: impl FnMut(&mut Targets<F>, &mut Random) -> Vec<F>,
) -> Batch<F> {
    let mut targets = form.empty();
    let mut predictions = Vec::with_capacity(rows * classes);
    for _ in 0..rows {
        predictions.extend(draw(&mut targets, random));
    }
    Batch {
        classes,
        predictions,
        targets,
        parameters,
    }
}

/// Predictions with one target each.
pub(crate) fn pairs<F: Number>(
    count: usize,
    parameters: [F; 2],
    mut draw: impl FnMut() -> (F, F),
) -> Batch<F> {
    let (predictions, targets) = (0..count).map(|_| draw()).unzip();
    Batch {
        classes: 1,
        predictions,
        targets: Targets::Numbers(targets),
        parameters,
    }
}

/// How many predictions [`every_probability`] goes through.
pub(crate) fn probabilities() -> u64 {
    1.0_f32.bits() + 1
}

/// The `f32` in [0, 1] from one position on, for a target of 0 or 1.
pub(crate) fn every_probability(start: u64, count: usize, target: f32) -> Batch<f32> {
    let end = (start + count as u64).min(probabilities());
    Batch {
        classes: 1,
        predictions: (start..end).map(f32::from_low_bits).collect(),
        targets: Targets::Numbers(vec![target; (end - start) as usize]),
        parameters: [0.0; 2],
    }
}
