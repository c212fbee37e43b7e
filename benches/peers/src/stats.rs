//! ndarray-stats: values, where it has them; it knows no gradients.

use std::error::Error;

use ndarray_stats::{DeviationExt, EntropyExt, QuantileExt};

use crate::cell::Cell;
use crate::data::{self, Inputs};
use crate::work::{Running, Work};

pub(crate) fn prepare(cell: &Cell) -> Result<Option<Box<dyn Work>>, Box<dyn Error>> {
    if cell.top_k()? == Some(1) {
        let (p, t) = data::ranked(cell);
        return Ok(Some(Box::new(Running(move || {
            let mut right = 0_usize;
            for (row, &label) in p.rows().into_iter().zip(&t) {
                right += usize::from(row.argmax()? == label);
            }
            Ok::<_, ndarray_stats::errors::MinMaxError>(right as f32 / t.len() as f32)
        }))));
    }
    Ok(match (cell.section.as_str(), cell.name(), data::of(cell)) {
        ("value", "squared_error", Some(Inputs::Elements(p, t))) => {
            Some(Box::new(Running(move || {
                p.mean_sq_err(&t).map(|mean| mean as f32)
            })))
        }
        ("value", "categorical_crossentropy", Some(Inputs::Dense(p, t))) => {
            Some(Box::new(Running(move || {
                t.cross_entropy(&p).map(|sum| sum / t.nrows() as f32)
            })))
        }
        _ => None,
    })
}
