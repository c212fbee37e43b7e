//! ndarray-loss.

use std::error::Error;

use ndarray::{Array, Array1, Array2, Dimension};
use ndarray_loss::{
    Aggregate, BinaryCrossentropy, BinaryCrossentropyWithLogits, BinaryHingeLoss, BinaryLabels,
    CategoricalCrossentropy, CategoricalCrossentropyWithLogits, ElementwiseLoss, HuberLoss,
    ItemwiseLoss, LossError, MulticlassHingeLoss, Scores, SquaredError, aggregate,
    binary_crossentropy, binary_crossentropy_with_logits, binary_hinge_loss, categorical_accuracy,
    categorical_crossentropy, categorical_crossentropy_with_logits, huber_loss,
    multiclass_hinge_loss, squared_error,
};

use crate::cell::Cell;
use crate::data::{self, Stream};
use crate::work::{Filling, Making, Running, Work};

const DELTA: f32 = 1.0;

type Maybe = Result<Option<Box<dyn Work>>, Box<dyn Error>>;

pub(crate) fn prepare(cell: &Cell) -> Maybe {
    match cell.section.as_str() {
        "fused" if cell.classes == 1 => fused_elementwise(cell),
        "fused" => fused_itemwise(cell),
        "plain" if cell.classes == 1 => plain_elementwise(cell),
        "plain" => plain_itemwise(cell),
        "into" => into(cell),
        "accuracy" => accuracy(cell),
        "aggregate" => mean(cell),
        _ => Ok(None),
    }
}

/// Predictions and targets of an element-wise loss.
fn pairs(cell: &Cell) -> Option<(Array1<f32>, Array1<f32>)> {
    let n = cell.items;
    let predictions = |low, high| data::between(Stream::Predictions, low, high, n);
    let classes = |low, high| data::either(Stream::Targets, low, high, n);
    Some(match cell.loss.as_str() {
        "squared_error" | "huber_loss" => (
            predictions(-2.0, 2.0),
            data::between(Stream::Targets, -2.0, 2.0, n),
        ),
        "binary_crossentropy" => (predictions(0.01, 0.99), classes(0.0, 1.0)),
        "binary_hinge_loss" => (predictions(-2.0, 2.0), classes(-1.0, 1.0)),
        "binary_crossentropy_with_logits" => (predictions(-8.0, 8.0), classes(0.0, 1.0)),
        _ => return None,
    })
}

/// Predictions of an item-wise loss.
fn scores(cell: &Cell, loss: &str) -> Array2<f32> {
    let (items, classes) = (cell.items, cell.classes);
    match loss {
        "categorical_crossentropy" => data::distributions(Stream::Predictions, items, classes),
        _ => data::rows(-8.0, 8.0, items, classes),
    }
}

fn fused_elementwise(cell: &Cell) -> Maybe {
    let Some((p, t)) = pairs(cell) else {
        return Ok(None);
    };
    Ok(Some(match cell.loss.as_str() {
        "squared_error" => fused(SquaredError, p, t),
        "huber_loss" => fused(HuberLoss::new(DELTA)?, p, t),
        "binary_crossentropy" => fused(BinaryCrossentropy, p, t),
        "binary_hinge_loss" => fused(hinge()?, p, t),
        "binary_crossentropy_with_logits" => fused(BinaryCrossentropyWithLogits::default(), p, t),
        _ => return Ok(None),
    }))
}

fn hinge() -> Result<BinaryHingeLoss<f32>, LossError> {
    BinaryHingeLoss::new(DELTA, Scores::LogOdds, BinaryLabels::PlusMinusOne)
}

fn fused<L>(loss: L, p: Array1<f32>, t: Array1<f32>) -> Box<dyn Work>
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

