//! What the results have to be, written plainly in `f64` from the definitions.

use ndarray_loss::{BinaryLabels, Scores};

use crate::number::Number;

/// A result and how far off it may be; by any amount where the definition says nothing that `f64` could tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Near {
    pub(crate) value: f64,
    slack: f64,
}

impl Near {
    /// Relative to its operands' magnitude; `factor` multiplies what may have been subnormal.
    pub(crate) fn new<F: Number>(value: f64, magnitude: f64, factor: f64) -> Self {
        // Near the largest number the order of operations decides what overflows.
        let overflows = value.is_finite() && (magnitude.is_nan() || magnitude > F::MAX / 16.0);
        if overflows {
            Self::anything()
        } else {
            let tiny = F::TINY * factor.abs().max(1.0);
            Self {
                value,
                slack: F::TOLERANCE * magnitude + tiny,
            }
        }
    }

    /// Without cancellation, right up to where it overflows.
    pub(crate) fn relative<F: Number>(value: f64) -> Self {
        Self {
            value,
            slack: F::TOLERANCE * value.abs() + F::TINY,
        }
    }

    /// With cancellation, right up to where it overflows.
    pub(crate) fn relative_to<F: Number>(value: f64, magnitude: f64) -> Self {
        if value.is_finite() && !magnitude.is_finite() {
            return Self::anything();
        }
        Self {
            value,
            slack: F::TOLERANCE * magnitude + F::TINY,
        }
    }

    pub(crate) fn exactly(value: f64) -> Self {
        Self { value, slack: 0.0 }
    }

    pub(crate) fn anything() -> Self {
        Self {
            value: 0.0,
            slack: f64::INFINITY,
        }
    }

    pub(crate) fn accepts<F: Number>(self, got: F) -> bool {
        let got = got.wide();
        if self.slack == f64::INFINITY && !self.value.is_infinite() {
            return true;
        }
        if self.value.is_nan() || got.is_nan() {
            return self.value.is_nan() && got.is_nan();
        }
        if self.value.is_infinite() {
            return got == self.value;
        }
        if got.is_infinite() {
            let limit = F::MAX * (1.0 - 1e-5) - self.slack;
            let same_sign = got.signum() == self.value.signum();
            return (same_sign || self.slack > F::MAX) && self.value.abs() >= limit;
        }
        (got - self.value).abs() <= self.slack
    }
}

/// Element-wise losses with their parameters, valid or not.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Element<F> {
    Squared,
    Huber {
        delta: F,
    },
    Crossentropy,
    Logits {
        weight: F,
        smoothing: F,
    },
    Hinge {
        delta: F,
        scores: Scores,
        labels: BinaryLabels,
    },
    /// A loss that is not of the crate.
    Own,
}

fn is_finite_and<F: Number>(x: F, holds: bool) -> bool {
    x.is_finite() && holds
}

impl<F: Number> Element<F> {
    /// The names and values of parameters that have to be refused.
    pub(crate) fn bad_parameters(self) -> Vec<(&'static str, F)> {
        let zero = F::zero();
        let mut bad = Vec::new();
        match self {
            Self::Huber { delta } if !is_finite_and(delta, delta > zero) => {
                bad.push(("delta", delta));
            }
            Self::Hinge { delta, .. } if !is_finite_and(delta, delta >= zero) => {
                bad.push(("delta", delta));
            }
            Self::Logits { weight, smoothing } => {
                if !is_finite_and(weight, weight >= zero) {
                    bad.push(("pos_weight", weight));
                }
                if !(smoothing >= zero && smoothing <= F::one()) {
                    bad.push(("label_smoothing", smoothing));
                }
            }
            _ => {}
        }
        bad
    }

    /// The pair that integer targets have to be from.
    pub(crate) fn pair(self) -> Option<BinaryLabels> {
        match self {
            Self::Crossentropy | Self::Logits { .. } => Some(BinaryLabels::ZeroOne),
            Self::Hinge { labels, .. } => Some(labels),
            Self::Squared | Self::Huber { .. } | Self::Own => None,
        }
    }

