//! What holds for all losses alike: errors where they are due, and all methods bit for bit the same.

use std::fmt::Debug;

use ndarray::{ArrayD, Axis, Dimension, IxDyn};
use ndarray_loss::LossError;

use crate::number::Number;
use crate::oracle::Near;

/// Why a result is wrong.
pub(crate) type Checked = Result<(), String>;

/// Fails with a message unless a condition holds.
macro_rules! ensure {
    ($holds:expr, $($message:tt)+) => {
        if !$holds {
            return Err(format!($($message)+));
        }
    };
}
pub(crate) use ensure;

/// Errors that a call has to give one of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Due {
    certain: Vec<LossError>,
    /// Where rounding decides.
    pub(crate) possible: Vec<LossError>,
}

impl Due {
    pub(crate) fn certain(&mut self, error: LossError) {
        self.certain.push(error);
    }

    pub(crate) fn is_none(&self) -> bool {
        self.certain.is_empty()
    }

    pub(crate) fn with(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.certain.extend(other.certain.iter().cloned());
        both.possible.extend(other.possible.iter().cloned());
        both
    }

    /// The result, if one is due; an error message if it is wrong.
    pub(crate) fn check<T>(
        &self,
        what: &str,
        result: Result<T, LossError>,
    ) -> Result<Option<T>, String> {
        match result {
            Ok(result) => {
                ensure!(
                    self.is_none(),
                    "{what}: no error, where {:?} is due",
                    self.certain
                );
                Ok(Some(result))
            }
            Err(error) => {
                // by what they say, since a NaN in them is not equal to itself
                let mut all = self.certain.iter().chain(&self.possible);
                let said = format!("{error:?}");
                let fits = all.any(|due| format!("{due:?}") == said);
                ensure!(fits, "{what}: {error:?}, where {self:?} are due");
                ensure!(
                    !error.to_string().is_empty(),
                    "{what}: an error without a message"
                );
                Ok(None)
            }
        }
    }
}

/// Whether a parameter is refused exactly if it has to be.
pub(crate) fn check_parameters<L, F: Number>(
    made: Result<L, LossError>,
    bad: &[(&'static str, F)],
) -> Result<Option<L>, String> {
    match made {
        Ok(loss) => {
            ensure!(bad.is_empty(), "accepted: {bad:?}");
            Ok(Some(loss))
        }
        Err(LossError::InvalidParameter { name, value, .. }) => {
            let fits = bad.iter().any(|&(bad_name, bad)| {
                bad_name == name && bad.wide().to_bits() == value.to_bits()
                    || bad_name == name && bad.is_nan() && value.is_nan()
            });
            ensure!(fits, "refused {name} {value}, where {bad:?} are bad");
            Ok(None)
        }
        Err(error) => Err(format!("{error:?} for parameters")),
    }
}

/// Arrays of the same shape and bits.
pub(crate) fn same<F: Number>(what: &str, got: &ArrayD<F>, want: &ArrayD<F>) -> Checked {
    ensure!(
        got.shape() == want.shape(),
        "{what}: shape {:?}, not {:?}",
        got.shape(),
        want.shape()
    );
    for ((index, got), want) in got.indexed_iter().zip(want) {
        ensure!(
            got.bits() == want.bits(),
            "{what}: {got:?}, not {want:?} at {:?}",
            index.slice()
        );
    }
    Ok(())
}

pub(crate) fn same_number<F: Number>(what: &str, got: F, want: F) -> Checked {
    ensure!(got.bits() == want.bits(), "{what}: {got:?}, not {want:?}");
    Ok(())
}

/// Whether a result is what the oracle says.
pub(crate) fn near<F: Number>(what: impl Debug, got: F, want: Near) -> Checked {
    ensure!(
        want.accepts(got),
        "{what:?}: {got:?}, but the oracle says {want:?}"
    );
    Ok(())
}

/// Shapes as ndarray broadcasts, or n of them for a column.
pub(crate) fn broadcasts(from: &[usize], to: &[usize]) -> bool {
    let plain = from.len() <= to.len()
        && from
            .iter()
            .rev()
            .zip(to.iter().rev())
            .all(|(&from, &to)| from == to || from == 1);
    plain || matches!(*to, [n, 1] if from == [n])
}

/// An array in the shape of the loss, whose broadcasting was checked.
pub(crate) fn broadcast<A: Copy>(from: &ArrayD<A>, to: &[usize]) -> ArrayD<A> {
    match from.broadcast(IxDyn(to)) {
        Some(view) => ArrayD::from_shape_fn(IxDyn(to), |index| view[index]),
        None => from.clone().insert_axis(Axis(1)),
    }
}
