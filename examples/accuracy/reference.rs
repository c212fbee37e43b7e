//! The formulas, each once, in a form in which nothing cancels that does not have to.
//!
//! They push the value of an item (or the values), then the gradient, of the given floats as they are: a target of
//! 0.1 is the `f32` or `f64` next to 0.1.

use ndarray_loss::{BinaryLabels, Scores};

use crate::real::Real;

/// An exact result.
pub(crate) struct Exact<R> {
    pub(crate) value: R,
    /// Σ|operands| of a subtraction that the formula itself holds and that cancels.
    pub(crate) operands: Option<R>,
    /// What multiplies an intermediate result that may itself underflow: w, T, a cotangent.
    pub(crate) factor: Option<R>,
    pub(crate) kink: Option<Kink<R>>,
}

/// Where a rounded margin may have another sign than the exact one, either gradient is right.
pub(crate) struct Kink<R> {
    pub(crate) margin: R,
    /// Σ|operands| of the margin.
    pub(crate) operands: R,
    /// The gradient on the other side.
    pub(crate) gradient: R,
}

impl<R> Exact<R> {
    fn new(value: R) -> Self {
        Self {
            value,
            operands: None,
            factor: None,
            kink: None,
        }
    }
}

impl<R: Real> Exact<R> {
    /// a − b
    fn difference(a: R, b: R) -> Self {
        let cancels = !a.is_zero() && !b.is_zero();
        let operands = cancels.then(|| a.clone().abs() + b.clone().abs());
        Self {
            operands,
            ..Self::new(a - b)
        }
    }

    fn with_factor(self, factor: R) -> Self {
        let factor = factor.abs();
        Self {
            factor: (factor > R::one()).then_some(factor),
            ..self
        }
    }
}

pub(crate) fn squared_error<R: Real>(p: R, t: R, out: &mut Vec<Exact<R>>) {
    let difference = p - t;
    out.push(Exact::new(difference.clone() * difference.clone()));
    out.push(Exact::new(difference.clone() + difference));
}

pub(crate) fn huber_loss<R: Real>(p: R, t: R, delta: R, out: &mut Vec<Exact<R>>) {
    let half = R::of(0.5);
    let difference = p - t;
    let distance = difference.clone().abs();
    let (loss, gradient) = if distance <= delta {
        (half * distance.clone() * distance, difference)
    } else {
        let loss = delta.clone() * (distance - half * delta.clone());
        let is_below = difference < R::zero();
        (loss, if is_below { -delta } else { delta })
    };
    out.push(Exact::new(loss));
    out.push(Exact::new(gradient));
}

pub(crate) fn binary_crossentropy<R: Real>(p: R, t: R, out: &mut Vec<Exact<R>>) {
    let (zero, one) = (R::zero(), R::one());
    let (loss, gradient) = if t == zero {
        (-(-p.clone()).ln_1p(), one.clone() / (one - p))
    } else if t == one {
        (-p.ln(), -one / p)
    } else {
        let loss = t.clone() * -p.ln() + (one.clone() - t.clone()) * -(-p.clone()).ln_1p();
        (loss, (p.clone() - t) / (p.clone() * (one - p)))
    };
    out.push(Exact::new(loss));
    out.push(Exact::new(gradient));
}

/// Weight of the positive class and smoothing.
pub(crate) struct Options<R> {
    pub(crate) pos_weight: R,
    pub(crate) smoothing: R,
}

pub(crate) fn binary_crossentropy_with_logits<R: Real>(
    x: R,
    t: R,
    options: Options<R>,
    out: &mut Vec<Exact<R>>,
) {
    let (zero, one) = (R::zero(), R::one());
    let half = R::of(0.5) * options.smoothing.clone();
    let keep = one.clone() - options.smoothing;
    let negative = (one - t.clone()) * keep.clone() + half.clone();
    let positive = options.pos_weight.clone() * (t * keep + half);
    let (sigmoid, complement, log) = sigmoids(&x);
    let wrong = if x > zero { &negative } else { &positive };
    let linear = wrong.clone() * x.abs();
    let loss = linear + (negative.clone() + positive.clone()) * log;
    out.push(Exact::new(loss).with_factor(options.pos_weight.clone()));
    let gradient = Exact::difference(negative * sigmoid, positive * complement);
    out.push(gradient.with_factor(options.pos_weight));
}

