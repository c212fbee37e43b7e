//! candle: the losses of `candle_nn::loss`, and tensor expressions where it has none.

use std::error::Error;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{loss, ops};
use ndarray::{Array, Array1, Dimension};

use crate::cell::Cell;
use crate::data::{self, Inputs};
use crate::work::{Stepping, Summary, Work};

type Maybe = std::result::Result<Option<Box<dyn Work>>, Box<dyn Error>>;
type Loss = fn(&Tensor, &Tensor) -> Result<Tensor>;

pub(crate) fn prepare(cell: &Cell) -> Maybe {
    if let Some(top_k) = cell.top_k()? {
        let (p, t) = data::ranked(cell);
        let (p, t) = (tensor(p)?, labels(t)?);
        return Ok(Some(running(move || accuracy(&p, &t, top_k))));
    }
    let Some(inputs) = data::of(cell) else {
        return Ok(None);
    };
    let (p, t) = match inputs {
        Inputs::Elements(p, t) => (tensor(p)?, tensor(t)?),
        Inputs::Labels(p, t) => (tensor(p)?, labels(t)?),
        Inputs::Dense(p, t) => (tensor(p)?, tensor(t)?),
    };
    let mean = mean(&cell.loss);
    Ok(match (cell.section.as_str(), plain(&cell.loss)) {
        ("fused", _) => match mean {
            Some(loss) => Some(fused(Var::from_tensor(&p)?, t, loss)),
            None => None,
        },
        ("value", _) => mean.map(|loss| running(move || loss(&p, &t))),
        ("plain", Some(loss)) => Some(running(move || loss(&p, &t))),
        _ => None,
    })
}

fn tensor<D: Dimension>(array: Array<f32, D>) -> Result<Tensor> {
    let shape = array.shape().to_vec();
    Tensor::from_vec(array.into_raw_vec_and_offset().0, shape, &Device::Cpu)
}

fn labels(array: Array1<usize>) -> Result<Tensor> {
    let labels: Vec<_> = array.iter().map(|&label| label as u32).collect();
    let count = labels.len();
    Tensor::from_vec(labels, count, &Device::Cpu)
}

/// Forward and backward.
fn fused(p: Var, t: Tensor, mean: Loss) -> Box<dyn Work> {
    let step = move || {
        let loss = mean(&p, &t)?;
        let gradient = loss.backward()?.remove(&p);
        Ok::<_, candle_core::Error>((loss, gradient))
    };
    let read = |(loss, gradient): (Tensor, Option<Tensor>)| {
        let sizes = |gradient: Tensor| {
            let sizes = gradient.abs()?.to_dtype(DType::F64)?.sum_all()?;
            sizes.to_scalar()
        };
        Ok(Summary {
            value: Some(mean_of(&loss)?),
            gradient: gradient.map(sizes).transpose()?,
        })
    };
    Box::new(Stepping { step, read })
}

fn running<S>(step: S) -> Box<dyn Work>
where
    S: FnMut() -> Result<Tensor> + Send + 'static,
{
    Box::new(Stepping {
        step,
        read: |result: Tensor| {
            Ok(Summary {
                value: Some(mean_of(&result)?),
                gradient: None,
            })
        },
    })
}

fn mean_of(tensor: &Tensor) -> Result<f64> {
    tensor.to_dtype(DType::F64)?.mean_all()?.to_scalar()
}

fn mean(loss: &str) -> Option<Loss> {
    Some(match loss {
        "squared_error" => loss::mse,
        "huber_loss" => |p, t| loss::huber(p, t, 1.0),
        "binary_crossentropy" => |p, t| binary_crossentropy(p, t)?.mean_all(),
        "binary_hinge_loss" => |p, t| binary_hinge(p, t)?.mean_all(),
        "binary_crossentropy_with_logits" => loss::binary_cross_entropy_with_logit,
        "categorical_crossentropy:labels" => |p, t| crossentropy_of_labels(p, t)?.mean_all(),
        "categorical_crossentropy:dense" => |p, t| crossentropy_of_rows(p, t)?.mean_all(),
        "multiclass_hinge_loss:labels" => |p, t| multiclass_hinge(p, t)?.mean_all(),
        "categorical_crossentropy_with_logits:labels" => loss::cross_entropy,
        "categorical_crossentropy_with_logits:dense" => |x, t| logits_and_rows(x, t)?.mean_all(),
        _ => return None,
    })
}

