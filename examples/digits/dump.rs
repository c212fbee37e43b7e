//! Writes what another program needs to train the same network in the same way, as CSV without headers.

use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use csv::Writer;

use crate::{History, Images, Network};

/// A folder of tables.
pub(crate) struct Dump {
    folder: PathBuf,
}

impl Dump {
    /// Makes the folder.
    pub(crate) fn new(folder: &Path) -> Result<Self, Box<dyn Error>> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The images, their label in the last column, and the initial weights; biases and velocities start at 0.
    pub(crate) fn start(
        &self,
        network: &Network,
        train: &Images,
        test: &Images,
    ) -> Result<(), Box<dyn Error>> {
        for (name, images) in [("train", train), ("test", test)] {
            let rows = images.pixels.rows().into_iter().zip(&images.labels);
            self.table(
                name,
                rows.map(|(pixels, &label)| pixels.into_iter().copied().chain([label as f32])),
            )?;
        }
        for (name, layer) in [("hidden", &network.hidden), ("output", &network.output)] {
            self.table(name, layer.weights.rows())?;
        }
        Ok(())
    }

    /// A row an epoch: the order of the training images, the losses of the batches, and at the end the mean losses of
    /// the training and the test images.
    pub(crate) fn end(&self, history: &History) -> Result<(), Box<dyn Error>> {
        self.table("orders", &history.orders)?;
        self.table("batches", &history.batches)?;
        let epochs = history.train.iter().zip(&history.test);
        self.table(
            "epochs",
            epochs.map(|(train, test)| [train.loss, test.loss]),
        )
    }

    /// Numbers in full: reading them gives the same bits.
    fn table<R>(&self, name: &str, rows: impl IntoIterator<Item = R>) -> Result<(), Box<dyn Error>>
    where
        R: IntoIterator<Item: Display>,
    {
        let path = self.folder.join(name).with_extension("csv");
        let mut writer = Writer::from_path(&path)?;
        for row in rows {
            writer.write_record(row.into_iter().map(|number| number.to_string()))?;
        }
        writer.flush()?;
        Ok(())
    }
}