/// σ(x), σ(−x) and ln(1 + e^−|x|).
fn sigmoids<R: Real>(x: &R) -> (R, R, R) {
    let one = R::one();
    let e = (-x.clone().abs()).exp();
    let near = one.clone() / (one.clone() + e.clone());
    let far = e.clone() / (one + e.clone());
    let log = e.ln_1p();
    if *x > R::zero() {
        (near, far, log)
    } else {
        (far, near, log)
    }
}

pub(crate) fn sigmoid<R: Real>(x: R, cotangent: R, out: &mut Vec<Exact<R>>) {
    let (sigmoid, complement, _) = sigmoids(&x);
    out.push(Exact::new(sigmoid.clone()));
    let vjp = cotangent.clone() * sigmoid * complement;
    out.push(Exact::new(vjp).with_factor(cotangent));
}

pub(crate) fn log_sigmoid<R: Real>(x: R, cotangent: R, out: &mut Vec<Exact<R>>) {
    let (_, complement, log) = sigmoids(&x);
    let linear = if x < R::zero() { x } else { R::zero() };
    out.push(Exact::new(linear - log));
    let vjp = cotangent.clone() * complement;
    out.push(Exact::new(vjp).with_factor(cotangent));
}

pub(crate) fn binary_hinge_loss<R: Real>(
    prediction: R,
    target: R,
    delta: R,
    (scores, labels): (Scores, BinaryLabels),
    out: &mut Vec<Exact<R>>,
) {
    let (zero, one) = (R::zero(), R::one());
    let sign = match labels {
        BinaryLabels::ZeroOne => target.clone() + target - one.clone(),
        BinaryLabels::PlusMinusOne => target,
    };
    let (score, slope) = match scores {
        Scores::LogOdds => (prediction, one.clone()),
        Scores::Probabilities => {
            let other = one.clone() - prediction.clone();
            (
                log_odds(prediction.clone(), other.clone()),
                one.clone() / (prediction * other),
            )
        }
    };
    // t·s is rounded, and with it the margin, unless t is ±1 and s is given.
    let is_hard = sign.clone().abs() == one && matches!(scores, Scores::LogOdds);
    let margin = Exact::difference(delta, sign.clone() * score);
    let operands = if is_hard { None } else { margin.operands };
    let met = margin.value <= zero;
    let steep = -sign * slope;
    let (gradient, other_gradient) = if met {
        (zero.clone(), steep)
    } else {
        (steep, zero.clone())
    };
    let kink = operands.clone().map(|operands| Kink {
        margin: margin.value.clone(),
        operands,
        gradient: other_gradient,
    });
    out.push(Exact {
        operands,
        ..Exact::new(if met { zero } else { margin.value })
    });
    out.push(Exact {
        kink,
        ..Exact::new(gradient)
    });
}

/// ln(p / q) for q = 1 − p.
fn log_odds<R: Real>(p: R, q: R) -> R {
    if p < R::of(0.25) {
        p.ln() - (-p).ln_1p()
    } else {
        ((p - q.clone()) / q).ln_1p()
    }
}

/// What a row is wanted to be.
pub(crate) enum Wanted<R> {
    Label(usize),
    Row(Vec<R>),
}

/// Of the cross-entropies, one number per class.
fn labels_as_rows<R: Real>(wanted: Wanted<R>, classes: usize) -> Vec<R> {
    match wanted {
        Wanted::Row(row) => row,
        Wanted::Label(label) => {
            let mut row = vec![R::zero(); classes];
            row[label] = R::one();
            row
        }
    }
}

pub(crate) fn categorical_crossentropy<R: Real>(
    p: &[R],
    wanted: Wanted<R>,
    out: &mut Vec<Exact<R>>,
) {
    let targets = labels_as_rows(wanted, p.len());
    let mut loss = R::zero();
    let mut gradient = Vec::with_capacity(p.len());
    for (p, t) in p.iter().zip(targets) {
        gradient.push(Exact::new(if t.is_zero() {
            R::zero()
        } else {
            loss = loss + t.clone() * -p.ln();
            -t / p.clone()
        }));
    }
    out.push(Exact::new(loss));
    out.append(&mut gradient);
}

/// rival − own + δ, where that is positive.
pub(crate) fn multiclass_hinge_loss<R: Real>(
    scores: &[R],
    label: usize,
    delta: R,
    out: &mut Vec<Exact<R>>,
) {
    let (zero, one) = (R::zero(), R::one());
    let mut rival: Option<usize> = None;
    for class in (0..scores.len()).filter(|&class| class != label) {
        if rival.is_none_or(|rival| scores[class] > scores[rival]) {
            rival = Some(class);
        }
    }
    let rival = rival.unwrap_or(label);
    let margin = R::sum_of_three(scores[rival].clone(), -scores[label].clone(), delta);
    let met = margin <= zero;
    out.push(Exact::new(if met { zero.clone() } else { margin }));
    for class in 0..scores.len() {
        out.push(Exact::new(if met {
            zero.clone()
        } else if class == label {
            -one.clone()
        } else if class == rival {
            one.clone()
        } else {
            zero.clone()
        }));
    }
}

