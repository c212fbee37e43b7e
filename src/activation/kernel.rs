//! Activations along the classes, as kernels: their arithmetic in rows of logits.

use crate::Float;
use crate::engine::reduce::Lanes;
use crate::engine::rows::{
    AnyRowKernel, Dense, Group, GroupTargets, ItemKernel, Part, ROWS, Room, Row, RowKernel,
    RowTarget, transpose, transpose_back, update,
};
use crate::itemwise::softmax::{self, Maxima, Summary};

/// What an element of the result needs to know of its row.
#[derive(Clone, Copy)]
pub(super) struct Known<F> {
    summary: Summary<F>,
    /// Σ softmax(x)·g, or Σ g.
    dot: F,
}

/// A function of a row of logits: its "gradient" is the result, its "targets" the cotangent.
///
/// One type each, no enumeration: what is asked of it element by element would be a jump for each of them. All functions
/// have to be `#[inline(always)]`.
pub(super) trait Activation: Copy + Send + Sync + 'static {
    /// Whether something is added up over a row first.
    const SUMS_UP: bool = false;

    /// One element of the result.
    fn element<F: Float>(known: &Known<F>, logit: F, term: F, cotangent: F) -> F;

    /// What is added up over a row.
    #[inline(always)]
    fn part<F: Float>(_probability: F, _cotangent: F) -> F {
        F::zero()
    }
}

/// The softmax; beside it, as the row's value, the logarithm of the sum of the exponentials.
#[derive(Clone, Copy)]
pub(super) struct Softmax;

impl Activation for Softmax {
    #[inline(always)]
    fn element<F: Float>(known: &Known<F>, _logit: F, term: F, _cotangent: F) -> F {
        known.probability(term)
    }
}

#[derive(Clone, Copy)]
pub(super) struct LogSoftmax;

impl Activation for LogSoftmax {
    #[inline(always)]
    fn element<F: Float>(known: &Known<F>, logit: F, _term: F, _cotangent: F) -> F {
        (logit - known.summary.maximum) - known.summary.log
    }
}

#[derive(Clone, Copy)]
pub(super) struct SoftmaxVjp;

impl Activation for SoftmaxVjp {
    const SUMS_UP: bool = true;

    #[inline(always)]
    fn element<F: Float>(known: &Known<F>, _logit: F, term: F, cotangent: F) -> F {
        known.probability(term) * (cotangent - known.dot)
    }

    #[inline(always)]
    fn part<F: Float>(probability: F, cotangent: F) -> F {
        probability * cotangent
    }
}

#[derive(Clone, Copy)]
pub(super) struct LogSoftmaxVjp;

impl Activation for LogSoftmaxVjp {
    const SUMS_UP: bool = true;

    #[inline(always)]
    fn element<F: Float>(known: &Known<F>, _logit: F, term: F, cotangent: F) -> F {
        (-known.probability(term)).mul_add(known.dot, cotangent)
    }

    #[inline(always)]
    fn part<F: Float>(_probability: F, cotangent: F) -> F {
        cotangent
    }
}

impl<F: Float> Known<F> {
    #[inline(always)]
    fn probability(&self, term: F) -> F {
        term * self.summary.inverse
    }

    /// ln Σ e^x, the limits included.
    #[inline(always)]
    fn log_sum(&self) -> F {
        let Summary { maximum, log, .. } = self.summary;
        // ±∞ alone determine it; a NaN does not get here as a maximum.
        if maximum.is_finite() {
            maximum + log
        } else {
            maximum
        }
    }
}

/// An activation as a kernel.
#[derive(Clone, Copy)]
pub(super) struct AlongClasses<A>(pub(super) A);

impl<F: Float, A: Activation> ItemKernel<F> for AlongClasses<A> {
    const MIN_CLASSES: usize = 1;
    const DENSE: Dense = Dense::Distribution;

    fn cost(&self) -> f32 {
        0.8
    }
    fn arithmetic(&self) -> &dyn AnyRowKernel<F> {
        self
    }
}

/// Whether there is a NaN among the logits.
struct Nans {
    any: bool,
}

impl<F: Float> softmax::Visit<F> for Nans {
    #[inline(always)]
    fn visit(&mut self, _part: Part, _maximum: F, _narrow: bool, logits: &[F]) {
        self.any |= logits.iter().fold(false, |any, x| any | x.is_nan());
    }
}

