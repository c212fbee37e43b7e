//! New arrays, written once: one that is allocated with zeros is written twice, and the first time by one thread, where
//! the allocator reuses memory. Memory fresh from the system holds zeros already.

use std::ops::Range;

use super::elementwise::{AT_ONCE, Spanning, to_floats};
use super::parallel;
use super::simd::Lines;
use super::span::{Span, SpanKernel, Stream, WeightStream};
use crate::BinaryLabels;
use crate::float::{Float, Target};

/// How many elements of those that several threads compute are copied at once to where they stay.
const BLOCK: usize = 1024;

/// From so many bytes on the usual allocators give memory from the system.
const FROM_THE_SYSTEM: usize = 1 << 25;

/// What is computed of every element.
#[derive(Clone, Copy)]
pub(crate) enum Output {
    Loss,
    Gradient,
}

/// Whether an array of so many elements is better made this way than of zeros.
pub(crate) fn pays<F>(size: usize) -> bool {
    size.saturating_mul(size_of::<F>()) < FROM_THE_SYSTEM
}

/// Contiguous inputs of a new array.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a, F, T> {
    pub(crate) predictions: &'a [F],
    pub(crate) targets: Stream<'a, T>,
    /// How `bool` targets are written as numbers.
    pub(crate) pair: Option<BinaryLabels>,
}

impl<F: Float, T: Target<F>> Inputs<'_, F, T> {
    /// The losses or the gradients, in their order; `None` if there is no room for them.
    pub(crate) fn collect(
        self,
        output: Output,
        kernel: &dyn SpanKernel<F>,
        cost: f32,
    ) -> Option<Vec<F>> {
        let size = self.predictions.len();
        let mut values = if size > parallel::grain(size, cost) {
            self.in_parallel(output, kernel)?
        } else {
            with_room(size)?
        };
        let rest = self.part(values.len()..size);
        rest.append(&mut values, output, kernel);
        Some(values)
    }

    /// Those of all whole blocks, and room for what is left.
    fn in_parallel(self, output: Output, kernel: &dyn SpanKernel<F>) -> Option<Vec<F>> {
        let blocks = self.predictions.len() / BLOCK;
        let mut values = with_room(blocks + 1)?;
        parallel::collect(blocks, &mut values, |index| {
            let mut block = [F::zero(); BLOCK]; // not in `Lines`, out of which it would be copied once more
            let part = self.part(index * BLOCK..(index + 1) * BLOCK);
            part.fill(&mut block, output, kernel);
            block
        });
        Some(values.into_flattened())
    }

    fn part(self, part: Range<usize>) -> Self {
        Self {
            predictions: &self.predictions[part.clone()],
            targets: self.targets.part(part),
            pair: self.pair,
        }
    }

    fn fill(self, block: &mut [F], output: Output, kernel: &dyn SpanKernel<F>) {
        let (loss, gradient) = match output {
            Output::Loss => (Some(block), None),
            Output::Gradient => (None, Some(block)),
        };
        let span = Span {
            size: self.predictions.len(),
            predictions: Some(self.predictions),
            targets: self.targets,
            weights: WeightStream::None,
            loss,
            gradient,
        };
        Spanning::new(span, self.pair, kernel).leaf();
    }

    fn append(self, values: &mut Vec<F>, output: Output, kernel: &dyn SpanKernel<F>) {
        let Self {
            predictions,
            targets,
            pair,
        } = self;
        let targets = match targets {
            Stream::Constant(target) => Stream::Constant(target.to_float(pair)),
            Stream::Slice(targets) => match T::as_floats(targets) {
                Some(floats) => Stream::Slice(floats),
                None => {
                    let mut room = Lines([F::zero(); AT_ONCE]);
                    let pieces = predictions.chunks(AT_ONCE).zip(targets.chunks(AT_ONCE));
                    for (predictions, targets) in pieces {
                        let floats = Stream::Slice(to_floats(targets, pair, &mut room));
                        kernel.append(values, output, predictions, floats);
                    }
                    return;
                }
            },
        };
        kernel.append(values, output, predictions, targets);
    }
}

fn with_room<T>(size: usize) -> Option<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(size).ok()?;
    Some(values)
}
