//! burn with autodiff: the losses of its `nn::loss`, and tensor expressions where it has none.

use std::convert::Infallible;
use std::error::Error;

use burn::nn::loss::{
    BinaryCrossEntropyLossConfig, CrossEntropyLossConfig, HuberLossConfig, MseLoss, Reduction,
};
use burn::tensor::activation::{log_sigmoid, log_softmax, relu};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};
use ndarray::{Array, Array1, Array2, Dimension};

use crate::cell::Cell;
use crate::data::{self, Inputs};
use crate::work::{Stepping, Summary, Work};

type Maybe = Result<Option<Box<dyn Work>>, Box<dyn Error>>;

/// The backend that stands on ndarray.
#[expect(
    deprecated,
    reason = "burn goes over to flex; many still have this one"
)]
pub(crate) fn ndarray(cell: &Cell) -> Maybe {
    prepare(cell, Device::ndarray())
}

/// The backend that takes its place.
pub(crate) fn flex(cell: &Cell) -> Maybe {
    prepare(cell, Device::flex())
}

fn prepare(cell: &Cell, device: Device) -> Maybe {
    if let Some(top_k) = cell.top_k()? {
        let (p, t) = data::ranked(cell);
        let (p, t) = (rows(p, &device), labels(t, &device));
        return Ok(Some(running(move || accuracy(p.clone(), t.clone(), top_k))));
    }
    let name = cell.name();
    // Plain tensors where nobody asks for a gradient.
    let device = match cell.section.as_str() {
        "fused" => device.autodiff(),
        _ => device,
    };
    Ok(match (cell.section.as_str(), data::of(cell)) {
        ("fused", Some(Inputs::Elements(p, t))) => {
            let t = Elements::new(t, &device);
            mean_of_elements(name).map(|loss| fused(vector(p, &device), move |p| loss(p, &t)))
        }
        ("fused", Some(Inputs::Labels(p, t))) => {
            let t = labels(t, &device);
            mean_of_labels(name).map(|loss| fused(rows(p, &device), move |p| loss(p, t.clone())))
        }
        ("fused", Some(Inputs::Dense(p, t))) => {
            let t = rows(t, &device);
            dense(name).map(|loss| fused(rows(p, &device), move |p| loss(p, t.clone()).mean()))
        }
        ("plain", Some(Inputs::Elements(p, t))) => {
            let (p, t) = (vector(p, &device), Elements::new(t, &device));
            elements(name).map(|loss| running(move || loss(p.clone(), &t)))
        }
        ("plain", Some(Inputs::Labels(p, t))) => {
            let (p, t) = (rows(p, &device), labels(t, &device));
            of_labels(name).map(|loss| running(move || loss(p.clone(), t.clone())))
        }
        ("plain", Some(Inputs::Dense(p, t))) => {
            let (p, t) = (rows(p, &device), rows(t, &device));
            dense(name).map(|loss| running(move || loss(p.clone(), t.clone())))
        }
        ("value", Some(Inputs::Elements(p, t))) => {
            let (p, t) = (vector(p, &device), Elements::new(t, &device));
            mean_of_elements(name).map(|loss| running(move || loss(p.clone(), &t)))
        }
        ("value", Some(Inputs::Dense(p, t))) => {
            let (p, t) = (rows(p, &device), rows(t, &device));
            dense(name).map(|loss| running(move || loss(p.clone(), t.clone()).mean()))
        }
        _ => None,
    })
}

fn data_of<D: Dimension>(array: Array<f32, D>) -> TensorData {
    let shape = array.shape().to_vec();
    TensorData::new(array.into_raw_vec_and_offset().0, shape)
}

fn vector(array: Array1<f32>, device: &Device) -> Tensor<1> {
    Tensor::from_data(data_of(array), device)
}

fn rows(array: Array2<f32>, device: &Device) -> Tensor<2> {
    Tensor::from_data(data_of(array), device)
}

fn labels(array: Array1<usize>, device: &Device) -> Tensor<1, Int> {
    let labels: Vec<_> = array.iter().map(|&label| label as i64).collect();
    let shape = vec![labels.len()];
    Tensor::from_data(TensorData::new(labels, shape), device)
}

/// Targets of an element-wise loss; the binary cross-entropies want integers.
struct Elements {
    floats: Tensor<1>,
    classes: Tensor<1, Int>,
}

impl Elements {
    fn new(array: Array1<f32>, device: &Device) -> Self {
        let floats = vector(array, device);
        let classes = floats.clone().int();
        Self { floats, classes }
    }
}

/// Forward and backward.
fn fused<const D: usize, L>(p: Tensor<D>, mean: L) -> Box<dyn Work>
where
    L: Fn(Tensor<D>) -> Tensor<1> + Send + 'static,
{
    let p = p.require_grad();
    let step = move || {
        let loss = mean(p.clone());
        let gradient = p.grad_remove(&mut loss.backward());
        Ok::<_, Infallible>((loss, gradient))
    };
    let read = |(loss, gradient): (Tensor<1>, Option<Tensor<D>>)| {
        Ok(Summary {
            value: Some(mean_of(loss)?),
            gradient: gradient.map(sum_of_sizes).transpose()?,
        })
    };
    Box::new(Stepping { step, read })
}

