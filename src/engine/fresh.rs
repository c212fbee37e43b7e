//! New arrays, written once: one that is allocated with zeros is written twice, and the first time by one thread, where
//! the allocator reuses memory. Memory fresh from the system holds zeros already.
//!
//! One thread appends to a vector. Several fill blocks of their own, which rayon collects.

#[cfg(feature = "rayon")]
mod several;

use super::elementwise::{AT_ONCE, to_floats};
use super::parallel;
use super::reduce::Lanes;
use super::simd::Lines;
use super::span::{Job, Span, SpanKernel, Stream, WeightStream};
use crate::float::{Float, Target};

/// From so many bytes on the usual allocators give memory from the system.
const FROM_THE_SYSTEM: usize = 1 << 25;

/// What is computed of every element.
#[derive(Clone, Copy)]
pub enum Output {
    Losses,
    Gradients,
}

/// Whether arrays of so many elements are better made this way than of zeros.
pub(crate) fn pays<F>(size: usize) -> bool {
    size.saturating_mul(size_of::<F>()) < FROM_THE_SYSTEM
}

/// Contiguous inputs of new arrays.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a, 'k, F, T> {
    pub(crate) kernel: &'k dyn SpanKernel<F>,
    pub(crate) predictions: &'a [F],
    pub(crate) targets: Stream<'a, T>,
}

impl<F: Float, T: Target<F>> Inputs<'_, '_, F, T> {
    /// The losses or the gradients, in their order; `None` if there is no room for them.
    pub(crate) fn one(self, output: Output) -> Option<Vec<F>> {
        let mut values = self.begin_one(output)?;
        let rest = self.part(values.len(), self.predictions.len());
        values.try_reserve_exact(rest.predictions.len()).ok()?;
        rest.in_floats(|inputs| inputs.append(&mut values, output));
        Some(values)
    }

    /// Whether several threads work on it: one alone writes zeros as quickly as it appends to two vectors.
    pub(crate) fn is_for_several(&self) -> bool {
        let size = self.predictions.len();
        size > parallel::grain(size, self.kernel.cost())
    }

    /// The losses and the gradients.
    pub(crate) fn both(self) -> Option<(Vec<F>, Vec<F>)> {
        let size = self.predictions.len();
        let (mut losses, mut gradients) = self.begin_both()?;
        for values in [&mut losses, &mut gradients] {
            values.try_reserve_exact(size - values.len()).ok()?;
        }
        let rest = self.part(losses.len(), size);
        rest.in_floats(|inputs| {
            let start = losses.len();
            for values in [&mut losses, &mut gradients] {
                values.resize(start + inputs.predictions.len(), F::zero());
            }
            inputs.compute(Some(&mut losses[start..]), Some(&mut gradients[start..]));
        });
        Some((losses, gradients))
    }

    #[cfg(not(feature = "rayon"))]
    fn begin_one(self, _: Output) -> Option<Vec<F>> {
        Some(Vec::new())
    }

    #[cfg(not(feature = "rayon"))]
    fn begin_both(self) -> Option<(Vec<F>, Vec<F>)> {
        Some((Vec::new(), Vec::new()))
    }

    /// Those from `start` to `end`.
    fn part(self, start: usize, end: usize) -> Self {
        Self {
            predictions: &self.predictions[start..end],
            targets: match self.targets {
                Stream::Slice(targets) => Stream::Slice(&targets[start..end]),
                constant @ Stream::Constant(_) => constant,
            },
            ..self
        }
    }

    /// Hands over the same with targets that are floats: all at once or, where they have to be converted, one after the
    /// other up to [`AT_ONCE`].
    fn in_floats(self, mut work: impl FnMut(Inputs<'_, '_, F, F>)) {
        let Self {
            kernel,
            predictions,
            targets,
        } = self;
        let pair = kernel.labels();
        let floats = match targets {
            Stream::Constant(target) => Stream::Constant(target.to_float(pair)),
            Stream::Slice(targets) => match T::as_floats(targets) {
                Some(floats) => Stream::Slice(floats),
                None => {
                    let mut room = Lines([F::zero(); AT_ONCE]);
                    let pieces = predictions.chunks(AT_ONCE).zip(targets.chunks(AT_ONCE));
                    for (predictions, targets) in pieces {
                        work(Inputs {
                            kernel,
                            predictions,
                            targets: Stream::Slice(to_floats(targets, pair, &mut room)),
                        });
                    }
                    return;
                }
            },
        };
        work(Inputs {
            kernel,
            predictions,
            targets: floats,
        });
    }
}

impl<F: Float> Inputs<'_, '_, F, F> {
    /// Appends the losses or the gradients to a vector that has room for them.
    fn append(self, to: &mut Vec<F>, output: Output) {
        self.kernel
            .append(to, output, self.predictions, self.targets);
    }

    /// Fills slices of losses and gradients.
    fn compute(self, loss: Option<&mut [F]>, gradient: Option<&mut [F]>) {
        let span = Span {
            size: self.predictions.len(),
            predictions: Some(self.predictions),
            targets: self.targets,
            weights: WeightStream::None,
            loss,
            gradient,
        };
        let mut nothing = Lanes::ZERO;
        self.kernel.run(Job::each(), span, &mut nothing);
    }
}
