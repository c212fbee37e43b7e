//! Aggregates of losses, and their gradients.

use ndarray::Ix2;
use ndarray_loss::{aggregate, aggregate_gradient};

use crate::by::By;
use crate::check::{Checked, ensure, near, same, same_number};
use crate::number::Number;
use crate::oracle::Near;
use crate::source::{Placed, Source};
use crate::{report, signature};

#[derive(Debug)]
struct Case<F: Number> {
    loss: Placed<F>,
    by: By<F>,
}

pub(crate) fn run<F: Number>(source: &mut Source<'_>) -> u64 {
    let shape = source.shape();
    let palette = source.palette();
    let case = Case::<F> {
        loss: source.numbers(&shape, palette),
        by: By::new(source, &shape),
    };
    report::<F>(&case, || case.check());
    let kinds = (
        std::mem::discriminant(&case.by),
        palette,
        case.by.due(&shape, None).is_none(),
    );
    signature(kinds, &shape)
}

impl<F: Number> Case<F> {
    fn check(&self) -> Checked {
        let (loss, shape) = (self.loss.view(), self.loss.shape());
        let due = self.by.due(shape, None);
        let value = due.check("aggregate", aggregate(loss.clone(), self.by.aggregate()))?;
        let gradient = aggregate_gradient(loss.clone(), self.by.aggregate());
        let gradient = due.check("aggregate_gradient", gradient)?;
        let stored = self.by.aggregate();
        let again = due.check("aggregate by reference", aggregate(loss.clone(), &stored))?;
        let (Some(value), Some(gradient), Some(again)) = (value, gradient, again) else {
            return Ok(());
        };
        same_number("aggregate again", again, value)?;
        near(
            "aggregate",
            value,
            self.by.value(&self.loss.to_owned(), None),
        )?;
        ensure!(
            gradient.shape() == shape,
            "gradient of shape {:?}",
            gradient.shape()
        );
        let (divisor, magnitude) = self.by.divisor(shape, None);
        let cancels = divisor.abs() <= 1e-6 * magnitude || magnitude > f64::MAX / 16.0;
        for (&got, &w) in gradient.iter().zip(&self.by.weights(shape)) {
            let quotient = w.wide() / divisor;
            // The oracle's own sum of the weights is off where they cancel.
            let size = quotient.abs() * (1.0 + magnitude / divisor.abs());
            if w == F::zero() {
                ensure!(got == F::zero(), "gradient {got:?} for a weight of 0");
            } else if !cancels {
                near(
                    ("aggregate_gradient", w),
                    got,
                    Near::relative_to::<F>(quotient, size),
                )?;
            }
        }
        if let Ok(loss) = loss.into_dimensionality::<Ix2>() {
            let of_matrix = aggregate(loss, &stored).map_err(|error| format!("{error:?}"))?;
            same_number("aggregate of a matrix", of_matrix, value)?;
            let of_matrix = aggregate_gradient(loss, &stored);
            let of_matrix = of_matrix.map_err(|error| format!("{error:?}"))?;
            same("gradient of a matrix", &of_matrix.into_dyn(), &gradient)?;
        }
        Ok(())
    }
}
