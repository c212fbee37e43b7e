//! New arrays, written once: one that is allocated with zeros is written twice, and the first time by one thread, where
//! the allocator reuses memory. Memory fresh from the system holds zeros already, and several threads can only write
//! what is there.

use super::elementwise::{AT_ONCE, to_floats};
use super::parallel;
use super::simd::Lines;
use super::span::{SpanKernel, Stream};
use crate::float::{Float, Target};

/// From so many bytes on the usual allocators give memory from the system.
const FROM_THE_SYSTEM: usize = 1 << 25;

/// What a thread has to gain, in nanoseconds an element, to make up for the zeros that another one writes first.
const ZEROS: f32 = 0.3;

/// What is computed of every element.
#[derive(Clone, Copy)]
pub enum Output {
    Loss,
    Gradient,
}

/// Whether an array of so many elements, each of which takes `cost` nanoseconds, is better made this way than of zeros.
pub(crate) fn pays<F>(size: usize, cost: f32) -> bool {
    let by_one_thread = size <= parallel::grain(size, cost - ZEROS);
    by_one_thread && size.saturating_mul(size_of::<F>()) < FROM_THE_SYSTEM
}

/// Contiguous inputs of a new array.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a, F, T> {
    pub(crate) predictions: &'a [F],
    pub(crate) targets: Stream<'a, T>,
}

impl<F: Float, T: Target<F>> Inputs<'_, F, T> {
    /// The losses or the gradients, in their order; `None` if there is no room for them.
    pub(crate) fn collect(self, output: Output, kernel: &dyn SpanKernel<F>) -> Option<Vec<F>> {
        let Self {
            predictions,
            targets,
        } = self;
        let pair = kernel.labels();
        let mut values = Vec::new();
        values.try_reserve_exact(predictions.len()).ok()?;
        let targets = match targets {
            Stream::Constant(target) => Stream::Constant(target.to_float(pair)),
            Stream::Slice(targets) => match T::as_floats(targets) {
                Some(floats) => Stream::Slice(floats),
                None => {
                    let mut room = Lines([F::zero(); AT_ONCE]);
                    let pieces = predictions.chunks(AT_ONCE).zip(targets.chunks(AT_ONCE));
                    for (predictions, targets) in pieces {
                        let floats = Stream::Slice(to_floats(targets, pair, &mut room));
                        kernel.append(&mut values, output, predictions, floats);
                    }
                    return Some(values);
                }
            },
        };
        kernel.append(&mut values, output, predictions, targets);
        Some(values)
    }
}