impl<F: Float, A: Activation> RowKernel<F> for AlongClasses<A> {
    #[inline(always)]
    fn group(self, mut group: Group<'_, F>) {
        let panel = &mut group.panel[..group.classes];
        let second = &mut group.target_panel[..group.classes];
        transpose(group.scores, panel);
        // The cotangents, or the logits again.
        match group.targets {
            GroupTargets::Dense(cotangents) => transpose(cotangents, second),
            GroupTargets::Labels(_) => second.copy_from_slice(panel),
        }
        // 1 for a row with a NaN: as wide as the lanes.
        let mut has_nan = [F::zero(); ROWS];
        for scores in panel.iter() {
            for i in 0..ROWS {
                has_nan[i] = update(scores[i].is_nan(), F::one(), has_nan[i]);
            }
        }
        let summary = softmax::group(panel, Maxima::of(panel));
        let (mut dots, mut rests) = ([0.0; ROWS], [0.0; ROWS]);
        if A::SUMS_UP {
            for (terms, others) in panel.iter().zip(second.iter()) {
                for i in 0..ROWS {
                    let probability = terms[i] * summary.row(i).inverse;
                    let part = A::part(probability, others[i]);
                    F::add_to(&mut dots[i], &mut rests[i], part);
                }
            }
        }
        let mut dot = [F::zero(); ROWS];
        for i in 0..ROWS {
            dot[i] = F::narrow(dots[i] + rests[i]);
            let known = Known {
                summary: summary.row(i),
                dot: dot[i],
            };
            let log_sum = known.log_sum();
            group.losses[i] = if has_nan[i] > F::zero() {
                F::nan()
            } else {
                log_sum
            };
        }
        if let Some(out) = group.gradient.as_deref_mut() {
            for (terms, others) in panel.iter_mut().zip(second.iter()) {
                for i in 0..ROWS {
                    let known = Known {
                        summary: summary.row(i),
                        dot: dot[i],
                    };
                    let value = A::element(&known, others[i], terms[i], others[i]);
                    terms[i] = value * group.coefficients[i];
                }
            }
            transpose_back(panel, out);
        }
        softmax::wide_rows(self, &mut group, &summary.wide);
    }

    #[inline(always)]
    fn row(
        self,
        mut row: Row<'_, F>,
        target: RowTarget<'_, F>,
        coefficient: F,
        room: &mut Room<F>,
    ) -> F {
        let zero = F::zero();
        let mut lowest = F::neg_infinity();
        let mut nans = Nans { any: false };
        let known = softmax::row(&mut row, room, &mut nans);
        let mut has_nan = nans.any;
        let Some(known) = known else {
            row.fill(F::nan());
            for part in row.parts() {
                for &x in row.scores(part, F::neg_infinity(), &mut room.scores) {
                    lowest = if x.is_nan() || x > lowest { x } else { lowest };
                    has_nan |= x.is_nan();
                }
            }
            return if has_nan { F::nan() } else { lowest };
        };
        let summary = known.summary;
        let mut of_row = Known { summary, dot: zero };
        if row.wants_gradient() {
            if let (true, RowTarget::Dense(target)) = (A::SUMS_UP, target) {
                let mut lanes = Lanes::ZERO;
                let lanes = lanes.in_memory();
                for part in row.parts() {
                    let cotangents = target.part(part, &mut room.targets);
                    let products = &mut room.values[..part.len];
                    let terms = row.gradient(part, zero, &mut room.gradient);
                    let inputs = terms.iter().zip(cotangents);
                    for (product, (&term, &cotangent)) in products.iter_mut().zip(inputs) {
                        *product = A::part(term * summary.inverse, cotangent);
                    }
                    if let Some(offset) = part.offset_of(known.maximal) {
                        let probability = known.maximal_term * summary.inverse;
                        products[offset] = A::part(probability, cotangents[offset]);
                    }
                    F::accumulate(lanes, products);
                }
                of_row.dot = F::narrow(lanes.total().value());
            }
            for part in row.parts() {
                let cotangents = match &target {
                    RowTarget::Dense(target) => target.part(part, &mut room.targets),
                    RowTarget::Label(_) => &room.targets[..part.len],
                };
                let (logits, out) =
                    row.scores_and_gradient_mut(part, &mut room.scores, &mut room.gradient);
                let inputs = logits.iter().zip(cotangents);
                for (out, (&logit, &cotangent)) in out.iter_mut().zip(inputs) {
                    *out = A::element(&of_row, logit, *out, cotangent) * coefficient;
                }
                if let Some(offset) = part.offset_of(known.maximal) {
                    let (logit, term) = (logits[offset], known.maximal_term);
                    let value = A::element(&of_row, logit, term, cotangents[offset]);
                    out[offset] = value * coefficient;
                }
                row.flush(part, &room.gradient);
            }
        }
        if has_nan { F::nan() } else { of_row.log_sum() }
    }
}
