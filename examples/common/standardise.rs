//! Brings the columns of a table to mean 0 and standard deviation 1.

use std::error::Error;

use ndarray::Array2;
use ndarray_stats::SummaryStatisticsExt;

/// Standardises both tables with the means and standard deviations of the first.
pub(crate) fn standardise(
    train: &mut Array2<f64>,
    test: &mut Array2<f64>,
) -> Result<(), Box<dyn Error>> {
    for (mut train, mut test) in train.columns_mut().into_iter().zip(test.columns_mut()) {
        let mean = SummaryStatisticsExt::mean(&*train)?;
        let deviation = train.central_moment(2)?.sqrt();
        for column in [&mut train, &mut test] {
            column.mapv_inplace(|x| (x - mean) / deviation);
        }
    }
    Ok(())
}