/// The softmax of a row of logits, of which −∞ is `None`.
pub(crate) struct Softmax<R> {
    maximum: R,
    /// m − x
    distances: Vec<Option<R>>,
    /// e^(x − m)
    terms: Vec<R>,
    sum: R,
    /// Σ − e^(x − m), where it does not cancel.
    others_of_maximal: R,
    maximal: usize,
    /// ln Σ e^(x − m)
    log: R,
}

impl<R: Real> Softmax<R> {
    pub(crate) fn new(logits: &[Option<R>]) -> Self {
        let mut maximal = 0;
        for (class, logit) in logits.iter().enumerate() {
            if *logit > logits[maximal] {
                maximal = class;
            }
        }
        let maximum = logits[maximal].clone().unwrap_or_else(R::zero);
        let distances: Vec<Option<R>> = logits
            .iter()
            .map(|logit| logit.clone().map(|x| maximum.clone() - x))
            .collect();
        let terms: Vec<R> = distances
            .iter()
            .map(|distance| distance.clone().map_or_else(R::zero, |d| (-d).exp()))
            .collect();
        let mut others = R::zero();
        for (class, term) in terms.iter().enumerate() {
            if class != maximal {
                others = others + term.clone();
            }
        }
        Self {
            sum: others.clone() + R::one(),
            log: others.ln_1p(),
            others_of_maximal: others,
            maximum,
            distances,
            terms,
            maximal,
        }
    }

    fn probability(&self, class: usize) -> R {
        self.terms[class].clone() / self.sum.clone()
    }

    fn others(&self, class: usize) -> R {
        if class == self.maximal {
            self.others_of_maximal.clone()
        } else {
            self.sum.clone() - self.terms[class].clone()
        }
    }

    /// −ln softmax(x), unless it is +∞.
    fn cost(&self, class: usize) -> Option<R> {
        let distance = self.distances[class].clone()?;
        Some(distance + self.log.clone())
    }

    /// Cross-entropy of the targets (1 − ε)·t + ε/K.
    pub(crate) fn crossentropy(&self, wanted: Wanted<R>, smoothing: R, out: &mut Vec<Exact<R>>) {
        let classes = self.terms.len();
        let uniform = smoothing.clone() / R::of(classes as f64);
        let keep = R::one() - smoothing;
        let mut total = R::zero();
        let targets: Vec<R> = labels_as_rows(wanted, classes)
            .into_iter()
            .map(|t| {
                let t = keep.clone() * t + uniform.clone();
                total = total.clone() + t.clone();
                t
            })
            .collect();
        let mut loss = total.clone() * self.log.clone();
        let mut gradient = Vec::with_capacity(classes);
        for (class, t) in targets.into_iter().enumerate() {
            if t.is_zero() {
                let derivative = total.clone() * self.probability(class);
                gradient.push(Exact::new(derivative).with_factor(total.clone()));
                continue;
            }
            if let Some(distance) = &self.distances[class] {
                loss = loss + t.clone() * distance.clone();
            }
            // T·p − t
            let rest = total.clone() - t.clone();
            let gained = rest.clone() * self.terms[class].clone();
            let lost = t.clone() * self.others(class);
            let derivative = (gained - lost) / self.sum.clone();
            let operands =
                (!rest.is_zero()).then(|| total.clone() * self.probability(class) + t.abs());
            let derivative = Exact {
                operands,
                ..Exact::new(derivative)
            };
            gradient.push(derivative.with_factor(total.clone()));
        }
        out.push(Exact::new(loss).with_factor(total));
        out.append(&mut gradient);
    }

    /// The probabilities, and pⱼ·(gⱼ − Σ p·g).
    pub(crate) fn softmax(&self, cotangent: &[R], out: &mut Vec<Exact<R>>) {
        let classes = 0..self.terms.len();
        out.extend(
            classes
                .clone()
                .map(|class| Exact::new(self.probability(class))),
        );
        let (mut dot, mut size) = (R::zero(), R::zero());
        for (class, g) in cotangent.iter().enumerate() {
            let product = self.probability(class) * g.clone();
            dot = dot + product.clone();
            size = size + product.abs();
        }
        out.extend(classes.map(|class| {
            let (p, g) = (self.probability(class), cotangent[class].clone());
            let operands = g.clone().abs() + size.clone();
            let vjp = Exact {
                operands: Some(p.clone() * operands.clone()),
                ..Exact::new(p * (g - dot.clone()))
            };
            vjp.with_factor(operands)
        }));
    }

