//! The arrays of item-wise work: any number of leading axes, made one where memory allows.

use ndarray::{ArrayBase, ArrayView, ArrayViewMut, Axis, Dimension, Ix1, Ix2, IxDyn, RawData};

use super::targets::{AnyTargets, Divide, Targets};
use crate::engine::elementwise::Weights;
use crate::engine::repeated::Repeated;
use crate::engine::span::unzip;
use crate::float::{Float, Target};

/// The arrays: with a row for each item, or with one value for each.
pub(crate) struct Arrays<'a, F, G, R = IxDyn, I = IxDyn> {
    /// Absent where they lie in the buffer of the gradient.
    pub(crate) scores: Option<ArrayView<'a, F, R>>,
    pub(crate) targets: G,
    pub(crate) weights: Weights<'a, F, I>,
    pub(crate) loss: Option<ArrayViewMut<'a, F, I>>,
    pub(crate) gradient: Option<ArrayViewMut<'a, F, R>>,
}

/// As they come.
pub(crate) type Operands<'a, F, T, R = IxDyn, I = IxDyn> =
    Arrays<'a, F, Targets<ArrayView<'a, T, I>, ArrayView<'a, T, R>>, R, I>;

/// The same with all items along one axis.
pub(crate) type TypedRows<'a, F, T> = Operands<'a, F, T, Ix2, Ix1>;

/// The same, whatever type the targets are of.
pub(crate) type Rows<'a, 't, F> = Arrays<'a, F, AnyTargets<'t, F>, Ix2, Ix1>;

/// Whether the axes but the last `kept` ones can become one.
fn merges<S: RawData>(view: &ArrayBase<S, IxDyn>, kept: usize) -> bool {
    let leading = view.ndim().saturating_sub(kept);
    let (shape, strides) = (view.shape(), view.strides());
    // Axes of length 1 may have any stride.
    let mut axes = (0..leading).filter(|&axis| shape[axis] != 1);
    let Some(mut outer) = axes.next() else {
        return true;
    };
    axes.all(|axis| {
        let fits = strides[outer] == strides[axis] * shape[axis] as isize;
        outer = axis;
        fits
    })
}

/// Makes one axis of all but the last `kept` ones; only for what [`merges`].
macro_rules! merged {
    ($view:expr, $kept:expr) => {{
        let mut view = $view;
        while view.ndim() < 1 + $kept {
            view = view.insert_axis(Axis(0));
        }
        while view.ndim() > 1 + $kept {
            view.merge_axes(Axis(0), Axis(1));
            // What could be merged has length 1 now, or it is the other that has.
            if view.len_of(Axis(0)) != 1 {
                view.swap_axes(0, 1);
            }
            view = view.index_axis_move(Axis(0), 0);
        }
        view
    }};
}

impl<'a, F: Float, T: Target<F>> Operands<'a, F, T> {
    pub(super) fn items_shape(&self) -> &[usize] {
        let of_rows = |shape: &'_ [usize]| shape.len().saturating_sub(1);
        match (&self.scores, &self.gradient, &self.loss) {
            (Some(view), _, _) => &view.shape()[..of_rows(view.shape())],
            (None, Some(view), _) => &view.shape()[..of_rows(view.shape())],
            (None, None, Some(view)) => view.shape(),
            (None, None, None) => &[],
        }
    }

