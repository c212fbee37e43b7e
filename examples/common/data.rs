//! Reads the tables in `examples/data` and holds out a fifth of their rows.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use csv::ReaderBuilder;
use flate2::read::GzDecoder;
use ndarray::{Array1, Array2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// How a file is written.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    pub(crate) delimiter: u8,
    pub(crate) header: bool,
}

/// One row of inputs and one target a sample.
pub(crate) struct Samples {
    pub(crate) inputs: Array2<f64>,
    pub(crate) targets: Array1<f64>,
}

impl Samples {
    /// These rows of the table; the target is its last column.
    fn select(table: &Array2<f64>, rows: &[usize]) -> Self {
        let rows = table.select(Axis(0), rows);
        let (inputs, targets) = rows.view().split_at(Axis(1), rows.ncols() - 1);
        Self {
            inputs: inputs.to_owned(),
            targets: targets.column(0).to_owned(),
        }
    }
}

/// Reads a file of `examples/data`, through gzip where its name ends in `.gz`.
pub(crate) fn read_table(name: &str, format: Format) -> Result<Array2<f64>, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/data")
        .join(name);
    let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let text: Box<dyn Read> = if name.ends_with(".gz") {
        Box::new(GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut reader = ReaderBuilder::new()
        .delimiter(format.delimiter)
        .has_headers(format.header)
        .flexible(format.header) // the header may have fewer columns
        .from_reader(text);
    let rows = reader.deserialize().collect::<Result<Vec<Vec<f64>>, _>>()?;
    let shape = (rows.len(), rows.first().map_or(0, Vec::len));
    Ok(Array2::from_shape_vec(shape, rows.concat())?)
}

/// Four fifths of the rows to train with and one fifth to test with. The rows are shuffled, always in the same way.
pub(crate) fn hold_out_a_fifth(table: &Array2<f64>) -> (Samples, Samples) {
    let mut rows: Vec<usize> = (0..table.nrows()).collect();
    rows.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    let (test, train) = rows.split_at(rows.len() / 5);
    (Samples::select(table, train), Samples::select(table, test))
}
