//! ndarray-loss.

use std::error::Error;

use ndarray::{Array, Array1, Array2, Dimension, Ix2};
use ndarray_loss::{
    Aggregate, BinaryCrossentropy, BinaryCrossentropyWithLogits, BinaryHingeLoss, BinaryLabels,
    CategoricalCrossentropy, CategoricalCrossentropyWithLogits, ClassTargetShape, ElementwiseLoss,
    HuberLoss, ItemwiseLoss, LossError, MulticlassHingeLoss, Scores, SquaredError, Target,
    aggregate, binary_crossentropy, binary_crossentropy_with_logits, binary_hinge_loss,
    categorical_accuracy, categorical_crossentropy, categorical_crossentropy_with_logits,
    huber_loss, multiclass_hinge_loss, squared_error,
};

use crate::cell::Cell;
use crate::data::{self, Inputs, Stream};
use crate::work::{Filling, Making, Running, Work};

const DELTA: f32 = 1.0;

type Maybe = Result<Option<Box<dyn Work>>, Box<dyn Error>>;

pub(crate) fn prepare(cell: &Cell) -> Maybe {
    if let Some(top_k) = cell.top_k()? {
        let (p, t) = data::ranked(cell);
        return Ok(Some(running(move || {
            aggregate(&categorical_accuracy(&p, &t, top_k)?, Aggregate::Mean)
        })));
    }
    match (cell.section.as_str(), data::of(cell)) {
        ("fused", Some(Inputs::Elements(p, t))) => fused_elementwise(cell, p, t),
        ("fused", Some(Inputs::Labels(p, t))) => fused_itemwise(cell, p, t),
        ("fused", Some(Inputs::Dense(p, t))) => fused_itemwise(cell, p, t),
        ("plain", Some(Inputs::Elements(p, t))) => plain_elementwise(cell, p, t),
        ("plain", Some(Inputs::Labels(p, t))) => plain_itemwise(cell, p, t),
        ("plain", Some(Inputs::Dense(p, t))) => plain_itemwise(cell, p, t),
        ("into", Some(Inputs::Elements(p, t))) => into(cell, p, t),
        ("value", Some(inputs)) => Ok(value(cell, inputs)),
        ("aggregate", _) => Ok(Some(mean(cell))),
        _ => Ok(None),
    }
}
/// The mean and its gradient, into a buffer.
fn fused_elementwise(cell: &Cell, p: Array1<f32>, t: Array1<f32>) -> Maybe {
    Ok(Some(match cell.name() {
        "squared_error" => fused_pairs(SquaredError, p, t),
        "huber_loss" => fused_pairs(HuberLoss::new(DELTA)?, p, t),
        "binary_crossentropy" => fused_pairs(BinaryCrossentropy, p, t),
        "binary_hinge_loss" => fused_pairs(hinge()?, p, t),
        "binary_crossentropy_with_logits" => {
            fused_pairs(BinaryCrossentropyWithLogits::default(), p, t)
        }
        _ => return Ok(None),
    }))
}

fn hinge() -> Result<BinaryHingeLoss<f32>, LossError> {
    BinaryHingeLoss::new(DELTA, Scores::LogOdds, BinaryLabels::PlusMinusOne)
}

fn fused_pairs<L>(loss: L, p: Array1<f32>, t: Array1<f32>) -> Box<dyn Work>
where
    L: ElementwiseLoss<f32> + 'static,
{
    filling(Array::zeros(p.dim()), move |gradient: &mut Array1<f32>| {
        loss.objective_and_gradient_into(&p, &t, Aggregate::Mean, gradient)
    })
}

fn filling<D, S>(buffer: Array<f32, D>, step: S) -> Box<dyn Work>
where
    D: Dimension + 'static,
    S: FnMut(&mut Array<f32, D>) -> Result<f32, LossError> + Send + 'static,
{
    Box::new(Filling { buffer, step })
}

