//! All losses behind one interface, whatever their targets are.

use std::fmt::Debug;

use ndarray::{ArrayD, ArrayRef, ArrayViewD, IxDyn};
use ndarray_loss::{Aggregate, ElementwiseLoss, ItemwiseLoss, LossError};

use super::Number;

/// Targets of any type.
#[derive(Debug, Clone)]
pub(crate) enum Targets<F> {
    Floats(ArrayD<F>),
    Bools(ArrayD<bool>),
    Signed(ArrayD<i64>),
}

/// A view of [`Targets`].
#[derive(Debug, Clone)]
pub(crate) enum TargetsView<'a, F> {
    Floats(ArrayViewD<'a, F>),
    Bools(ArrayViewD<'a, bool>),
    Signed(ArrayViewD<'a, i64>),
}

/// Does the same to targets of any type.
macro_rules! for_targets {
    ($targets:expr, $kind:ident, $view:ident => $result:expr) => {
        match $targets {
            $kind::Floats($view) => $result,
            $kind::Bools($view) => $result,
            $kind::Signed($view) => $result,
        }
    };
}

/// Makes targets of targets, of the same type.
macro_rules! map_targets {
    ($targets:expr, $from:ident => $to:ident, $view:ident => $result:expr) => {
        match $targets {
            $from::Floats($view) => $to::Floats($result),
            $from::Bools($view) => $to::Bools($result),
            $from::Signed($view) => $to::Signed($result),
        }
    };
}
pub(crate) use {for_targets, map_targets};

impl<F: Number> Targets<F> {
    pub(crate) fn view(&self) -> TargetsView<'_, F> {
        map_targets!(self, Targets => TargetsView, array => array.view())
    }

    pub(crate) fn shape(&self) -> &[usize] {
        for_targets!(self, Targets, array => array.shape())
    }

    /// The labels, if these are integers.
    pub(crate) fn labels(&self) -> Option<ArrayD<i64>> {
        match self {
            Targets::Signed(labels) => Some(labels.clone()),
            Targets::Floats(_) | Targets::Bools(_) => None,
        }
    }
}

/// An [`Aggregate`] with its own weights.
#[derive(Debug, Clone)]
pub(crate) enum By<F> {
    Mean,
    Sum,
    WeightedMean(ArrayD<F>),
    WeightedSum(ArrayD<F>),
    NormalizedSum(ArrayD<F>),
    MaskedMean(ArrayD<bool>),
}

impl<F: Number> By<F> {
    pub(crate) fn aggregate(&self) -> Aggregate<'_, F> {
        match self {
            By::Mean => Aggregate::Mean,
            By::Sum => Aggregate::Sum,
            By::WeightedMean(weights) => Aggregate::weighted_mean(weights),
            By::WeightedSum(weights) => Aggregate::weighted_sum(weights),
            By::NormalizedSum(weights) => Aggregate::normalized_sum(weights),
            By::MaskedMean(mask) => Aggregate::masked_mean(mask),
        }
    }

    /// Where the weight is exactly 0.
    pub(crate) fn left_out(&self) -> Option<ArrayD<bool>> {
        match self {
            By::Mean | By::Sum => None,
            By::WeightedMean(w) | By::WeightedSum(w) | By::NormalizedSum(w) => {
                Some(w.mapv(|w| w == F::zero()))
            }
            By::MaskedMean(mask) => Some(mask.mapv(|keep| !keep)),
        }
    }
}

/// What every loss can do.
pub(crate) trait AnyLoss<F: Number>: Debug + Send + Sync {
    fn is_itemwise(&self) -> bool;

    fn ignored(&self) -> Option<i64>;

    fn loss(&self, p: ArrayViewD<'_, F>, t: TargetsView<'_, F>) -> Result<ArrayD<F>, LossError>;

    fn gradient(&self, p: ArrayViewD<'_, F>, t: TargetsView<'_, F>)
    -> Result<ArrayD<F>, LossError>;

    fn loss_and_gradient(
        &self,
        p: ArrayViewD<'_, F>,
        t: TargetsView<'_, F>,
    ) -> Result<(ArrayD<F>, ArrayD<F>), LossError>;

    fn loss_into(
        &self,
        p: ArrayViewD<'_, F>,
        t: TargetsView<'_, F>,
        loss: &mut ArrayRef<F, IxDyn>,
    ) -> Result<(), LossError>;

    fn gradient_into(
        &self,
        p: ArrayViewD<'_, F>,
        t: TargetsView<'_, F>,
        gradient: &mut ArrayRef<F, IxDyn>,
    ) -> Result<(), LossError>;

    fn loss_and_gradient_into(
        &self,
        p: ArrayViewD<'_, F>,
        t: TargetsView<'_, F>,
        loss: &mut ArrayRef<F, IxDyn>,
        gradient: &mut ArrayRef<F, IxDyn>,
    ) -> Result<(), LossError>;

    fn objective(
        &self,
        p: ArrayViewD<'_, F>,
        t: TargetsView<'_, F>,
        by: &Aggregate<'_, F>,
    ) -> Result<F, LossError>;

    fn objective_and_gradient(
        &self,
        p: ArrayViewD<'_, F>,
        t: TargetsView<'_, F>,
        by: &Aggregate<'_, F>,
    ) -> Result<(F, ArrayD<F>), LossError>;

