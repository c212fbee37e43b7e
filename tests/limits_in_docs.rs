//! The tables under `# Limits` in the documentation: every row is read from the source and held against the code.
//!
//! A function whose table is not known here fails, as does one that lost its table.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2};
use ndarray_loss::*;
use support::{Bits, ulps};

/// One table, with what stands around it.
#[derive(Debug)]
struct Table {
    function: String,
    /// The sentences between the heading, or the table before, and this table.
    sentence: String,
    header: Vec<String>,
    rows: Vec<Vec<f64>>,
}

fn source_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn number(cell: &str) -> f64 {
    match cell {
        "∞" => f64::INFINITY,
        "-∞" | "−∞" => f64::NEG_INFINITY,
        _ => cell
            .parse()
            .unwrap_or_else(|_| panic!("{cell:?} is no number")),
    }
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner
        .split('|')
        .map(|cell| cell.trim().to_owned())
        .collect()
}

/// The name in `pub fn name<`.
fn function_name(line: &str) -> Option<&str> {
    let rest = line.trim().strip_prefix("pub fn ")?;
    rest.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .next()
}

/// All tables of a file that stand under `# Limits`.
fn tables_of(source: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let (mut pending, mut in_limits, mut sentence) = (0, false, String::new());
    let mut in_table = false;
    for line in source.lines() {
        let Some(doc) = line.trim_start().strip_prefix("///") else {
            if let Some(name) = function_name(line) {
                let count = tables.len();
                for table in &mut tables[count - pending..] {
                    name.clone_into(&mut table.function);
                }
                pending = 0;
            }
            in_limits = false;
            continue;
        };
        let doc = doc.trim();
        if let Some(heading) = doc.strip_prefix("# ") {
            in_limits = heading == "Limits";
            (sentence, in_table) = (String::new(), false);
        } else if in_limits && doc.starts_with("|-") {
            continue;
        } else if in_limits && doc.starts_with('|') && !in_table {
            let (function, header, rows) = (String::new(), cells(doc), Vec::new());
            tables.push(Table {
                function,
                sentence: std::mem::take(&mut sentence),
                header,
                rows,
            });
            pending += 1;
            in_table = true;
        } else if in_limits && doc.starts_with('|') {
            let row = cells(doc).iter().map(|cell| number(cell)).collect();
            tables.last_mut().unwrap().rows.push(row);
        } else if in_limits {
            in_table = false;
            sentence = format!("{sentence} {doc}").trim().to_owned();
        }
    }
    assert_eq!(pending, 0, "tables that belong to no function");
    tables
}

/// All tables of the crate.
fn tables() -> Vec<Table> {
    let mut files = Vec::new();
    source_files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    files.sort();
    let mut tables = Vec::new();
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        let headings = source
            .lines()
            .filter(|line| line.trim() == "/// # Limits")
            .count();
        let found = tables_of(&source);
        let functions: BTreeSet<_> = found.iter().map(|table| table.function.clone()).collect();
        assert_eq!(
            headings,
            functions.len(),
            "{}: a heading without a table",
            file.display()
        );
        tables.extend(found);
    }
    tables
}

/// Loss and gradient where both are; what accuracies give is only one number.
type Computed<F> = Vec<F>;

/// Alone, and the last of many.
const COUNTS: [usize; 2] = [1, 67];

fn of_element<F: Bits>(loss: impl ElementwiseLoss<F>, row: &[f64], n: usize) -> Computed<F> {
    let [p, t] = [row[0], row[1]].map(|x| Array1::from_elem(n, F::of(x)));
    let (losses, gradient) = loss.loss_and_gradient(&p, &t).unwrap();
    vec![losses[n - 1], gradient[n - 1]]
}

/// Of two classes, whose first is the target's.
fn of_label<F: Bits>(loss: impl ItemwiseLoss<F>, row: &[f64], n: usize) -> Computed<F> {
    let p = Array2::from_shape_fn((n, 2), |(_, j)| F::of(row[j]));
    let (losses, gradient) = loss
        .loss_and_gradient(&p, &Array1::<usize>::zeros(n))
        .unwrap();
    vec![losses[n - 1], gradient[[n - 1, 0]]]
}

/// Of one class with a target, beside a class whose target is 0.
fn of_class<F: Bits>(loss: impl ItemwiseLoss<F>, row: &[f64], n: usize) -> Computed<F> {
    let p = Array2::from_shape_fn((n, 2), |(_, j)| F::of([row[0], 0.5][j]));
    let t = Array2::from_shape_fn((n, 2), |(_, j)| F::of([row[1], 0.0][j]));
    let (losses, gradient) = loss.loss_and_gradient(&p, &t).unwrap();
    vec![losses[n - 1], gradient[[n - 1, 0]]]
}

