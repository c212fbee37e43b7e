//! The terms of a softmax, for the loss and for the activations that rest on it.
//!
//! A row of logits x with its maximum m at class j gives terms eₓ = e^(x − m'), with m' = ln 2 · round(m·log₂ e), times
//! a fixed power of two: x − m, which would round, is never formed (see [`exp_scaled`]). The sum of all terms but that
//! of the maximum is kept apart, since it is what a confident row depends on:
//!
//! ```text
//! ln Σ e^x − m = log1p(others / e_m)          softmax(x)ⱼ − 1 = −(sum of the others) / Σ
//! ```

use crate::Float;
use crate::engine::reduce::Lanes;
use crate::engine::rows::{
    DenseTarget, Group, GroupTargets, Part, ROWS, Room, Row, RowKernel, RowTarget, largest,
    position, update,
};
use crate::math::{Elementary, exp_difference, exp_scaled, exponent_offset, ln_1p};

/// What is known of a row once all its terms are.
#[derive(Clone, Copy)]
pub(crate) struct Summary<F> {
    /// The largest logit.
    pub(crate) maximum: F,
    /// The sum of the terms but one of the largest.
    pub(crate) others: F,
    /// The sum of all.
    pub(crate) sum: F,
    pub(crate) inverse: F,
    /// ln Σ e^(x − m)
    pub(crate) log: F,
}

impl<F: Float> Summary<F> {
    #[inline(always)]
    fn new(maximum: F, others: f64, maximal_term: F) -> Self {
        let maximal_term = maximal_term.widen();
        // No finite maximum: all −∞, or one +∞.
        let others = if maximum.is_finite() {
            others
        } else {
            f64::NAN
        };
        let sum = others + maximal_term;
        Self {
            maximum,
            others: F::narrow(others),
            sum: F::narrow(sum),
            inverse: F::narrow(1.0 / sum),
            log: ln_1p(F::narrow(others / maximal_term)),
        }
    }

    /// The sum of all terms but this one, of which `is_maximal` says whether it is that of the maximum.
    #[inline(always)]
    fn others_of(&self, term: F, is_maximal: bool) -> F {
        let rest = self.sum - term;
        if is_maximal { self.others } else { rest }
    }

    /// −softmax(x) of the others: ∂(−ln softmax(x)ⱼ)/∂xⱼ.
    #[inline(always)]
    pub(crate) fn derivative_at_label(&self, term: F, is_maximal: bool) -> F {
        (F::zero() - self.others_of(term, is_maximal)) * self.inverse
    }

    /// ∂/∂xⱼ of −Σ t ln softmax(x), for the total T of the targets: T·softmax(x)ⱼ − tⱼ.
    #[inline(always)]
    pub(crate) fn derivative(&self, term: F, target: F, total: F, is_maximal: bool) -> F {
        ((total - target) * term - target * self.others_of(term, is_maximal)) * self.inverse
    }
}

/// The summaries of a group of short rows, one lane a row.
pub(crate) struct GroupSummary<F> {
    maximum: [F; ROWS],
    others: [F; ROWS],
    sum: [F; ROWS],
    inverse: [F; ROWS],
    log: [F; ROWS],
    /// The first class with the largest logit.
    pub(crate) maximal: [F; ROWS],
    /// Whether the row has to go through [`row`], alone.
    pub(crate) wide: [bool; ROWS],
}

impl<F: Float> GroupSummary<F> {
    #[inline(always)]
    pub(crate) fn row(&self, i: usize) -> Summary<F> {
        Summary {
            maximum: self.maximum[i],
            others: self.others[i],
            sum: self.sum[i],
            inverse: self.inverse[i],
            log: self.log[i],
        }
    }
}

/// The largest logits of a group, one lane a row.
pub(crate) struct Maxima<F> {
    pub(crate) maximum: [F; ROWS],
    /// The first class that has it.
    maximal: [F; ROWS],
}

