//! The name of a cell: what is done, with which loss, on how many elements.

use std::fmt::Display;
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

fn number<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}
