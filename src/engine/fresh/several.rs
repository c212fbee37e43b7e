//! Blocks of results, each computed on the stack of a thread and moved to memory that nothing has written to.

use rayon::iter::plumbing::{Consumer, Folder, Reducer, UnindexedConsumer};
use rayon::iter::{ParallelExtend, ParallelIterator};

use super::{Inputs, Output};
use crate::engine::elementwise::AT_ONCE;
use crate::engine::parallel::{grain, join, join_undivided};
use crate::engine::simd::Lines;
use crate::float::{Float, Target};

/// How many elements a block has.
const SIZE: usize = AT_ONCE;

type Block<F> = [F; SIZE];

impl<'a, 'k, F: Float, T: Target<F>> Inputs<'a, 'k, F, T> {
    /// The first of the losses or gradients: those of whole blocks, if there is work for several threads.
    pub(super) fn begin_one(self, output: Output) -> Option<Vec<F>> {
        let mut values = Vec::new();
        if let Some(blocks) = self.blocks(output) {
            blocks.reserve(&mut values)?;
            values.par_extend(blocks);
        }
        Some(values.into_flattened())
    }

    /// Likewise of the losses and gradients.
    pub(super) fn begin_both(self) -> Option<(Vec<F>, Vec<F>)> {
        let mut both = (Vec::new(), Vec::new());
        if let Some(blocks) = self.blocks(Both) {
            blocks.reserve(&mut both.0)?;
            blocks.reserve(&mut both.1)?;
            both.par_extend(blocks);
        }
        Some((both.0.into_flattened(), both.1.into_flattened()))
    }

    fn blocks<O>(self, outputs: O) -> Option<Blocks<'a, 'k, F, T, O>> {
        let size = self.predictions.len();
        self.is_for_several().then_some(Blocks {
            inputs: self,
            outputs,
            first: 0,
            count: size / SIZE,
            grain: grain(size, self.kernel.cost()),
        })
    }
}

/// What is computed of a block.
trait Outputs<F: Float>: Copy + Send {
    type Room: Copy + Send;

    fn room() -> Self::Room;

    fn compute(self, inputs: Inputs<'_, '_, F, F>, room: &mut Self::Room);
}

impl<F: Float> Outputs<F> for Output {
    type Room = Block<F>;

    fn room() -> Block<F> {
        [F::zero(); SIZE]
    }

    fn compute(self, inputs: Inputs<'_, '_, F, F>, room: &mut Block<F>) {
        match self {
            Self::Losses => inputs.compute(Some(room), None),
            Self::Gradients => inputs.compute(None, Some(room)),
        }
    }
}

#[derive(Clone, Copy)]
struct Both;

impl<F: Float> Outputs<F> for Both {
    type Room = (Block<F>, Block<F>);

    fn room() -> Self::Room {
        ([F::zero(); SIZE], [F::zero(); SIZE])
    }

    fn compute(self, inputs: Inputs<'_, '_, F, F>, (losses, gradients): &mut Self::Room) {
        inputs.compute(Some(losses), Some(gradients));
    }
}

/// Blocks that are computed when they are collected.
struct Blocks<'a, 'k, F, T, O> {
    inputs: Inputs<'a, 'k, F, T>,
    outputs: O,
    first: usize,
    count: usize,
    /// So many elements are not divided any further.
    grain: usize,
}

impl<F: Float, T: Target<F>, O: Outputs<F>> Blocks<'_, '_, F, T, O> {
    /// Makes room for all blocks, and for the elements behind them.
    fn reserve(&self, values: &mut Vec<Block<F>>) -> Option<()> {
        values.try_reserve_exact(self.count + 1).ok()
    }

    fn size(&self) -> usize {
        self.count * SIZE
    }

    fn drive<C: Consumer<O::Room>>(self, consumer: C) -> C::Result {
        if self.count <= 1 || self.size() <= self.grain {
            return self.one_by_one(consumer.into_folder());
        }
        let half = self.count / 2;
        let (to_left, to_right, reducer) = consumer.split_at(half);
        let left = Self {
            count: half,
            ..self
        };
        let right = Self {
            first: self.first + half,
            count: self.count - half,
            ..self
        };
        let is_last = right.size() <= self.grain;
        let left = || left.drive(to_left);
        let right = || Some(right.drive(to_right));
        let results = if is_last {
            join_undivided(left, right)
        } else {
            join(left, right)
        };
        match results {
            (left, Some(right)) => reducer.reduce(left, right),
            (left, None) => left,
        }
    }

    #[inline(never)] // its frame is large
    fn one_by_one<C: Folder<O::Room>>(self, mut folder: C) -> C::Result {
        let mut room = Lines(O::room());
        for index in self.first..self.first + self.count {
            let part = self.inputs.part(index * SIZE, (index + 1) * SIZE);
            part.in_floats(|inputs| self.outputs.compute(inputs, &mut room.0));
            folder = folder.consume(room.0);
        }
        folder.complete()
    }
}

impl<F: Float, T: Target<F>, O: Outputs<F>> ParallelIterator for Blocks<'_, '_, F, T, O> {
    type Item = O::Room;

    fn drive_unindexed<C: UnindexedConsumer<O::Room>>(self, consumer: C) -> C::Result {
        self.drive(consumer)
    }

    fn opt_len(&self) -> Option<usize> {
        Some(self.count)
    }
}