impl<F: Float> Maxima<F> {
    #[inline(always)]
    pub(crate) fn of(panel: &[[F; ROWS]]) -> Self {
        let mut maximum = [F::neg_infinity(); ROWS];
        let mut maximal = [F::zero(); ROWS];
        let mut class = F::zero();
        for scores in panel {
            for i in 0..ROWS {
                let greater = scores[i] > maximum[i];
                maximum[i] = update(greater, scores[i], maximum[i]);
                maximal[i] = update(greater, class, maximal[i]);
            }
            class += F::one();
        }
        Self { maximum, maximal }
    }
}

/// Sums up a group, and turns its scores into terms.
#[inline(always)]
pub(crate) fn group<F: Float>(panel: &mut [[F; ROWS]], maxima: Maxima<F>) -> GroupSummary<F> {
    let (zero, one) = (F::zero(), F::one());
    let Maxima { maximum, maximal } = maxima;
    let mut wide = [false; ROWS];
    let mut offsets = [exponent_offset(zero); ROWS];
    let mut floors = [zero; ROWS];
    for i in 0..ROWS {
        let fits = maximum[i].abs() < F::SCALED_LIMIT;
        offsets[i] = exponent_offset(if fits { maximum[i] } else { zero });
        floors[i] = maximum[i] - F::SCALED_FLOOR;
    }
    for i in 0..ROWS {
        wide[i] = maximum[i].is_finite() && maximum[i].abs() >= F::SCALED_LIMIT;
    }
    let mut sums = [0.0; ROWS];
    let mut rests = [0.0; ROWS];
    let mut maximal_term = [one; ROWS];
    let mut class = zero;
    for scores in panel.iter_mut() {
        let mut others = [zero; ROWS];
        for i in 0..ROWS {
            let term = exp_scaled(scores[i], floors[i], offsets[i]);
            let is_maximal = maximal[i] == class;
            scores[i] = term;
            maximal_term[i] = update(is_maximal, term, maximal_term[i]);
            others[i] = if is_maximal { zero } else { term };
        }
        for i in 0..ROWS {
            F::add_to(&mut sums[i], &mut rests[i], others[i]);
        }
        class += one;
    }
    let mut summary = GroupSummary {
        maximum,
        others: [zero; ROWS],
        sum: [zero; ROWS],
        inverse: [zero; ROWS],
        log: [zero; ROWS],
        maximal,
        wide,
    };
    for i in 0..ROWS {
        let row = Summary::new(maximum[i], sums[i] + rests[i], maximal_term[i]);
        summary.others[i] = row.others;
        summary.sum[i] = row.sum;
        summary.inverse[i] = row.inverse;
        summary.log[i] = row.log;
    }
    summary
}

/// What is known of one row once its terms are written to its gradient.
pub(crate) struct RowSummary<F: Float> {
    pub(crate) summary: Summary<F>,
    /// The first class with the largest logit.
    pub(crate) maximal: usize,
    pub(crate) maximal_term: F,
    scale: Scale<F>,
}

/// How the terms of a row are computed.
#[derive(Clone, Copy)]
enum Scale<F: Float> {
    Narrow {
        floor: F,
        offset: <F as Elementary>::Exponent,
    },
    Wide {
        maximum: F,
    },
}

impl<F: Float> RowSummary<F> {
    /// The term of a logit of this row.
    #[inline(always)]
    pub(crate) fn term(&self, logit: F) -> F {
        self.scale.term(logit)
    }
}

impl<F: Float> Scale<F> {
    #[inline(always)]
    fn term(self, logit: F) -> F {
        match self {
            Self::Narrow { floor, offset } => exp_scaled(logit, floor, offset),
            Self::Wide { maximum } => exp_difference(logit, maximum),
        }
    }
}

/// What else is done with every part of the logits of a row, while it is at hand.
///
/// No closure, which would be compiled for the least processor where it is not inlined.
pub(crate) trait Visit<F> {
    /// The maximum is that of the row; `narrow` says that no difference to it overflows. All implementations have to be
    /// `#[inline(always)]`.
    fn visit(&mut self, part: Part, maximum: F, narrow: bool, logits: &[F]);
}