/// What the function of a table gives for one of its rows; nothing for a table that is not known.
fn compute<F: Bits>(table: &Table, row: &[f64], n: usize) -> Option<Computed<F>> {
    let header: Vec<&str> = table.header.iter().map(String::as_str).collect();
    let pair = BinaryLabels::PlusMinusOne;
    Some(
        match (
            table.function.as_str(),
            table.sentence.as_str(),
            &header[..],
        ) {
            ("squared_error", "", ["p", "t", "loss", "gradient"]) => {
                of_element(SquaredError, row, n)
            }
            ("binary_crossentropy", "", ["p", "t", "loss", "gradient"]) => {
                of_element(BinaryCrossentropy, row, n)
            }
            ("binary_crossentropy_with_logits", "", ["x", "t", "loss", "gradient"]) => {
                of_element(BinaryCrossentropyWithLogits::default(), row, n)
            }
            (
                "huber_loss",
                "For δ = 1; no intermediate overflows where the result does not.",
                ["p", "t", "loss", "gradient"],
            ) => of_element(HuberLoss::new(F::one()).unwrap(), row, n),
            (
                "binary_hinge_loss",
                "For δ = 1, log-odds, labels −1 and 1:",
                ["s", "t", "loss", "gradient"],
            ) => of_element(
                BinaryHingeLoss::new(F::one(), Scores::LogOdds, pair).unwrap(),
                row,
                n,
            ),
            (
                "binary_hinge_loss",
                "For δ = 1, probabilities, labels −1 and 1:",
                ["p", "t", "loss", "gradient"],
            ) => of_element(
                BinaryHingeLoss::new(F::one(), Scores::Probabilities, pair).unwrap(),
                row,
                n,
            ),
            (
                "categorical_crossentropy",
                "Of one class with probability p and target t, beside a class with target 0:",
                ["p", "t", "loss", "gradient"],
            ) => of_class(CategoricalCrossentropy, row, n),
            (
                "multiclass_hinge_loss",
                "For δ = 1, of two classes with scores p (the target's) and q:",
                ["p", "q", "loss", "gradient at p"],
            ) => of_label(MulticlassHingeLoss::new(F::one()).unwrap(), row, n),
            (
                "categorical_crossentropy_with_logits",
                "Of a label with logit x, beside one other class with logit y:",
                ["x", "y", "loss", "gradient at x"],
            ) => of_label(CategoricalCrossentropyWithLogits::default(), row, n),
            (
                "binary_accuracy",
                "For a threshold of ½; there is no gradient.",
                ["p", "t", "accuracy"],
            ) => {
                let [p, t] = [row[0], row[1]].map(|x| Array1::from_elem(n, F::of(x)));
                vec![binary_accuracy(&p, &t, F::of(0.5)).unwrap()[n - 1]]
            }
            (
                "categorical_accuracy",
                "Of two classes with scores p (the target's, the second) and q, for k = 1; there is no gradient.",
                ["p", "q", "accuracy"],
            ) => {
                let scores = Array2::from_shape_fn((n, 2), |(_, j)| F::of(row[1 - j]));
                vec![categorical_accuracy(&scores, &Array1::<usize>::ones(n), 1).unwrap()[n - 1]]
            }
            _ => return None,
        },
    )
}

const FUNCTIONS: [&str; 10] = [
    "binary_accuracy",
    "binary_crossentropy",
    "binary_crossentropy_with_logits",
    "binary_hinge_loss",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_crossentropy_with_logits",
    "huber_loss",
    "multiclass_hinge_loss",
    "squared_error",
];

fn enforce<F: Bits>() {
    for table in tables() {
        for row in &table.rows {
            assert_eq!(
                row.len(),
                table.header.len(),
                "{}: cells of {row:?}",
                table.function
            );
            for n in COUNTS {
                let Some(computed) = compute::<F>(&table, row, n) else {
                    panic!("a table that this test does not know, teach it: {table:?}");
                };
                for ((computed, &documented), column) in
                    computed.iter().zip(&row[2..]).zip(&table.header[2..])
                {
                    // Whole numbers and limits are exact.
                    let allowed = u64::from(documented.fract() != 0.0);
                    assert!(
                        ulps(*computed, F::of(documented)) <= allowed,
                        "{} of {} ({}): the row {row:?} says {documented:?}, computed {computed:?} ({n} elements, {})",
                        column,
                        table.function,
                        table.sentence,
                        F::NAME,
                    );
                }
            }
        }
    }
}

#[test]
fn of_f32() {
    enforce::<f32>();
}

#[test]
fn of_f64() {
    enforce::<f64>();
}

#[test]
fn every_loss_has_a_table() {
    let documented: BTreeSet<_> = tables().into_iter().map(|table| table.function).collect();
    assert_eq!(documented, FUNCTIONS.map(str::to_owned).into());
    for table in tables() {
        let has_nan = table
            .rows
            .iter()
            .any(|row| row[..2].iter().any(|x| x.is_nan()));
        let has_infinity = table
            .rows
            .iter()
            .any(|row| row.iter().any(|x| x.is_infinite()));
        assert!(
            has_nan && has_infinity,
            "{}: no row for NaN, or none for ∞",
            table.function
        );
    }
}

#[test]
fn the_reader_of_tables_reads_them() {
    let source = "/// # Limits\n///\n/// For δ = 2:\n///\n/// | p | t | loss |\n/// |---|---|---|\n/// | -∞ | NaN | 0.5 |\n\
                  ///\n/// # Examples\n/// | 1 | 2 | 3 |\npub fn some_loss<'p>(";
    let tables = tables_of(source);
    assert_eq!(tables.len(), 1);
    assert_eq!(
        (&*tables[0].function, &*tables[0].sentence),
        ("some_loss", "For δ = 2:")
    );
    assert_eq!(tables[0].header, ["p", "t", "loss"]);
    assert_eq!(format!("{:?}", tables[0].rows), "[[-inf, NaN, 0.5]]");
}
