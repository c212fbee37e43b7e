//! ndarray by hand: the formulas as one would type them, array by array.

use std::convert::Infallible;
use std::error::Error;

use ndarray::{Array, Array1, Array2, ArrayView1, Axis, Dimension};

use crate::cell::Cell;
use crate::data::{self, Inputs};
use crate::work::{Making, Running, Stepping, Summary, Work};

type Maybe = Result<Option<Box<dyn Work>>, Box<dyn Error>>;

pub(crate) fn prepare(cell: &Cell) -> Maybe {
    if let Some(top_k) = cell.top_k()? {
        let (p, t) = data::ranked(cell);
        return Ok(Some(running(move || accuracy(&p, &t, top_k))));
    }
    let name = cell.name();
    Ok(match (cell.section.as_str(), data::of(cell)) {
        ("fused", Some(Inputs::Elements(p, t))) => {
            fused_elements(name).map(|f| fused(move || f(&p, &t)))
        }
        ("fused", Some(Inputs::Labels(p, t))) => {
            fused_labels(name).map(|f| fused(move || f(&p, &t)))
        }
        ("fused", Some(Inputs::Dense(p, t))) => fused_dense(name).map(|f| fused(move || f(&p, &t))),
        ("plain", Some(Inputs::Elements(p, t))) => {
            plain_elements(name).map(|f| making(move || f(&p, &t)))
        }
        ("plain", Some(Inputs::Labels(p, t))) => {
            plain_labels(name).map(|f| making(move || f(&p, &t)))
        }
        ("plain", Some(Inputs::Dense(p, t))) => {
            plain_dense(name).map(|f| making(move || f(&p, &t)))
        }
        ("value", Some(Inputs::Elements(p, t))) => {
            plain_elements(name).map(|f| running(move || mean(&f(&p, &t))))
        }
        ("value", Some(Inputs::Dense(p, t))) => {
            plain_dense(name).map(|f| running(move || mean(&f(&p, &t))))
        }
        _ => None,
    })
}

fn fused<D, S>(mut step: S) -> Box<dyn Work>
where
    D: Dimension + 'static,
    S: FnMut() -> (f32, Array<f32, D>) + Send + 'static,
{
    Box::new(Stepping {
        step: move || Ok::<_, Infallible>(step()),
        read: |(value, gradient): (f32, Array<f32, D>)| {
            Ok(Summary {
                value: Some(value.into()),
                gradient: Some(gradient.iter().map(|&g| f64::from(g.abs())).sum()),
            })
        },
    })
}

fn making<S>(mut step: S) -> Box<dyn Work>
where
    S: FnMut() -> Array1<f32> + Send + 'static,
{
    Box::new(Making(move || Ok::<_, Infallible>(step())))
}

fn running<S>(mut step: S) -> Box<dyn Work>
where
    S: FnMut() -> f32 + Send + 'static,
{
    Box::new(Running(move || Ok::<_, Infallible>(step())))
}

fn mean<D: Dimension>(array: &Array<f32, D>) -> f32 {
    array.mean().unwrap_or(f32::NAN)
}

type Loss<P, T> = fn(&P, &T) -> Array1<f32>;
type Fused<P, T> = fn(&P, &T) -> (f32, P);

fn plain_elements(name: &str) -> Option<Loss<Array1<f32>, Array1<f32>>> {
    Some(match name {
        "squared_error" => |p, t| (p - t).mapv(|d| d * d),
        "huber_loss" => |p, t| (p - t).mapv(huber),
        "binary_crossentropy" => |p, t| -(t * &p.ln()) - (1.0 - t) * &(1.0 - p).ln(),
        "binary_hinge_loss" => |p, t| (1.0 - t * p).mapv(|margin| margin.max(0.0)),
        "binary_crossentropy_with_logits" => |x, t| {
            let softplus = x.mapv(|x| x.max(0.0) + (-x.abs()).exp().ln_1p());
            softplus - x * t
        },
        _ => return None,
    })
}

fn fused_elements(name: &str) -> Option<Fused<Array1<f32>, Array1<f32>>> {
    Some(match name {
        "squared_error" => |p, t| {
            let d = p - t;
            let value = mean(&d.mapv(|d| d * d));
            let factor = 2.0 / d.len() as f32;
            (value, d * factor)
        },
        "huber_loss" => |p, t| {
            let d = p - t;
            let value = mean(&d.mapv(huber));
            let n = d.len() as f32;
            (value, d.mapv_into(|d| d.clamp(-1.0, 1.0) / n))
        },
        "binary_crossentropy" => |p, t| {
            let value = mean(&(-(t * &p.ln()) - (1.0 - t) * &(1.0 - p).ln()));
            let n = p.len() as f32;
            (value, (p - t) / (p * &(1.0 - p)) / n)
        },
        "binary_hinge_loss" => |p, t| {
            let margin = 1.0 - t * p;
            let value = mean(&margin.mapv(|margin| margin.max(0.0)));
            let n = p.len() as f32;
            let violated = margin.mapv(|margin| if margin > 0.0 { -1.0 } else { 0.0 });
            (value, violated * t / n)
        },
        "binary_crossentropy_with_logits" => |x, t| {
            let softplus = x.mapv(|x| x.max(0.0) + (-x.abs()).exp().ln_1p());
            let value = mean(&(softplus - x * t));
            let n = x.len() as f32;
            (value, (x.mapv(|x| 1.0 / (1.0 + (-x).exp())) - t) / n)
        },
        _ => return None,
    })
}