impl<F> Visit<F> for () {
    #[inline(always)]
    fn visit(&mut self, _part: Part, _maximum: F, _narrow: bool, _logits: &[F]) {}
}

/// Sums up a row; if it wants a gradient, its terms are written there, 0 for that of the maximum.
///
/// `None` for a row without a finite maximum. `visitor` sees every part of the logits.
#[inline(always)]
pub(crate) fn row<F: Float>(
    row: &mut Row<'_, F>,
    room: &mut Room<F>,
    visitor: &mut impl Visit<F>,
) -> Option<RowSummary<F>> {
    let (zero, lowest) = (F::zero(), F::neg_infinity());
    let mut maximum = lowest;
    let mut maximal_part = None;
    for part in row.parts() {
        let largest = largest(row.scores(part, lowest, &mut room.scores));
        if largest > maximum {
            (maximum, maximal_part) = (largest, Some(part));
        }
    }
    let maximal_part = maximal_part.filter(|_| maximum.is_finite())?;
    let maximal = {
        let scores = row.scores(maximal_part, lowest, &mut room.scores);
        maximal_part.start + position(scores, maximum)?
    };
    let narrow = maximum.abs() < F::SCALED_LIMIT;
    let scale = if narrow {
        Scale::Narrow {
            floor: maximum - F::SCALED_FLOOR,
            offset: exponent_offset(maximum),
        }
    } else {
        Scale::Wide { maximum }
    };
    let mut lanes = Lanes::ZERO;
    let lanes = lanes.in_memory();
    for part in row.parts() {
        let (scores, terms) =
            row.scores_and_gradient(part, lowest, &mut room.scores, &mut room.gradient);
        visitor.visit(part, maximum, narrow, scores);
        match scale {
            Scale::Narrow { floor, offset } => {
                for (term, &x) in terms.iter_mut().zip(scores) {
                    *term = exp_scaled(x, floor, offset);
                }
            }
            Scale::Wide { maximum } => {
                for (term, &x) in terms.iter_mut().zip(scores) {
                    *term = exp_difference(x, maximum);
                }
            }
        }
        if let Some(offset) = part.offset_of(maximal) {
            terms[offset] = zero;
        }
        F::accumulate_terms(lanes, terms, &mut room.sums);
        row.flush(part, &room.gradient);
    }
    let maximal_term = scale.term(maximum);
    Some(RowSummary {
        summary: Summary::new(maximum, lanes.total().value(), maximal_term),
        maximal,
        maximal_term,
        scale,
    })
}

/// Does the wide rows of a group alone, by the kernel's way for long rows.
#[inline(always)]
pub(crate) fn wide_rows<F: Float, K: RowKernel<F>>(
    kernel: K,
    group: &mut Group<'_, F>,
    wide: &[bool; ROWS],
) {
    // without an early exit, so that it vectorises
    if wide.iter().fold(false, |any, &wide| any | wide) {
        for r in (0..ROWS).filter(|&r| wide[r]) {
            single_row(kernel, group, r);
        }
    }
}

#[cold]
fn single_row<F: Float, K: RowKernel<F>>(kernel: K, group: &mut Group<'_, F>, r: usize) {
    let span = r * group.classes..(r + 1) * group.classes;
    let Some(scores) = group.scores.get(span.clone()) else {
        return;
    };
    let gradient = group.gradient.as_deref_mut();
    let row = Row::of_slices(scores, gradient.and_then(|rows| rows.get_mut(span.clone())));
    let coefficient = group.coefficients[r];
    let room = &mut Room::new();
    group.losses[r] = match group.targets {
        GroupTargets::Labels(labels) => {
            kernel.row(row, RowTarget::Label(labels[r]), coefficient, room)
        }
        GroupTargets::Dense(rows) => {
            let targets = rows.get(span).unwrap_or_default();
            kernel.row(
                row,
                RowTarget::Dense(DenseTarget::Slice(targets)),
                coefficient,
                room,
            )
        }
    };
}
