//! The name of a cell: what is done, with which loss, on how many elements.

use std::fmt::Display;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::Deserialize;

/// `section/loss/items` or `section/loss/itemsxclasses`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Cell {
    pub(crate) section: String,
    pub(crate) loss: String,
    pub(crate) items: usize,
    /// 1 for an element-wise loss.
    pub(crate) classes: usize,
}

impl TryFrom<String> for Cell {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let mut parts = name.split('/');
        let (Some(section), Some(loss), Some(shape), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(format!("{name:?} is not section/loss/shape"));
        };
        let (items, classes) = shape.split_once('x').unwrap_or((shape, "1"));
        Ok(Self {
            section: section.to_owned(),
            loss: loss.to_owned(),
            items: number(items)?,
            classes: number(classes)?,
        })
    }
}

impl Cell {
    /// The loss, without the kind of its targets.
    pub(crate) fn name(&self) -> &str {
        self.loss.split(':').next().unwrap_or_default()
    }

    /// `labels` or `dense`.
    pub(crate) fn targets(&self) -> Option<&str> {
        self.loss.split_once(':').map(|(_, kind)| kind)
    }

    /// k, if it is a top-k accuracy.
    pub(crate) fn top_k(&self) -> Result<Option<usize>, ParseIntError> {
        match self.section.as_str() {
            "accuracy" => self.loss.trim_start_matches("top").parse().map(Some),
            _ => Ok(None),
        }
    }
}

fn number<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}
