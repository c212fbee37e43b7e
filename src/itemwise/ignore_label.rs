//! Items that are left out.

use super::ItemwiseLoss;
use crate::engine::rows::{AnyRowKernel, Dense, ItemKernel, LeftOut};
use crate::{CategoricalCrossentropyWithLogits, Float, LossError};

/// An item-wise loss without the items of one label: see [`ItemwiseLoss::ignore_label`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IgnoreLabel<L> {
    loss: L,
    label: i128,
}

impl<L> IgnoreLabel<L> {
    pub(crate) fn new(loss: L, label: i128) -> Self {
        Self { loss, label }
    }

    /// Ignores another label besides: see [`ItemwiseLoss::ignore_label`].
    #[must_use]
    pub fn ignore_label(self, label: i128) -> IgnoreLabel<Self> {
        IgnoreLabel::new(self, label)
    }
}

impl<F: Float> IgnoreLabel<CategoricalCrossentropyWithLogits<F>> {
    /// See [`CategoricalCrossentropyWithLogits::label_smoothing`]: options go in any order.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](LossError::InvalidParameter) unless ε is in [0, 1].
    pub fn label_smoothing(self, epsilon: F) -> Result<Self, LossError> {
        Ok(Self {
            loss: self.loss.label_smoothing(epsilon)?,
            ..self
        })
    }
}

impl<F: Float, L: ItemKernel<F>> ItemKernel<F> for IgnoreLabel<L> {
    fn min_classes(&self) -> usize {
        self.loss.min_classes()
    }
    fn dense(&self) -> Dense {
        self.loss.dense()
    }
    fn cost(&self) -> f32 {
        self.loss.cost()
    }
    fn arithmetic(&self) -> &dyn AnyRowKernel<F> {
        self.loss.arithmetic()
    }
    fn left_out(&self) -> LeftOut {
        match self.loss.left_out() {
            LeftOut::None => LeftOut::One(self.label),
            LeftOut::One(_) | LeftOut::Several => LeftOut::Several,
        }
    }
    fn ignores(&self, label: i128) -> bool {
        label == self.label || self.loss.ignores(label)
    }
}

impl<F: Float, L: ItemwiseLoss<F>> ItemwiseLoss<F> for IgnoreLabel<L> {}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn options_go_in_any_order() -> Result<(), LossError> {
        let loss = CategoricalCrossentropyWithLogits::<f64>::default();
        let (p, labels) = (array![[0.0, -1.0, 2.0], [1.0, 0.0, 3.0]], [0, -1]);
        let first = loss.label_smoothing(0.25)?.ignore_label(-1);
        let last = loss.ignore_label(-1).label_smoothing(0.25)?;
        let losses = last.loss(&p, &labels)?;
        assert_eq!(losses, first.loss(&p, &labels)?);
        assert_ne!(losses, loss.ignore_label(-1).loss(&p, &labels)?);
        Ok(())
    }
}