    /// Takes the weights if nothing else keeps the items from becoming one axis.
    pub(super) fn take_repeated(&mut self) -> Option<Repeated<'a, F>> {
        if self.weights_merge() || !self.others_merge() {
            return None;
        }
        let repeated = Repeated::of(&self.weights)?;
        self.weights = Weights::None;
        Some(repeated)
    }

    /// Whether the items can become one axis.
    pub(super) fn mergeable(&self) -> bool {
        self.items_shape().contains(&0) || (self.weights_merge() && self.others_merge())
    }

    fn weights_merge(&self) -> bool {
        match &self.weights {
            Weights::None => true,
            Weights::Floats(view) => merges(view, 0),
            Weights::Mask(view) => merges(view, 0),
        }
    }

    fn others_merge(&self) -> bool {
        self.scores.iter().all(|view| merges(view, 1))
            && match &self.targets {
                Targets::None => true,
                Targets::Labels(view) => merges(view, 0),
                Targets::Dense(view) => merges(view, 1),
            }
            && self.loss.iter().all(|view| merges(view, 0))
            && self.gradient.iter().all(|view| merges(view, 1))
    }

    /// `None` if there are no items.
    pub(super) fn into_rows(self) -> Option<TypedRows<'a, F, T>> {
        if self.items_shape().contains(&0) {
            return None;
        }
        Some(TypedRows {
            scores: match self.scores {
                Some(view) => Some(merged!(view, 1).into_dimensionality().ok()?),
                None => None,
            },
            targets: match self.targets {
                Targets::None => Targets::None,
                Targets::Labels(view) => {
                    Targets::Labels(merged!(view, 0).into_dimensionality().ok()?)
                }
                Targets::Dense(view) => {
                    Targets::Dense(merged!(view, 1).into_dimensionality().ok()?)
                }
            },
            weights: match self.weights {
                Weights::None => Weights::None,
                Weights::Floats(view) => {
                    Weights::Floats(merged!(view, 0).into_dimensionality().ok()?)
                }
                Weights::Mask(view) => Weights::Mask(merged!(view, 0).into_dimensionality().ok()?),
            },
            loss: match self.loss {
                Some(view) => Some(merged!(view, 0).into_dimensionality().ok()?),
                None => None,
            },
            gradient: match self.gradient {
                Some(view) => Some(merged!(view, 1).into_dimensionality().ok()?),
                None => None,
            },
        })
    }

    /// All without the first axis, whose length is 1.
    pub(super) fn first(self) -> Self {
        let axis = Axis(0);
        Self {
            scores: self.scores.map(|view| view.index_axis_move(axis, 0)),
            targets: match self.targets {
                Targets::None => Targets::None,
                Targets::Labels(view) => Targets::Labels(view.index_axis_move(axis, 0)),
                Targets::Dense(view) => Targets::Dense(view.index_axis_move(axis, 0)),
            },
            weights: match self.weights {
                Weights::None => Weights::None,
                Weights::Floats(view) => Weights::Floats(view.index_axis_move(axis, 0)),
                Weights::Mask(view) => Weights::Mask(view.index_axis_move(axis, 0)),
            },
            loss: self.loss.map(|view| view.index_axis_move(axis, 0)),
            gradient: self.gradient.map(|view| view.index_axis_move(axis, 0)),
        }
    }
}

impl<'a, F: Float, G, R: Dimension, I: Dimension> Arrays<'a, F, G, R, I> {
    /// The same with other targets.
    pub(super) fn with_targets<H>(self, targets: impl FnOnce(G) -> H) -> Arrays<'a, F, H, R, I> {
        Arrays {
            scores: self.scores,
            targets: targets(self.targets),
            weights: self.weights,
            loss: self.loss,
            gradient: self.gradient,
        }
    }
}

impl<F: Float, G: Divide, R: Dimension, I: Dimension> Divide for Arrays<'_, F, G, R, I> {
    fn divide(self, middle: usize) -> (Self, Self) {
        let axis = Axis(0);
        let (left_scores, right_scores) =
            unzip(self.scores.map(|view| view.split_at(axis, middle)));
        let (left_targets, right_targets) = self.targets.divide(middle);
        let (left_weights, right_weights) = self.weights.split_at(axis, middle);
        let (left_loss, right_loss) = unzip(self.loss.map(|view| view.split_at(axis, middle)));
        let (left_gradient, right_gradient) =
            unzip(self.gradient.map(|view| view.split_at(axis, middle)));
        (
            Self {
                scores: left_scores,
                targets: left_targets,
                weights: left_weights,
                loss: left_loss,
                gradient: left_gradient,
            },
            Self {
                scores: right_scores,
                targets: right_targets,
                weights: right_weights,
                loss: right_loss,
                gradient: right_gradient,
            },
        )
    }
}

impl<'a, 't, F: Float> Rows<'a, 't, F> {
    /// The same with other weights.
    pub(super) fn with_weights<'b>(self, weights: Weights<'b, F, Ix1>) -> Rows<'b, 't, F>
    where
        'a: 'b,
    {
        Rows {
            scores: self.scores.map(|view| view.reborrow()),
            targets: self.targets,
            weights,
            loss: self.loss.map(|view| view.reborrow()),
            gradient: self.gradient.map(|view| view.reborrow()),
        }
    }

    pub(super) fn items(&self) -> usize {
        match (&self.scores, &self.gradient, &self.loss) {
            (Some(view), _, _) => view.nrows(),
            (None, Some(view), _) => view.nrows(),
            (None, None, Some(view)) => view.len(),
            (None, None, None) => 0,
        }
    }
}
