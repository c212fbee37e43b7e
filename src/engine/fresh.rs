//! New arrays, written once: one that is allocated with zeros is written twice, and the first time by one thread, where
//! the allocator reuses memory. Memory fresh from the system holds zeros already.

use super::elementwise::{Contiguous, Spanning};
use super::parallel;
use super::simd::Lines;
use super::span::{Span, SpanKernel};
use crate::float::{Float, Target};

/// How many elements are computed before they are copied to where they stay.
const BLOCK: usize = 1024;

/// Up to so many elements zeros cost less than copies.
const FEW: usize = 4096;

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

/// The losses or the gradients of contiguous inputs, in their order; `None` if there is no room for them.
pub(crate) fn collect<F: Float, T: Target<F>>(
    inputs: &Contiguous<'_, F, T>,
    output: Output,
    kernel: &dyn SpanKernel<F>,
    cost: f32,
) -> Option<Vec<F>> {
    let size = inputs.span.size;
    let compute = |start: usize, to: &mut [F]| {
        let span = inputs.span.inputs(start, to.len());
        let span = match output {
            Output::Loss => Span {
                loss: Some(to),
                ..span
            },
            Output::Gradient => Span {
                gradient: Some(to),
                ..span
            },
        };
        Spanning::new(span, inputs.pair, kernel).leaf();
    };
    if size <= FEW {
        let mut values = with_room(size)?;
        values.resize(size, F::zero());
        compute(0, &mut values);
        return Some(values);
    }
    let mut values = if size > parallel::grain(size, cost) {
        in_parallel(size, compute)?
    } else {
        with_room(size)?
    };
    let mut block = Lines([F::zero(); BLOCK]);
    while values.len() < size {
        let start = values.len();
        let block = &mut block.0[..BLOCK.min(size - start)];
        compute(start, block);
        values.extend_from_slice(block);
    }
    Some(values)
}

fn with_room<T>(size: usize) -> Option<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(size).ok()?;
    Some(values)
}

/// All whole blocks, and room for what is left.
fn in_parallel<F: Float>(size: usize, compute: impl Fn(usize, &mut [F]) + Sync) -> Option<Vec<F>> {
    let blocks = size / BLOCK;
    let mut values = with_room(blocks + 1)?;
    parallel::collect(blocks, &mut values, |index| {
        let mut block = Lines([F::zero(); BLOCK]);
        compute(index * BLOCK, &mut block.0);
        block.0
    });
    Some(values.into_flattened())
}
