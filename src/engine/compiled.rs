//! What depends on neither the loss nor the type of the targets, compiled here for both formats: all that is generic is
//! compiled by the crate that calls it, anew with each of its builds.

use super::elementwise::{self, Operands};
use super::items::{self, AnyRows, Rows};
use super::reduce::Pair;
use super::repeated::Repeated;
use super::span::{Job, SpanKernel};

/// A format for which it is compiled.
pub(crate) trait Compiled: Sized {
    /// [`elementwise::traverse`] where the targets are floats.
    fn traverse(
        operands: Operands<'_, Self, Self>,
        kernel: &dyn SpanKernel<Self>,
        job: Job<Self>,
    ) -> Pair;

    /// See [`items::leaves`].
    fn leaves<'a>(
        rows: Rows<'a, '_, Self>,
        repeated: Option<Repeated<'a, Self>>,
        work: items::Work<'_, Self>,
    ) -> Pair;

    /// See [`items::are_one_hot_rows`].
    fn are_one_hot(rows: AnyRows<'_, Self>, grain: usize) -> bool;
}

macro_rules! compiled {
    ($($format:ty),+) => {$(
        // Inlined into another crate, they would have that compile all that they call.
        impl Compiled for $format {
            #[inline(never)]
            fn traverse(
                operands: Operands<'_, Self, Self>,
                kernel: &dyn SpanKernel<Self>,
                job: Job<Self>,
            ) -> Pair {
                elementwise::traverse(operands, kernel, job)
            }

            #[inline(never)]
            fn leaves<'a>(
                rows: Rows<'a, '_, Self>,
                repeated: Option<Repeated<'a, Self>>,
                work: items::Work<'_, Self>,
            ) -> Pair {
                items::leaves(rows, repeated, work)
            }

            #[inline(never)]
            fn are_one_hot(rows: AnyRows<'_, Self>, grain: usize) -> bool {
                items::are_one_hot_rows(rows, grain)
            }
        }
    )+};
}

compiled! { f32, f64 }