    /// The loss and its derivative.
    pub(crate) fn of(self, p: F, t: F) -> [Near; 2] {
        let (p, t) = (p.wide() + 0.0, t.wide());
        // Targets far beyond any domain: the order of operations decides what overflows, and which infinities meet.
        let heavy = match self {
            Self::Logits { weight, .. } => weight.wide() > F::MAX.sqrt(),
            _ => false,
        };
        let is_wild = heavy && !p.is_nan() && !t.is_nan() || t.abs() > F::MAX.sqrt();
        match self {
            Self::Squared => squared::<F>(p, t),
            Self::Huber { delta } => huber::<F>(p, t, delta.wide()),
            Self::Own if is_wild => [Near::anything(), Near::relative::<F>(p * t)],
            Self::Own => [
                Near::new::<F>(p - 2.0 * t, p.abs() + 2.0 * t.abs(), 1.0),
                Near::relative::<F>(p * t),
            ],
            _ if is_wild => [Near::anything(); 2],
            Self::Crossentropy => crossentropy::<F>(p, t),
            Self::Logits { weight, smoothing } => {
                logits::<F>(p, t, weight.wide(), smoothing.wide())
            }
            Self::Hinge {
                delta,
                scores,
                labels,
            } => hinge::<F>(p, t, delta.wide(), scores, labels),
        }
    }
}

fn squared<F: Number>(p: f64, t: f64) -> [Near; 2] {
    let d = p - t;
    [Near::relative::<F>(d * d), Near::relative::<F>(2.0 * d)]
}

fn huber<F: Number>(p: f64, t: f64, delta: f64) -> [Near; 2] {
    let d = p - t;
    let value = if d.abs() <= delta {
        0.5 * d * d
    } else {
        2.0 * (delta * ((p / 2.0 - t / 2.0).abs() - delta / 4.0))
    };
    let slack = Near::relative::<F>(value);
    let factor = delta.max(1.0);
    [
        Near {
            slack: slack.slack + F::TINY * factor,
            ..slack
        },
        Near::relative::<F>(if d.is_nan() {
            d
        } else {
            d.clamp(-delta, delta)
        }),
    ]
}

/// w·x, 0 where w is.
fn weighted(w: f64, x: f64) -> f64 {
    if w == 0.0 { 0.0 } else { w * x }
}

fn crossentropy<F: Number>(p: f64, t: f64) -> [Near; 2] {
    if !(0.0..=1.0).contains(&p) {
        return [Near::exactly(f64::NAN); 2];
    }
    let (positive, negative) = (weighted(t, p.ln()), weighted(1.0 - t, (-p).ln_1p()));
    let value = -positive - negative;
    let magnitude = positive.abs() + (1.0 + t.abs()) * (-p).ln_1p().abs();
    let derivative = if t == 0.0 {
        1.0 / (1.0 - p)
    } else if t == 1.0 {
        -1.0 / p
    } else {
        (p - t) / (p * (1.0 - p))
    };
    let factor = 1.0 + t.abs();
    let value = match p {
        1.0 if t == 1.0 => Near::exactly(0.0),
        _ => Near::new::<F>(value, magnitude, factor),
    };
    [value, Near::relative::<F>(derivative)]
}