    /// The logarithms of the probabilities, and gⱼ − pⱼ·Σ g.
    pub(crate) fn log_softmax(&self, cotangent: &[R], out: &mut Vec<Exact<R>>) {
        let classes = 0..self.terms.len();
        out.extend(classes.clone().map(|class| {
            let logarithm = self.cost(class).map(|cost| -cost);
            Exact::new(logarithm.unwrap_or_else(|| R::of(f64::NEG_INFINITY)))
        }));
        let (mut dot, mut size) = (R::zero(), R::zero());
        for g in cotangent {
            dot = dot + g.clone();
            size = size + g.clone().abs();
        }
        out.extend(classes.map(|class| {
            let (p, g) = (self.probability(class), cotangent[class].clone());
            Exact {
                operands: Some(g.clone().abs() + p.clone() * size.clone()),
                ..Exact::new(g - p * dot.clone())
            }
        }));
    }

    /// ln Σ e^x, and g·pⱼ.
    pub(crate) fn log_sum_exp(&self, cotangent: R, out: &mut Vec<Exact<R>>) {
        let cancels = self.maximum < R::zero();
        let operands = cancels.then(|| self.maximum.clone().abs() + self.log.clone());
        out.push(Exact {
            operands,
            ..Exact::new(self.maximum.clone() + self.log.clone())
        });
        out.extend(
            (0..self.terms.len())
                .map(|class| Exact::new(cotangent.clone() * self.probability(class)))
                .map(|vjp| vjp.with_factor(cotangent.clone())),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::real::Big;
    use crate::sample::{self, Region};

    /// Computes a formula in both kinds of numbers, and compares: for `f32` the difference is nothing.
    macro_rules! assert_kinds_agree {
        ($case:expr, |$real:ident, $out:ident| $formula:expr) => {{
            let narrow = {
                type $real = f64;
                let mut $out = Vec::new();
                $formula;
                $out
            };
            let wide = {
                type $real = Big;
                let mut $out = Vec::new();
                $formula;
                $out
            };
            assert_eq!(narrow.len(), wide.len());
            for (narrow, wide) in narrow.iter().zip(&wide) {
                let (value, exact) = (narrow.value, wide.value.to_f64());
                let size = exact.abs() + narrow.operands.unwrap_or(0.0);
                let allowed = 2.0_f64.powi(-34) * size + 1e-48;
                assert!(
                    (value - exact).abs() <= allowed,
                    "{}: {value:e}, {exact:e}",
                    $case
                );
            }
        }};
    }

    #[test]
    fn both_kinds_of_exact_results_agree() {
        let mut random = sample::random(1, 0);
        for i in 0..3000 {
            let region = [Region::Right, Region::Wrong, Region::Soft][i % 3];
            let of = |(prediction, target): (f32, f32)| (f64::from(prediction), f64::from(target));
            let (x, t) = of(sample::binary_logit(region, &mut random));
            let case = format!("{x:e} for {t:e}");
            assert_kinds_agree!(case, |R, out| {
                let options = Options {
                    pos_weight: R::of(2.5),
                    smoothing: R::of(0.125),
                };
                binary_crossentropy_with_logits(R::of(x), R::of(t), options, &mut out);
            });
            assert_kinds_agree!(case, |R, out| {
                log_sigmoid(R::of(x), R::of(3.0), &mut out);
                sigmoid(R::of(x), R::of(3.0), &mut out);
            });
            assert_kinds_agree!(case, |R, out| {
                let row = [Some(R::of(x)), Some(R::of(0.25)), None, Some(R::of(-1.0))];
                let softmax = Softmax::new(&row);
                softmax.crossentropy(Wanted::Label(0), R::zero(), &mut out);
                softmax.log_sum_exp(R::of(2.0), &mut out);
            });
            let (p, t) = of(sample::binary_probability(region, &mut random));
            let case = format!("{p:e} for {t:e}");
            assert_kinds_agree!(case, |R, out| {
                binary_crossentropy(R::of(p), R::of(t), &mut out);
                let conventions = (Scores::Probabilities, BinaryLabels::ZeroOne);
                binary_hinge_loss(R::of(p), R::of(t), R::of(30.0), conventions, &mut out);
            });
        }
    }
}
