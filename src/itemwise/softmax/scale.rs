//! How the terms of a row that comes singly are computed.

use std::ops::Range;

use crate::Float;
use crate::engine::reduce::{LANES, Lanes, STRIPE};
use crate::engine::rows::{spans, update};
use crate::math::{Elementary, exp_difference, exp_scaled, exponent_offset};

/// How the terms of a row are computed.
#[derive(Clone, Copy)]
pub(super) enum Scale<F: Float> {
    Narrow(NarrowScale<F>),
    Wide { maximum: F },
}

impl<F: Float> Scale<F> {
    /// `None` for a row without a finite maximum.
    #[inline(always)]
    pub(super) fn of(maximum: F) -> Option<Self> {
        if !maximum.is_finite() {
            None
        } else if maximum.abs() < F::SCALED_LIMIT {
            Some(Self::Narrow(NarrowScale {
                floor: maximum - F::SCALED_FLOOR,
                offset: exponent_offset(maximum),
            }))
        } else {
            Some(Self::Wide { maximum })
        }
    }

    #[inline(always)]
    pub(super) fn term(self, logit: F) -> F {
        match self {
            Self::Narrow(scale) => scale.term(logit),
            Self::Wide { maximum } => exp_difference(logit, maximum),
        }
    }
}

/// How they are where no difference to the maximum overflows.
#[derive(Clone, Copy)]
pub(crate) struct NarrowScale<F: Float> {
    pub(super) floor: F,
    pub(super) offset: <F as Elementary>::Exponent,
}

impl<F: Float> NarrowScale<F> {
    #[inline(always)]
    pub(crate) fn term(self, logit: F) -> F {
        exp_scaled(logit, self.floor, self.offset)
    }

    #[inline(always)]
    pub(super) fn each_term(self, logits: &[F], terms: &mut [F]) {
        let (most, last) = spans(terms.len());
        if let Some(span) = last {
            self.span_of_terms(span, logits, terms);
        }
        self.span_of_terms(most, logits, terms);
    }

    #[inline(always)]
    fn span_of_terms(self, span: Range<usize>, logits: &[F], terms: &mut [F]) {
        for (term, &x) in terms[span.clone()].iter_mut().zip(&logits[span]) {
            *term = self.term(x);
        }
    }

    /// The terms of a part, with 0 at the maximal class, and what they add up to, as [`Lanes::add_stripes`] has it, while
    /// they are at hand.
    #[inline(always)]
    pub(super) fn each_term_and_sum(
        self,
        logits: &[F],
        terms: &mut [F],
        maximal: Option<usize>,
        lanes: &mut Lanes,
    ) {
        let maximal = maximal.unwrap_or(usize::MAX);
        let whole = terms.len() - terms.len() % STRIPE;
        if whole < terms.len() {
            // Before the stripes, since it may overlap them.
            let start = terms.len().saturating_sub(STRIPE);
            self.each_term(&logits[start..], &mut terms[start..]);
            if maximal >= whole
                && let Some(term) = terms.get_mut(maximal)
            {
                *term = F::zero();
            }
        }
        let mut sums = lanes.running();
        let (stripes, _) = logits.as_chunks();
        let (outputs, _) = terms.as_chunks_mut();
        for (index, (x, to)) in stripes.iter().zip(outputs).enumerate() {
            let of_stripe = if index == maximal / STRIPE {
                self.stripe::<true>(x, to, maximal % STRIPE)
            } else {
                self.stripe::<false>(x, to, 0)
            };
            sums.add(&of_stripe);
        }
        sums.add_rest(terms);
        *lanes = sums;
    }

    /// The terms of a stripe, 0 at `maximal` if that is in it, and the sums of each lane.
    #[inline(always)]
    fn stripe<const HAS_MAXIMAL: bool>(
        self,
        x: &[F; STRIPE],
        to: &mut [F; STRIPE],
        maximal: usize,
    ) -> [F; LANES] {
        let zero = F::zero();
        // An array of its own, which stays in registers: `to` might overlap the logits, as the compiler sees it.
        let (mut terms, mut sums) = ([zero; STRIPE], [zero; LANES]);
        for i in 0..LANES {
            let mut a = self.term(x[i]);
            let mut b = self.term(x[i + LANES]);
            let mut c = self.term(x[i + 2 * LANES]);
            let mut d = self.term(x[i + 3 * LANES]);
            if HAS_MAXIMAL {
                a = update(i == maximal, zero, a);
                b = update(i + LANES == maximal, zero, b);
                c = update(i + 2 * LANES == maximal, zero, c);
                d = update(i + 3 * LANES == maximal, zero, d);
            }
            terms[i] = a;
            terms[i + LANES] = b;
            terms[i + 2 * LANES] = c;
            terms[i + 3 * LANES] = d;
            sums[i] = (a + b) + (c + d);
        }
        *to = terms;
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_add_up_as_they_would_later() {
        let scale = NarrowScale::<f32> {
            floor: 13.0 - f32::SCALED_FLOOR,
            offset: exponent_offset(13.0_f32),
        };
        for len in [32, 33, 63, 64, 65, 96, 100, 127, 128, 171, 256] {
            let logits: Vec<f32> = (0..len).map(|i| ((i * 37) % 101) as f32 * 0.13).collect();
            for maximal in (0..len).map(Some).chain([None]) {
                let mut expected: Vec<f32> = logits.iter().map(|&x| scale.term(x)).collect();
                if let Some(maximal) = maximal {
                    expected[maximal] = 0.0;
                }
                let mut sum = Lanes::ZERO;
                sum.add_stripes(&expected);
                let mut terms = vec![f32::NAN; len];
                let mut lanes = Lanes::ZERO;
                scale.each_term_and_sum(&logits, &mut terms, maximal, &mut lanes);
                assert_eq!(terms, expected, "{maximal:?} of {len}");
                assert_eq!(lanes.total(), sum.total(), "{maximal:?} of {len}");
            }
        }
    }
}