fn logits<F: Number>(x: f64, t: f64, weight: f64, smoothing: f64) -> [Near; 2] {
    // Rounded, so that it is 0 where the loss has a 0.
    let rounded = |x: f64| F::of(x).wide();
    let towards_half = weighted(smoothing, 0.5 - t);
    let negative = rounded(1.0 - t - towards_half);
    let positive = rounded(weight * rounded(t + towards_half));
    let shift = weighted(smoothing, (0.5 - t).abs());
    let sizes = ((1.0 - t).abs() + shift, weight * (t.abs() + shift));
    let e = (-x.abs()).exp();
    let log = e.ln_1p();
    let (above, below) = (x.max(0.0), (-x).max(0.0));
    let value = weighted(negative, above) + weighted(positive, below) + (negative + positive) * log;
    let magnitude = weighted(sizes.0, above) + weighted(sizes.1, below) + (sizes.0 + sizes.1) * log;
    let (near, far) = (1.0 / (1.0 + e), e / (1.0 + e));
    let (up, down) = if x > 0.0 { (near, far) } else { (far, near) };
    let factor = (1.0 + t.abs()) * weight.max(1.0);
    if x.is_nan() || t.is_nan() {
        return [Near::exactly(f64::NAN); 2];
    }
    // A weight that cancels to nothing, or nearly: whether it is 0 is a matter of rounding.
    let cancels = (negative.abs() < 1e-5 * sizes.0 && sizes.0 > 0.0)
        || (positive.abs() < 1e-5 * sizes.1 || positive.abs() < F::TINY) && sizes.1 > 0.0;
    let value = if x.is_infinite() && cancels {
        Near::anything()
    } else {
        Near::new::<F>(value, magnitude, factor)
    };
    let slope = negative * up - positive * down;
    [
        value,
        Near::new::<F>(slope, sizes.0 * up + sizes.1 * down, factor),
    ]
}

fn hinge<F: Number>(p: f64, t: f64, delta: f64, scores: Scores, labels: BinaryLabels) -> [Near; 2] {
    let sign = match labels {
        BinaryLabels::ZeroOne => 2.0 * t - 1.0,
        BinaryLabels::PlusMinusOne => t,
    };
    let (score, size, steepness) = match scores {
        Scores::LogOdds => (p, p.abs(), 1.0),
        Scores::Probabilities => {
            let (log, log_other) = (p.ln(), (-p).ln_1p());
            let inside = (0.0..=1.0).contains(&p);
            let score = if inside { log - log_other } else { f64::NAN };
            (score, log.abs() + log_other.abs(), 1.0 / (p * (1.0 - p)))
        }
    };
    let margin = if sign == 0.0 && !score.is_nan() {
        delta
    } else {
        delta - sign * score
    };
    if margin.is_nan() {
        return [Near::exactly(f64::NAN); 2];
    }
    let slope = match (sign == 0.0, scores) {
        (true, _) => 0.0,
        (_, Scores::LogOdds) => -sign,
        // Not times a quotient, which may overflow alone.
        (_, Scores::Probabilities) => -sign / (p * (1.0 - p)),
    };
    let magnitude = delta + weighted(2.0 * t.abs() + 1.0, size);
    let value = Near::new::<F>(margin.max(0.0), magnitude, 1.0 + t.abs());
    let blur = F::TOLERANCE * magnitude + F::TINY * 4.0;
    let at_kink = margin.is_finite() && (magnitude.is_nan() || margin.abs() <= blur);
    let is_unclear = at_kink && (margin != 0.0 || scores == Scores::Probabilities);
    let gradient = if is_unclear {
        Near::anything()
    } else if margin <= 0.0 {
        Near::exactly(0.0)
    } else {
        let sign_size = 2.0 * t.abs() + 1.0;
        let magnitude = if slope.is_finite() {
            (steepness * sign_size)
                .abs()
                .min(F::MAX / 32.0)
                .max(slope.abs() * 1e-3)
        } else {
            0.0
        };
        match slope.abs() > F::MAX / 16.0 {
            true => Near::relative::<F>(slope),
            false => Near::new::<F>(slope, magnitude, 1.0),
        }
    };
    [value, gradient]
}

/// Item-wise losses with their parameters, valid or not.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item<F> {
    Crossentropy,
    Logits { smoothing: F },
    Hinge { delta: F },
}

/// What a row should have given.
#[derive(Debug, Clone)]
pub(crate) enum Aim {
    Label(usize),
    Row(Vec<f64>),
}

impl<F: Number> Item<F> {
    pub(crate) fn bad_parameters(self) -> Vec<(&'static str, F)> {
        match self {
            Self::Logits { smoothing } if !(smoothing >= F::zero() && smoothing <= F::one()) => {
                vec![("label_smoothing", smoothing)]
            }
            Self::Hinge { delta } if !is_finite_and(delta, delta >= F::zero()) => {
                vec![("delta", delta)]
            }
            _ => Vec::new(),
        }
    }