fn running<const D: usize, S>(mut step: S) -> Box<dyn Work>
where
    S: FnMut() -> Tensor<D> + Send + 'static,
{
    Box::new(Stepping {
        step: move || Ok::<_, Infallible>(step()),
        read: |result| {
            Ok(Summary {
                value: Some(mean_of(result)?),
                gradient: None,
            })
        },
    })
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f64>, Box<dyn Error>> {
    let numbers = tensor.into_data().try_to_vec::<f32>();
    let numbers = numbers.map_err(|error| format!("{error:?}"))?;
    Ok(numbers.into_iter().map(f64::from).collect())
}

fn mean_of<const D: usize>(tensor: Tensor<D>) -> Result<f64, Box<dyn Error>> {
    let numbers = numbers(tensor)?;
    Ok(numbers.iter().sum::<f64>() / numbers.len() as f64)
}

fn sum_of_sizes<const D: usize>(tensor: Tensor<D>) -> Result<f64, Box<dyn Error>> {
    Ok(numbers(tensor)?.into_iter().map(f64::abs).sum())
}

type ElementLoss = fn(Tensor<1>, &Elements) -> Tensor<1>;
type LabelLoss = fn(Tensor<2>, Tensor<1, Int>) -> Tensor<1>;
type DenseLoss = fn(Tensor<2>, Tensor<2>) -> Tensor<2>;

fn elements(name: &str) -> Option<ElementLoss> {
    Some(match name {
        "squared_error" => |p, t| MseLoss::new().forward_no_reduction(p, t.floats.clone()),
        "huber_loss" => |p, t| {
            let loss = HuberLossConfig::new(1.0).init();
            loss.forward_no_reduction(p, t.floats.clone())
        },
        "binary_crossentropy" => |p, t| {
            let t = t.floats.clone();
            (t.clone() - 1) * p.clone().neg().log1p() - t * p.log()
        },
        "binary_hinge_loss" => |p, t| relu(1 - p * t.floats.clone()),
        "binary_crossentropy_with_logits" => {
            |x, t| (1 - t.floats.clone()) * x.clone() - log_sigmoid(x)
        }
        _ => return None,
    })
}

fn mean_of_elements(name: &str) -> Option<ElementLoss> {
    Some(match name {
        "squared_error" => |p, t| MseLoss::new().forward(p, t.floats.clone(), Reduction::Mean),
        "huber_loss" => |p, t| {
            let loss = HuberLossConfig::new(1.0).init();
            loss.forward(p, t.floats.clone(), Reduction::Mean)
        },
        "binary_crossentropy" => |p, t| {
            let loss = BinaryCrossEntropyLossConfig::new().init(&p.device());
            loss.forward(p, t.classes.clone())
        },
        "binary_hinge_loss" => |p, t| relu(1 - p * t.floats.clone()).mean(),
        "binary_crossentropy_with_logits" => |x, t| {
            let config = BinaryCrossEntropyLossConfig::new().with_logits(true);
            config.init(&x.device()).forward(x, t.classes.clone())
        },
        _ => return None,
    })
}

fn of_labels(name: &str) -> Option<LabelLoss> {
    Some(match name {
        "categorical_crossentropy" => {
            |p, t| p.gather(1, t.unsqueeze_dim(1)).log().neg().squeeze_dim(1)
        }
        "multiclass_hinge_loss" => multiclass_hinge,
        "categorical_crossentropy_with_logits" => |x, t| {
            log_softmax(x, 1)
                .gather(1, t.unsqueeze_dim(1))
                .neg()
                .squeeze_dim(1)
        },
        _ => return None,
    })
}

fn mean_of_labels(name: &str) -> Option<LabelLoss> {
    Some(match name {
        "categorical_crossentropy" => |p, t| {
            let config = CrossEntropyLossConfig::new().with_logits(false);
            config.init(&p.device()).forward(p, t)
        },
        "multiclass_hinge_loss" => |p, t| multiclass_hinge(p, t).mean(),
        "categorical_crossentropy_with_logits" => |x, t| {
            let config = CrossEntropyLossConfig::new();
            config.init(&x.device()).forward(x, t)
        },
        _ => return None,
    })
}

/// The largest violation; `MultiMarginLoss` adds all of them up.
fn multiclass_hinge(p: Tensor<2>, t: Tensor<1, Int>) -> Tensor<1> {
    let own = t.unsqueeze_dim::<2>(1);
    let score = p.clone().gather(1, own.clone());
    let far = score.zeros_like().add_scalar(f32::MIN);
    let rival = p.scatter(1, own, far, IndexingUpdateOp::Add).max_dim(1);
    relu(rival - score + 1).squeeze_dim(1)
}

fn dense(name: &str) -> Option<DenseLoss> {
    Some(match name {
        "categorical_crossentropy" => |p, t| (t * p.log()).sum_dim(1).neg(),
        "categorical_crossentropy_with_logits" => |x, t| (t * log_softmax(x, 1)).sum_dim(1).neg(),
        _ => return None,
    })
}

fn accuracy(p: Tensor<2>, t: Tensor<1, Int>, top_k: usize) -> Tensor<1> {
    let own = t.unsqueeze_dim::<2>(1);
    match top_k {
        1 => p.argmax(1).equal(own).float().mean(),
        _ => {
            let (_, classes) = p.topk_with_indices(top_k, 1);
            classes
                .equal(own.repeat_dim(1, top_k))
                .any_dim(1)
                .float()
                .mean()
        }
    }
}