    fn objective_and_gradient_into(
        &self,
        p: ArrayViewD<'_, F>,
        t: TargetsView<'_, F>,
        by: &Aggregate<'_, F>,
        gradient: &mut ArrayRef<F, IxDyn>,
    ) -> Result<F, LossError>;

    fn objective_and_gradient_in_place(
        &self,
        p: &mut ArrayRef<F, IxDyn>,
        t: TargetsView<'_, F>,
        by: &Aggregate<'_, F>,
    ) -> Result<F, LossError>;

    /// The shape of the loss of predictions of this shape.
    fn loss_shape<'s>(&self, predictions: &'s [usize]) -> &'s [usize] {
        match predictions.split_last() {
            Some((_, items)) if self.is_itemwise() => items,
            _ => predictions,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Elementwise<L>(pub(crate) L);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Itemwise<L> {
    pub(crate) loss: L,
    pub(crate) ignored: Option<i64>,
}

impl<L> Elementwise<L> {
    const IS_ITEMWISE: bool = false;

    fn inner(&self) -> &L {
        &self.0
    }

    fn ignored_label(&self) -> Option<i64> {
        None
    }
}

impl<L> Itemwise<L> {
    const IS_ITEMWISE: bool = true;

    fn inner(&self) -> &L {
        &self.loss
    }

    fn ignored_label(&self) -> Option<i64> {
        self.ignored
    }
}

macro_rules! erase {
    ($wrapper:ident: $bound:ident) => {
        impl<F: Number, L: $bound<F> + Debug> AnyLoss<F> for $wrapper<L> {
            fn is_itemwise(&self) -> bool {
                Self::IS_ITEMWISE
            }

            fn ignored(&self) -> Option<i64> {
                self.ignored_label()
            }

            fn loss(
                &self,
                p: ArrayViewD<'_, F>,
                t: TargetsView<'_, F>,
            ) -> Result<ArrayD<F>, LossError> {
                for_targets!(t, TargetsView, t => self.inner().loss(p, t))
            }

            fn gradient(
                &self,
                p: ArrayViewD<'_, F>,
                t: TargetsView<'_, F>,
            ) -> Result<ArrayD<F>, LossError> {
                for_targets!(t, TargetsView, t => self.inner().gradient(p, t))
            }

            fn loss_and_gradient(
                &self,
                p: ArrayViewD<'_, F>,
                t: TargetsView<'_, F>,
            ) -> Result<(ArrayD<F>, ArrayD<F>), LossError> {
                for_targets!(t, TargetsView, t => self.inner().loss_and_gradient(p, t))
            }

            fn loss_into(
                &self,
                p: ArrayViewD<'_, F>,
                t: TargetsView<'_, F>,
                loss: &mut ArrayRef<F, IxDyn>,
            ) -> Result<(), LossError> {
                for_targets!(t, TargetsView, t => self.inner().loss_into(p, t, loss))
            }

            fn gradient_into(
                &self,
                p: ArrayViewD<'_, F>,
                t: TargetsView<'_, F>,
                gradient: &mut ArrayRef<F, IxDyn>,
            ) -> Result<(), LossError> {
                for_targets!(t, TargetsView, t => self.inner().gradient_into(p, t, gradient))
            }

            fn loss_and_gradient_into(
                &self,
                p: ArrayViewD<'_, F>,
                t: TargetsView<'_, F>,
                loss: &mut ArrayRef<F, IxDyn>,
                gradient: &mut ArrayRef<F, IxDyn>,
            ) -> Result<(), LossError> {
                for_targets!(t, TargetsView, t => {
                    self.inner().loss_and_gradient_into(p, t, loss, gradient)
                })
            }

            fn objective(
                &self,
                p: ArrayViewD<'_, F>,
                t: TargetsView<'_, F>,
                by: &Aggregate<'_, F>,
            ) -> Result<F, LossError> {
                for_targets!(t, TargetsView, t => self.inner().objective(p, t, by))
            }

            fn objective_and_gradient(
                &self,
                p: ArrayViewD<'_, F>,
                t: TargetsView<'_, F>,
                by: &Aggregate<'_, F>,
            ) -> Result<(F, ArrayD<F>), LossError> {
                for_targets!(t, TargetsView, t => self.inner().objective_and_gradient(p, t, by))
            }

            fn objective_and_gradient_into(
                &self,
                p: ArrayViewD<'_, F>,
                t: TargetsView<'_, F>,
                by: &Aggregate<'_, F>,
                gradient: &mut ArrayRef<F, IxDyn>,
            ) -> Result<F, LossError> {
                for_targets!(t, TargetsView, t => {
                    self.inner().objective_and_gradient_into(p, t, by, gradient)
                })
            }

            fn objective_and_gradient_in_place(
                &self,
                p: &mut ArrayRef<F, IxDyn>,
                t: TargetsView<'_, F>,
                by: &Aggregate<'_, F>,
            ) -> Result<F, LossError> {
                for_targets!(t, TargetsView, t => {
                    self.inner().objective_and_gradient_in_place(p, t, by)
                })
            }
        }
    };
}
erase!(Elementwise: ElementwiseLoss);
erase!(Itemwise: ItemwiseLoss);