    pub(crate) fn min_classes(self) -> usize {
        match self {
            Self::Crossentropy => 0,
            Self::Logits { .. } => 1,
            Self::Hinge { .. } => 2,
        }
    }

    /// The loss of a row and its gradient.
    pub(crate) fn of(self, scores: &[F], aim: &Aim) -> (Near, Vec<Near>) {
        let x: Vec<f64> = scores.iter().map(|x| x.wide() + 0.0).collect();
        let has_nan = x.iter().any(|x| x.is_nan());
        let t: Vec<f64> = match aim {
            Aim::Label(label) => (0..x.len()).map(|j| f64::from(j == *label)).collect(),
            Aim::Row(row) => row.clone(),
        };
        // Known: targets that add up to more overflow in the gradient from logits, whose terms are scaled.
        let is_wild = t.iter().map(|t| t.abs()).sum::<f64>() > F::MAX.sqrt() / 1e3;
        match self {
            Self::Crossentropy => {
                let each = x
                    .iter()
                    .zip(&t)
                    .map(|(&p, &t)| crossentropy_of_class::<F>(p, t));
                let (terms, gradient): (Vec<f64>, Vec<Near>) = each.unzip();
                let value: f64 = terms.iter().sum();
                let size: f64 = terms.iter().map(|term| term.abs()).sum();
                let factor = t.iter().map(|t| t.abs()).sum();
                if is_wild {
                    (Near::anything(), gradient)
                } else {
                    (Near::new::<F>(value, size, factor), gradient)
                }
            }
            Self::Logits { .. } if has_nan || t.iter().any(|t| t.is_nan()) => all_nan(x.len()),
            Self::Logits { .. } if is_wild => (Near::anything(), vec![Near::anything(); x.len()]),
            Self::Logits { smoothing } => {
                let is_label = matches!(aim, Aim::Label(_)) && smoothing == F::zero();
                softmax_crossentropy::<F>(&x, &t, smoothing.wide(), is_label)
            }
            Self::Hinge { delta } => {
                let label = t.iter().position(|&t| t == 1.0);
                match label {
                    Some(label) if !has_nan => multiclass_hinge::<F>(&x, label, delta.wide()),
                    _ => all_nan(x.len()),
                }
            }
        }
    }
}

fn all_nan(classes: usize) -> (Near, Vec<Near>) {
    let nan = Near::exactly(f64::NAN);
    (nan, vec![nan; classes])
}

fn crossentropy_of_class<F: Number>(p: f64, t: f64) -> (f64, Near) {
    if t == 0.0 {
        return (0.0, Near::exactly(0.0));
    }
    let derivative = if p < 0.0 { f64::NAN } else { -t / p };
    (-t * p.ln(), Near::relative::<F>(derivative))
}

/// The terms of a softmax, and what they add up to.
pub(crate) struct Softmax {
    pub(crate) maximum: f64,
    terms: Vec<f64>,
    /// The sum of all terms but that of the maximum.
    others: f64,
}

impl Softmax {
    /// Nothing without a finite maximum.
    pub(crate) fn of(x: &[f64]) -> Option<Self> {
        let maximum = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let maximal = x.iter().position(|&x| x == maximum)?;
        if !maximum.is_finite() || x.iter().any(|x| x.is_nan()) {
            return None;
        }
        let mut softmax = Self {
            maximum,
            terms: x.iter().map(|x| (x - maximum).exp()).collect(),
            others: 0.0,
        };
        softmax.others = softmax.without(maximal);
        Some(softmax)
    }

    /// The sum of all terms but one.
    fn without(&self, class: usize) -> f64 {
        let others = self.terms.iter().enumerate();
        others.filter(|&(j, _)| j != class).map(|(_, e)| e).sum()
    }

    pub(crate) fn probability(&self, class: usize) -> f64 {
        self.terms[class] / (1.0 + self.others)
    }

    /// ln Σ e^(x − m)
    pub(crate) fn log(&self) -> f64 {
        self.others.ln_1p()
    }