fn fused_itemwise<T, E>(cell: &Cell, p: Array2<f32>, t: Array<T, E>) -> Maybe
where
    T: Target<f32, Kind: ClassTargetShape<Ix2, E>> + Send + 'static,
    E: Dimension + 'static,
{
    Ok(Some(match cell.name() {
        "categorical_crossentropy" => fused_rows(CategoricalCrossentropy, p, t),
        "multiclass_hinge_loss" => fused_rows(MulticlassHingeLoss::new(DELTA)?, p, t),
        "categorical_crossentropy_with_logits" => {
            fused_rows(CategoricalCrossentropyWithLogits::default(), p, t)
        }
        _ => return Ok(None),
    }))
}

fn fused_rows<L, T, E>(loss: L, p: Array2<f32>, t: Array<T, E>) -> Box<dyn Work>
where
    L: ItemwiseLoss<f32> + 'static,
    T: Target<f32, Kind: ClassTargetShape<Ix2, E>> + Send + 'static,
    E: Dimension + 'static,
{
    filling(Array::zeros(p.dim()), move |gradient: &mut Array2<f32>| {
        loss.objective_and_gradient_into(&p, &t, Aggregate::Mean, gradient)
    })
}

fn making<D, S>(step: S) -> Box<dyn Work>
where
    D: Dimension + 'static,
    S: FnMut() -> Result<Array<f32, D>, LossError> + Send + 'static,
{
    Box::new(Making(step))
}

/// A new array of losses.
fn plain_elementwise(cell: &Cell, p: Array1<f32>, t: Array1<f32>) -> Maybe {
    let (scores, labels) = (Scores::LogOdds, BinaryLabels::PlusMinusOne);
    Ok(Some(match cell.name() {
        "squared_error" => making(move || squared_error(&p, &t)),
        "huber_loss" => making(move || huber_loss(&p, &t, DELTA)),
        "binary_crossentropy" => making(move || binary_crossentropy(&p, &t)),
        "binary_hinge_loss" => making(move || binary_hinge_loss(&p, &t, DELTA, scores, labels)),
        "binary_crossentropy_with_logits" => {
            making(move || binary_crossentropy_with_logits(&p, &t))
        }
        _ => return Ok(None),
    }))
}

fn plain_itemwise<T, E>(cell: &Cell, p: Array2<f32>, t: Array<T, E>) -> Maybe
where
    T: Target<f32, Kind: ClassTargetShape<Ix2, E>> + Send + 'static,
    E: Dimension + 'static,
{
    Ok(Some(match cell.name() {
        "categorical_crossentropy" => making(move || categorical_crossentropy(&p, &t)),
        "multiclass_hinge_loss" => making(move || multiclass_hinge_loss(&p, &t, DELTA)),
        "categorical_crossentropy_with_logits" => {
            making(move || categorical_crossentropy_with_logits(&p, &t))
        }
        _ => return Ok(None),
    }))
}

/// The losses into a buffer.
fn into(cell: &Cell, p: Array1<f32>, t: Array1<f32>) -> Maybe {
    fn losses<L>(loss: L, p: Array1<f32>, t: Array1<f32>) -> Box<dyn Work>
    where
        L: ElementwiseLoss<f32> + 'static,
    {
        filling(Array::zeros(p.dim()), move |buffer: &mut Array1<f32>| {
            loss.loss_into(&p, &t, buffer).map(|()| 0.0)
        })
    }
    Ok(Some(match cell.name() {
        "squared_error" => losses(SquaredError, p, t),
        "huber_loss" => losses(HuberLoss::new(DELTA)?, p, t),
        _ => return Ok(None),
    }))
}

/// The mean alone.
fn value(cell: &Cell, inputs: Inputs) -> Option<Box<dyn Work>> {
    Some(match (cell.name(), inputs) {
        ("squared_error", Inputs::Elements(p, t)) => {
            running(move || SquaredError.objective(&p, &t, Aggregate::Mean))
        }
        ("categorical_crossentropy", Inputs::Dense(p, t)) => {
            running(move || CategoricalCrossentropy.objective(&p, &t, Aggregate::Mean))
        }
        _ => return None,
    })
}

/// The mean of an array.
fn mean(cell: &Cell) -> Box<dyn Work> {
    let loss = data::between(Stream::Predictions, 0.0, 4.0, cell.items);
    running(move || aggregate(&loss, Aggregate::Mean))
}

fn running<S>(step: S) -> Box<dyn Work>
where
    S: FnMut() -> Result<f32, LossError> + Send + 'static,
{
    Box::new(Running(step))
}