fn plain(loss: &str) -> Option<Loss> {
    Some(match loss {
        "squared_error" => |p, t| (p - t)?.sqr(),
        "huber_loss" => huber,
        "binary_crossentropy" => binary_crossentropy,
        "binary_hinge_loss" => binary_hinge,
        "binary_crossentropy_with_logits" => |x, t| binary_crossentropy(&ops::sigmoid(x)?, t),
        "categorical_crossentropy:labels" => crossentropy_of_labels,
        "categorical_crossentropy:dense" => crossentropy_of_rows,
        "multiclass_hinge_loss:labels" => multiclass_hinge,
        "categorical_crossentropy_with_logits:labels" => |x, t| {
            let logarithms = ops::log_softmax(x, 1)?;
            logarithms.gather(&t.unsqueeze(1)?, 1)?.neg()?.squeeze(1)
        },
        "categorical_crossentropy_with_logits:dense" => logits_and_rows,
        _ => return None,
    })
}

fn huber(p: &Tensor, t: &Tensor) -> Result<Tensor> {
    let distance = (p - t)?.abs()?;
    let near = distance.le(1.0)?;
    near.where_cond(&(distance.sqr()? * 0.5)?, &(&distance - 0.5)?)
}

fn binary_crossentropy(p: &Tensor, t: &Tensor) -> Result<Tensor> {
    let positive = (t * p.log()?)?;
    let negative = (t.affine(-1.0, 1.0)? * p.affine(-1.0, 1.0)?.log()?)?;
    (positive + negative)?.neg()
}

fn binary_hinge(p: &Tensor, t: &Tensor) -> Result<Tensor> {
    (p * t)?.affine(-1.0, 1.0)?.relu()
}

fn crossentropy_of_labels(p: &Tensor, t: &Tensor) -> Result<Tensor> {
    p.gather(&t.unsqueeze(1)?, 1)?.log()?.neg()?.squeeze(1)
}

fn crossentropy_of_rows(p: &Tensor, t: &Tensor) -> Result<Tensor> {
    (t * p.log()?)?.sum(1)?.neg()
}

/// The largest violation.
fn multiclass_hinge(p: &Tensor, t: &Tensor) -> Result<Tensor> {
    let own = t.unsqueeze(1)?;
    let score = p.gather(&own, 1)?;
    let classes = Tensor::arange(0, p.dim(1)? as u32, p.device())?;
    let is_own = own.broadcast_eq(&classes.unsqueeze(0)?)?;
    let far = Tensor::full(f32::MIN, p.shape(), p.device())?;
    let rival = is_own.where_cond(&far, p)?.max_keepdim(1)?;
    ((rival - score)? + 1.0)?.relu()?.squeeze(1)
}

fn logits_and_rows(x: &Tensor, t: &Tensor) -> Result<Tensor> {
    (t * ops::log_softmax(x, 1)?)?.sum(1)?.neg()
}

fn accuracy(p: &Tensor, t: &Tensor, top_k: usize) -> Result<Tensor> {
    let right = match top_k {
        1 => p.argmax(1)?.eq(t)?.to_dtype(DType::F32)?,
        _ => {
            let first = p.arg_sort_last_dim(false)?.narrow(1, 0, top_k)?;
            let right = first.broadcast_eq(&t.unsqueeze(1)?)?;
            right.to_dtype(DType::F32)?.sum(1)?
        }
    };
    right.mean_all()
}
