//! The files of golden vectors.

use std::error::Error;
use std::fmt;

use ndarray::{ArrayD, Dimension, IxDyn};
use serde::Deserialize;
use serde_json::Value;

use crate::catalogue::{Number, Targets};

pub(crate) type Failure = Box<dyn Error>;
pub(crate) type Check = Result<(), Failure>;

/// A case: its fields by name.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Case(Value);

/// All cases of a file.
#[derive(Debug, Deserialize)]
pub(crate) struct Cases {
    cases: Vec<Case>,
}

/// An array as it is written.
#[derive(Debug, Deserialize)]
struct Written {
    shape: Vec<usize>,
    dtype: String,
    data: Vec<Value>,
}

/// A score of scikit-learn.
#[derive(Debug, Deserialize)]
pub(crate) struct Score {
    pub(crate) normalize: bool,
    pub(crate) weighted: bool,
    pub(crate) top_k: Option<usize>,
    value: f64,
}

impl Cases {
    pub(crate) fn read(file: &str) -> Self {
        let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path);
        assert!(text.is_ok(), "cannot read {path}: {:?}", text.err());
        let cases = serde_json::from_str(&text.unwrap_or_default());
        match cases {
            Ok(cases) => cases,
            Err(error) => unreachable!("{path}: {error}"),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.cases.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let case = self.0["case"].as_str().unwrap_or("?");
        write!(f, "{} / {case}", self.function())
    }
}

impl Case {
    pub(crate) fn function(&self) -> &str {
        self.0["function"].as_str().unwrap_or("?")
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        !self.0[field].is_null()
    }

    pub(crate) fn has_no_parameters(&self) -> bool {
        self.0["params"]
            .as_object()
            .is_none_or(serde_json::Map::is_empty)
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<f64> {
        self.0["params"][name].as_f64()
    }

    pub(crate) fn required(&self, name: &str) -> Result<f64, Failure> {
        self.parameter(name)
            .ok_or_else(|| format!("no parameter {name}").into())
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Failure> {
        let flag = self.0["params"][name].as_bool();
        flag.ok_or_else(|| format!("no parameter {name}").into())
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str, Failure> {
        let text = self.0["params"][name].as_str();
        text.ok_or_else(|| format!("no parameter {name}").into())
    }

    pub(crate) fn list(&self, name: &str) -> Option<Vec<f64>> {
        let list = self.0["params"][name].as_array()?;
        Some(list.iter().filter_map(Value::as_f64).collect())
    }

    pub(crate) fn scores(&self) -> Result<Vec<Score>, Failure> {
        Ok(Vec::deserialize(&self.0["scores"])?)
    }

    fn written(&self, field: &str) -> Result<Written, Failure> {
        Written::deserialize(&self.0[field]).map_err(|error| format!("{field}: {error}").into())
    }

    pub(crate) fn is_f32(&self) -> bool {
        let inputs = if self.has("predictions") {
            "predictions"
        } else {
            "loss"
        };
        self.0[inputs]["dtype"] == "float32"
    }

    pub(crate) fn array<F: Number>(&self, field: &str) -> Result<ArrayD<F>, Failure> {
        Ok(self.numbers(field)?.mapv(F::of))
    }

    fn numbers(&self, field: &str) -> Result<ArrayD<f64>, Failure> {
        let Written { shape, data, .. } = self.written(field)?;
        let numbers: Result<Vec<_>, _> = data.iter().map(number).collect();
        Ok(ArrayD::from_shape_vec(IxDyn(&shape), numbers?)?)
    }

    pub(crate) fn labels(&self) -> Result<ArrayD<i64>, Failure> {
        Ok(self.numbers("targets")?.mapv(|label| label as i64))
    }

    pub(crate) fn targets<F: Number>(&self) -> Result<Targets<F>, Failure> {
        Ok(if self.written("targets")?.dtype.starts_with("int") {
            Targets::Signed(self.labels()?)
        } else {
            Targets::Floats(self.array("targets")?)
        })
    }

    /// Fails where an element is not as near as the file's README says.
    pub(crate) fn compare<F: Number>(&self, method: &str, field: &str, got: &ArrayD<F>) -> Check {
        let want = self.numbers(field)?;
        if got.shape() != want.shape() {
            let (got, want) = (got.shape(), want.shape());
            return Err(format!("{method}: shape {got:?}, want {want:?}").into());
        }
        for ((index, &got), &want) in got.indexed_iter().zip(&want) {
            near(got, want, tolerance::<F>(want), || {
                format!("{method}, {field}{:?}", index.slice())
            })?;
        }
        Ok(())
    }

    pub(crate) fn compare_number<F: Number>(&self, method: &str, field: &str, got: F) -> Check {
        let want = self.numbers(field)?.sum();
        near(got, want, tolerance::<F>(want), || {
            format!("{method}, {field}")
        })
    }

    /// The sum of all losses: as near as they are together.
    pub(crate) fn compare_sum<F: Number>(&self, method: &str, got: F) -> Check {
        let want = self.numbers("loss")?;
        let allowed = want.mapv(tolerance::<F>).sum();
        near(got, want.sum(), allowed, || format!("{method}, the sum"))
    }

    pub(crate) fn compare_score(&self, score: &Score, got: f64) -> Check {
        near(got, score.value, tolerance::<f64>(score.value), || {
            format!("{score:?}")
        })
    }
}

/// How far from a golden number a result may be.
fn tolerance<F: Number>(want: f64) -> f64 {
    match F::NAME {
        "f32" => 1e-5 * want.abs() + 2e-6,
        _ => 1e-12 * want.abs() + 1e-14,
    }
}

fn near<F: Number>(got: F, want: f64, allowed: f64, what: impl Fn() -> String) -> Check {
    let got = got.wide();
    // infinities are equal or far
    if got == want || (got - want).abs() <= allowed && want.is_finite() {
        Ok(())
    } else {
        Err(format!("{}: got {got:e}, want {want:e}", what()).into())
    }
}

fn number(value: &Value) -> Result<f64, Failure> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::String(text) => match text.as_str() {
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
    .ok_or_else(|| format!("not a number: {value}").into())
}

/// What failed, of all cases.
#[derive(Debug, Default)]
pub(crate) struct Report {
    checked: usize,
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, case: &Case, checked: Check) {
        self.checked += 1;
        if let Err(failure) = checked {
            self.failures.push(format!("{case}: {failure}"));
        }
    }

    pub(crate) fn finish(self, cases: usize) {
        assert_eq!(self.checked, cases, "cases checked");
        let count = self.failures.len();
        assert!(
            count == 0,
            "{count} cases failed:\n{}",
            self.failures.join("\n")
        );
    }
}