fn huber(d: f32) -> f32 {
    if d.abs() <= 1.0 {
        0.5 * d * d
    } else {
        d.abs() - 0.5
    }
}

fn plain_labels(name: &str) -> Option<Loss<Array2<f32>, Array1<usize>>> {
    Some(match name {
        "categorical_crossentropy" => |p, t| {
            let rows = p.rows().into_iter().zip(t);
            rows.map(|(row, &label)| -row[label].ln()).collect()
        },
        "multiclass_hinge_loss" => |p, t| {
            let rows = p.rows().into_iter().zip(t);
            rows.map(|(row, &label)| (1.0 + row[rival(row, label)] - row[label]).max(0.0))
                .collect()
        },
        "categorical_crossentropy_with_logits" => |x, t| {
            let (shifted, sums) = exponentials(x);
            let rows = shifted.rows().into_iter().zip(t).zip(&sums);
            rows.map(|((row, &label), sum)| sum.ln() - row[label].ln())
                .collect()
        },
        _ => return None,
    })
}

fn fused_labels(name: &str) -> Option<Fused<Array2<f32>, Array1<usize>>> {
    Some(match name {
        "categorical_crossentropy" => |p, t| {
            let n = t.len() as f32;
            let (mut value, mut gradient) = (0.0, Array2::zeros(p.dim()));
            for (item, &label) in t.iter().enumerate() {
                value -= p[(item, label)].ln();
                gradient[(item, label)] = -1.0 / (n * p[(item, label)]);
            }
            (value / n, gradient)
        },
        "multiclass_hinge_loss" => |p, t| {
            let n = t.len() as f32;
            let (mut value, mut gradient) = (0.0, Array2::zeros(p.dim()));
            for (item, (row, &label)) in p.rows().into_iter().zip(t).enumerate() {
                let rival = rival(row, label);
                let margin = 1.0 + row[rival] - row[label];
                if margin > 0.0 {
                    value += margin;
                    gradient[(item, rival)] = 1.0 / n;
                    gradient[(item, label)] = -1.0 / n;
                }
            }
            (value / n, gradient)
        },
        "categorical_crossentropy_with_logits" => |x, t| {
            let n = t.len() as f32;
            let (shifted, sums) = exponentials(x);
            let mut gradient = shifted / &sums.insert_axis(Axis(1)) / n;
            let mut value = 0.0;
            for (item, &label) in t.iter().enumerate() {
                let softmax = &mut gradient[(item, label)];
                value -= (*softmax * n).ln();
                *softmax -= 1.0 / n;
            }
            (value / n, gradient)
        },
        _ => return None,
    })
}

fn plain_dense(name: &str) -> Option<Loss<Array2<f32>, Array2<f32>>> {
    Some(match name {
        "categorical_crossentropy" => |p, t| -(t * &p.ln()).sum_axis(Axis(1)),
        "categorical_crossentropy_with_logits" => |x, t| -(t * &log_softmax(x)).sum_axis(Axis(1)),
        _ => return None,
    })
}

fn fused_dense(name: &str) -> Option<Fused<Array2<f32>, Array2<f32>>> {
    Some(match name {
        "categorical_crossentropy" => |p, t| {
            let n = p.nrows() as f32;
            let value = -(t * &p.ln()).sum() / n;
            (value, -(t / p) / n)
        },
        "categorical_crossentropy_with_logits" => |x, t| {
            let n = x.nrows() as f32;
            let logarithms = log_softmax(x);
            let value = -(t * &logarithms).sum() / n;
            (value, (logarithms.exp() - t) / n)
        },
        _ => return None,
    })
}

/// The class with the largest score, the label aside.
fn rival(row: ArrayView1<'_, f32>, label: usize) -> usize {
    let mut best = (usize::MAX, f32::NEG_INFINITY);
    for (class, &score) in row.iter().enumerate() {
        if class != label && score > best.1 {
            best = (class, score);
        }
    }
    best.0
}

/// exp(x − max x) row by row, and its sums.
fn exponentials(x: &Array2<f32>) -> (Array2<f32>, Array1<f32>) {
    let largest = x.fold_axis(Axis(1), f32::NEG_INFINITY, |&a, &b| a.max(b));
    let exponentials = (x - &largest.insert_axis(Axis(1))).exp();
    let sums = exponentials.sum_axis(Axis(1));
    (exponentials, sums)
}

fn log_softmax(x: &Array2<f32>) -> Array2<f32> {
    let largest = x.fold_axis(Axis(1), f32::NEG_INFINITY, |&a, &b| a.max(b));
    let shifted = x - &largest.insert_axis(Axis(1));
    let logarithms = shifted.exp().sum_axis(Axis(1)).ln();
    shifted - &logarithms.insert_axis(Axis(1))
}

fn accuracy(p: &Array2<f32>, t: &Array1<usize>, top_k: usize) -> f32 {
    let rows = p.rows().into_iter().zip(t);
    let right = rows.filter(|(row, label)| {
        let own = row[**label];
        row.iter().filter(|&&score| score > own).count() < top_k
    });
    right.count() as f32 / t.len() as f32
}