fn fused_itemwise(cell: &Cell) -> Maybe {
    let Some((name, targets)) = cell.loss.split_once(':') else {
        return Ok(None);
    };
    let p = scores(cell, name);
    let labels = || data::labels(cell.items, cell.classes);
    let dense = || data::distributions(Stream::Targets, cell.items, cell.classes);
    let mean = Aggregate::Mean;
    let buffer = Array2::zeros(p.dim());
    Ok(Some(match (name, targets) {
        ("categorical_crossentropy", "labels") => {
            let (loss, t) = (CategoricalCrossentropy, labels());
            filling(buffer, move |g| {
                loss.objective_and_gradient_into(&p, &t, &mean, g)
            })
        }
        ("categorical_crossentropy", "dense") => {
            let (loss, t) = (CategoricalCrossentropy, dense());
            filling(buffer, move |g| {
                loss.objective_and_gradient_into(&p, &t, &mean, g)
            })
        }
        ("multiclass_hinge_loss", "labels") => {
            let (loss, t) = (MulticlassHingeLoss::new(DELTA)?, labels());
            filling(buffer, move |g| {
                loss.objective_and_gradient_into(&p, &t, &mean, g)
            })
        }
        ("categorical_crossentropy_with_logits", "labels") => {
            let (loss, t) = (CategoricalCrossentropyWithLogits::default(), labels());
            filling(buffer, move |g| {
                loss.objective_and_gradient_into(&p, &t, &mean, g)
            })
        }
        ("categorical_crossentropy_with_logits", "dense") => {
            let (loss, t) = (CategoricalCrossentropyWithLogits::default(), dense());
            filling(buffer, move |g| {
                loss.objective_and_gradient_into(&p, &t, &mean, g)
            })
        }
        _ => return Ok(None),
    }))
}

fn making<D, S>(step: S) -> Box<dyn Work>
where
    D: Dimension + 'static,
    S: FnMut() -> Result<Array<f32, D>, LossError> + Send + 'static,
{
    Box::new(Making(step))
}

fn plain_elementwise(cell: &Cell) -> Maybe {
    let Some((p, t)) = pairs(cell) else {
        return Ok(None);
    };
    let (scores, labels) = (Scores::LogOdds, BinaryLabels::PlusMinusOne);
    Ok(Some(match cell.loss.as_str() {
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

fn plain_itemwise(cell: &Cell) -> Maybe {
    let Some((name, targets)) = cell.loss.split_once(':') else {
        return Ok(None);
    };
    let p = scores(cell, name);
    let labels = || data::labels(cell.items, cell.classes);
    let dense = || data::distributions(Stream::Targets, cell.items, cell.classes);
    Ok(Some(match (name, targets) {
        ("categorical_crossentropy", "labels") => {
            let t = labels();
            making(move || categorical_crossentropy(&p, &t))
        }
        ("categorical_crossentropy", "dense") => {
            let t = dense();
            making(move || categorical_crossentropy(&p, &t))
        }
        ("multiclass_hinge_loss", "labels") => {
            let t = labels();
            making(move || multiclass_hinge_loss(&p, &t, DELTA))
        }
        ("categorical_crossentropy_with_logits", "labels") => {
            let t = labels();
            making(move || categorical_crossentropy_with_logits(&p, &t))
        }
        ("categorical_crossentropy_with_logits", "dense") => {
            let t = dense();
            making(move || categorical_crossentropy_with_logits(&p, &t))
        }
        _ => return Ok(None),
    }))
}

/// The losses into a buffer.
fn into(cell: &Cell) -> Maybe {
    fn losses<L: ElementwiseLoss<f32> + 'static>(
        loss: L,
        p: Array1<f32>,
        t: Array1<f32>,
    ) -> Box<dyn Work> {
        filling(Array::zeros(p.dim()), move |buffer: &mut Array1<f32>| {
            loss.loss_into(&p, &t, buffer).map(|()| 0.0)
        })
    }
    let Some((p, t)) = pairs(cell) else {
        return Ok(None);
    };
    Ok(Some(match cell.loss.as_str() {
        "squared_error" => losses(SquaredError, p, t),
        "huber_loss" => losses(HuberLoss::new(DELTA)?, p, t),
        _ => return Ok(None),
    }))
}

/// The share of items whose class is among the first k.
fn accuracy(cell: &Cell) -> Maybe {
    let Some(top_k) = cell.loss.strip_prefix("top") else {
        return Ok(None);
    };
    let top_k = top_k.parse()?;
    let (p, t) = (scores(cell, ""), data::labels(cell.items, cell.classes));
    Ok(Some(running(move || {
        aggregate(&categorical_accuracy(&p, &t, top_k)?, Aggregate::Mean)
    })))
}

fn mean(cell: &Cell) -> Maybe {
    let loss = data::between(Stream::Predictions, 0.0, 4.0, cell.items);
    Ok(Some(running(move || aggregate(&loss, Aggregate::Mean))))
}

fn running<S>(step: S) -> Box<dyn Work>
where
    S: FnMut() -> Result<f32, LossError> + Send + 'static,
{
    Box::new(Running(step))
}
