//! The same numbers as in `data.py`, so that all libraries do the same work.

use ndarray::{Array1, Array2};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::cell::Cell;

/// Predictions and targets.
pub(crate) enum Inputs {
    Elements(Array1<f32>, Array1<f32>),
    Labels(Array2<f32>, Array1<usize>),
    Dense(Array2<f32>, Array2<f32>),
}

/// What a cell works on.
pub(crate) fn of(cell: &Cell) -> Option<Inputs> {
    let n = cell.items;
    if cell.classes > 1 {
        let p = match cell.name() {
            "categorical_crossentropy" => distributions(Stream::Predictions, n, cell.classes),
            _ => rows(-8.0, 8.0, n, cell.classes),
        };
        return match cell.targets() {
            Some("labels") => Some(Inputs::Labels(p, labels(n, cell.classes))),
            Some("dense") => {
                let t = distributions(Stream::Targets, n, cell.classes);
                Some(Inputs::Dense(p, t))
            }
            _ => None,
        };
    }
    let predictions = |low, high| between(Stream::Predictions, low, high, n);
    let classes = |low, high| either(Stream::Targets, low, high, n);
    let (p, t) = match cell.name() {
        "squared_error" | "huber_loss" => (
            predictions(-2.0, 2.0),
            between(Stream::Targets, -2.0, 2.0, n),
        ),
        "binary_crossentropy" => (predictions(0.01, 0.99), classes(0.0, 1.0)),
        "binary_hinge_loss" => (predictions(-2.0, 2.0), classes(-1.0, 1.0)),
        "binary_crossentropy_with_logits" => (predictions(-8.0, 8.0), classes(0.0, 1.0)),
        _ => return None,
    };
    Some(Inputs::Elements(p, t))
}

/// Scores and labels for an accuracy.
pub(crate) fn ranked(cell: &Cell) -> (Array2<f32>, Array1<usize>) {
    let (n, classes) = (cell.items, cell.classes);
    (rows(-8.0, 8.0, n, classes), labels(n, classes))
}

/// Which of the two random sequences of a cell.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Predictions,
    Targets,
}

/// The number of that index in [0, 1), a multiple of 2⁻²⁴ (`splitmix64`).
fn uniform(stream: Stream, index: usize) -> f32 {
    let position = (index as u64 + 1).wrapping_add((stream as u64) << 40);
    let mut z = position.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 40) as f32 / (1 << 24) as f32
}

/// Numbers between two limits.
pub(crate) fn between(stream: Stream, low: f32, high: f32, count: usize) -> Array1<f32> {
    map(stream, count, |u| low + (high - low) * u)
}

/// One of two numbers, as often the one as the other.
fn either(stream: Stream, low: f32, high: f32, count: usize) -> Array1<f32> {
    map(stream, count, |u| if u < 0.5 { low } else { high })
}

fn map(stream: Stream, count: usize, f: impl Fn(f32) -> f32 + Sync) -> Array1<f32> {
    let numbers: Vec<_> = (0..count)
        .into_par_iter()
        .map(|index| f(uniform(stream, index)))
        .collect();
    numbers.into()
}

/// A class for each item.
fn labels(items: usize, classes: usize) -> Array1<usize> {
    (0..items)
        .map(|index| (f64::from(uniform(Stream::Targets, index)) * classes as f64) as usize)
        .collect()
}

/// Numbers between two limits, in rows.
fn rows(low: f32, high: f32, items: usize, classes: usize) -> Array2<f32> {
    let flat = between(Stream::Predictions, low, high, items * classes)
        .into_raw_vec_and_offset()
        .0;
    Array2::from_shape_fn((items, classes), |(item, class)| {
        flat[item * classes + class]
    })
}

/// Rows that add up to 1.
fn distributions(stream: Stream, items: usize, classes: usize) -> Array2<f32> {
    let flat = between(stream, 0.05, 1.05, items * classes);
    let mut rows = Array2::from_shape_fn((items, classes), |(item, class)| {
        flat[item * classes + class]
    });
    for mut row in rows.rows_mut() {
        let sum: f64 = row.iter().map(|&x| f64::from(x)).sum();
        row.mapv_inplace(|x| (f64::from(x) / sum) as f32);
    }
    rows
}