    /// 1 − softmax, without cancellation
    fn complement(&self, class: usize) -> f64 {
        self.without(class) / (1.0 + self.others)
    }
}

fn softmax_crossentropy<F: Number>(
    x: &[f64],
    t: &[f64],
    smoothing: f64,
    is_label: bool,
) -> (Near, Vec<Near>) {
    let Some(softmax) = Softmax::of(x) else {
        return all_nan(x.len());
    };
    let classes = x.len() as f64;
    let smooth = |t: f64| match smoothing {
        0.0 => t,
        _ => F::of(t * (1.0 - smoothing) + smoothing / classes).wide(),
    };
    let (mut value, mut size, mut total, mut total_size) = (0.0, 0.0, 0.0, 0.0);
    let (mut is_unclear, mut may_overflow) = (false, false);
    for (&x, &t) in x.iter().zip(t) {
        let target = smooth(t);
        let target_size = t.abs() * (1.0 - smoothing) + smoothing / classes;
        let distance = softmax.maximum - x;
        value += weighted(target, distance);
        // A finite part that may overflow, beside an infinite one.
        let part = weighted(target_size, distance);
        may_overflow |= x.is_finite() && (part.is_nan() || part > F::MAX / 16.0);
        size += weighted(
            target_size,
            if distance.is_finite() { distance } else { 0.0 },
        );
        total += target;
        total_size += target_size;
        // A weight that cancels, or is hardly one, may be 0 or not; or the distance overflows.
        let cancels =
            target.abs() < 1e-5 * target_size || target.abs() < F::TINY && target_size > 0.0;
        is_unclear |=
            cancels && distance.is_infinite() || x.is_finite() && distance > f64::MAX / 16.0;
    }
    value += total * softmax.log();
    size += total_size * softmax.log();
    let gradient = (0..x.len()).map(|j| {
        let (target, p) = (smooth(t[j]), softmax.probability(j));
        if is_label && t[j] == 1.0 {
            return Near::new::<F>(-softmax.complement(j), softmax.complement(j), 1.0);
        }
        Near::new::<F>(
            total * p - target,
            total_size * p + t[j].abs() + smoothing / classes,
            total_size,
        )
    });
    let value = if is_unclear || may_overflow {
        Near::anything()
    } else {
        Near::new::<F>(value, size, total_size)
    };
    (value, gradient.collect())
}

/// The rounded difference, and what the rounding left out.
fn difference(a: f64, b: f64) -> (f64, f64) {
    let rounded = a - b;
    let of_b = a - rounded;
    (rounded, (a - (rounded + of_b)) + (of_b - b))
}

fn multiclass_hinge<F: Number>(x: &[f64], label: usize, delta: f64) -> (Near, Vec<Near>) {
    let own = x[label];
    let others = x.iter().enumerate().filter(|&(j, _)| j != label);
    let (mut rival, mut rival_class) = (f64::NEG_INFINITY, None);
    for (j, &x) in others {
        if x > rival {
            (rival, rival_class) = (x, Some(j));
        }
    }
    // What a tiny score beside a large one adds to their difference, lost in its rounding, is all of a margin of 0.
    let (difference, lost) = difference(rival, own);
    let rounded = difference + delta;
    let margin = if lost.is_finite() {
        rounded + lost
    } else {
        rounded
    };
    if margin.is_nan() {
        return all_nan(x.len());
    }
    let magnitude = rival.abs() + own.abs() + delta;
    let value = Near::new::<F>(margin.max(0.0), magnitude, 1.0);
    let is_unclear = margin.is_finite()
        && margin.abs() <= F::TOLERANCE * magnitude
        && !(rounded == 0.0 && magnitude < 1e6 && F::NAME == "f32")
        || margin.is_finite() && magnitude > F::MAX / 16.0;
    let gradient = (0..x.len()).map(|j| {
        if is_unclear {
            Near::anything()
        } else if margin <= 0.0 {
            Near::exactly(0.0)
        } else if j == label {
            Near::exactly(-1.0)
        } else {
            Near::exactly(f64::from(rival_class == Some(j)))
        }
    });
    (value, gradient.collect())
}
