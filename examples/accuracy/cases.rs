//! Every function with its options: how its inputs are drawn, computed, and computed exactly.

use std::error::Error;

use ndarray::{ArrayView1, ArrayView2};
use ndarray_loss::{
    Aggregate, BinaryCrossentropy, BinaryCrossentropyWithLogits, BinaryHingeLoss, BinaryLabels,
    CategoricalCrossentropy, CategoricalCrossentropyWithLogits, ElementwiseLoss, HuberLoss,
    ItemwiseLoss, LossError, MulticlassHingeLoss, Scores, SquaredError, aggregate, log_sigmoid,
    log_sigmoid_vjp, log_softmax, log_softmax_vjp, log_sum_exp, log_sum_exp_vjp, sigmoid,
    sigmoid_vjp, softmax, softmax_vjp,
};

use crate::judge::Number;
use crate::real::Real;
use crate::reference::{self, Exact, Options, Softmax, Wanted};
use crate::sample::{self, Batch, Form, Random, Region, Targets};

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// What a function made of a batch: its values, and its gradients.
pub(crate) struct Computed<F> {
    pub(crate) values: Vec<F>,
    pub(crate) gradient: Vec<F>,
}

/// Classes and rows; one class for element-wise functions.
type Shape = (usize, usize);
type Draw<F> = Box<dyn Fn(Region, Shape, &mut Random) -> Batch<F> + Sync>;
type Compute<F> = Box<dyn Fn(&Batch<F>) -> Result<Computed<F>, Failure> + Sync>;
type Exactly<F> = Box<dyn Fn(&Batch<F>, usize, &mut Vec<Exact<<F as Number>::Real>>) + Sync>;

/// A function with its gradient.
pub(crate) struct Case<F: Number> {
    pub(crate) name: &'static str,
    /// What values and gradients are called.
    pub(crate) of: [&'static str; 2],
    /// The names of the parameters.
    pub(crate) parameters: &'static [&'static str],
    pub(crate) regions: &'static [Region],
    pub(crate) is_itemwise: bool,
    pub(crate) draw: Draw<F>,
    pub(crate) compute: Compute<F>,
    /// Of one item: its values, then its gradient.
    pub(crate) exactly: Exactly<F>,
}

impl<F: Number> Case<F> {
    /// In ULP.
    pub(crate) fn budget(&self) -> f64 {
        if self.is_itemwise { 8.0 } else { 4.0 }
    }
}

const HARD: &[Region] = &[Region::Right, Region::Wrong];
const ALL_TARGETS: &[Region] = &[Region::Right, Region::Wrong, Region::Soft];
const LABELLED_ROWS: &[Region] = &[
    Region::Right,
    Region::Wrong,
    Region::Spread,
    Region::Extreme,
];
const ROWS: &[Region] = &[
    Region::Right,
    Region::Wrong,
    Region::Soft,
    Region::Spread,
    Region::Extreme,
];

/// All of them.
pub(crate) fn cases<F: Number>() -> Vec<Case<F>> {
    let mut cases = elementwise_losses();
    cases.extend(itemwise_losses());
    cases.extend(activations());
    cases
}

fn elementwise_losses<F: Number>() -> Vec<Case<F>> {
    let (zero, none) = (F::zero(), [F::zero(); 2]);
    let mut cases = vec![
        elementwise(
            "squared_error",
            &[],
            HARD,
            |_| Ok(SquaredError),
            move |region, (_, count), random| {
                sample::pairs(count, none, || sample::numbers(region, F::one(), random))
            },
            |p, t, _, out| reference::squared_error(p, t, out),
        ),
        elementwise(
            "huber_loss",
            &["δ"],
            HARD,
            |[delta, _]| HuberLoss::new(delta),
            move |region, (_, count), random| {
                let delta = sample::margin::<F>(random);
                sample::pairs(count, [delta, zero], || {
                    sample::numbers(region, delta, random)
                })
            },
            |p, t, [delta, _], out| reference::huber_loss(p, t, delta, out),
        ),
        elementwise(
            "binary_crossentropy",
            &[],
            ALL_TARGETS,
            |_| Ok(BinaryCrossentropy),
            move |region, (_, count), random| {
                sample::pairs(count, none, || sample::binary_probability(region, random))
            },
            |p, t, _, out| reference::binary_crossentropy(p, t, out),
        ),
        elementwise(
            "binary_crossentropy_with_logits",
            &[],
            ALL_TARGETS,
            |_| Ok(BinaryCrossentropyWithLogits::default()),
            move |region, (_, count), random| {
                sample::pairs(count, none, || sample::binary_logit(region, random))
            },
            |x, t, _, out| {
                let options = Options {
                    pos_weight: F::Real::one(),
                    smoothing: F::Real::zero(),
                };
                reference::binary_crossentropy_with_logits(x, t, options, out);
            },
        ),
        elementwise(
            "binary_crossentropy_with_logits, pos_weight",
            &["w"],
            ALL_TARGETS,
            |[weight, _]| BinaryCrossentropyWithLogits::default().pos_weight(weight),
            move |region, (_, count), random| {
                let parameters = [sample::pos_weight(random), zero];
                sample::pairs(count, parameters, || sample::binary_logit(region, random))
            },
            |x, t, [pos_weight, smoothing], out| {
                let options = Options {
                    pos_weight,
                    smoothing,
                };
                reference::binary_crossentropy_with_logits(x, t, options, out);
            },
        ),
        elementwise(
            "binary_crossentropy_with_logits, pos_weight, label_smoothing",
            &["w", "ε"],
            ALL_TARGETS,
            |[weight, smoothing]| {
                BinaryCrossentropyWithLogits::default()
                    .pos_weight(weight)?
                    .label_smoothing(smoothing)
            },
            move |region, (_, count), random| {
                let parameters = [sample::pos_weight(random), sample::smoothing(random)];
                sample::pairs(count, parameters, || sample::binary_logit(region, random))
            },
            |x, t, [pos_weight, smoothing], out| {
                let options = Options {
                    pos_weight,
                    smoothing,
                };
                reference::binary_crossentropy_with_logits(x, t, options, out);
            },
        ),
    ];
    let (zero_one, signs) = (BinaryLabels::ZeroOne, BinaryLabels::PlusMinusOne);
    for (name, scores, labels) in [
        (
            "binary_hinge_loss, log-odds, 0/1",
            Scores::LogOdds,
            zero_one,
        ),
        ("binary_hinge_loss, log-odds, ±1", Scores::LogOdds, signs),
        (
            "binary_hinge_loss, probabilities, 0/1",
            Scores::Probabilities,
            zero_one,
        ),
        (
            "binary_hinge_loss, probabilities, ±1",
            Scores::Probabilities,
            signs,
        ),
    ] {
        let probabilities = matches!(scores, Scores::Probabilities);
        cases.push(elementwise(
            name,
            &["δ"],
            ALL_TARGETS,
            move |[delta, _]| BinaryHingeLoss::new(delta, scores, labels),
            move |region, (_, count), random| {
                let delta = sample::margin::<F>(random);
                sample::pairs(count, [delta, zero], || {
                    sample::hinge_input(region, probabilities, labels, delta, random)
                })
            },
            move |p, t, [delta, _], out| {
                reference::binary_hinge_loss(p, t, delta, (scores, labels), out);
            },
        ));
    }
    cases
}

fn itemwise_losses<F: Number>() -> Vec<Case<F>> {
    let none = [F::zero(); 2];
    let mut cases = Vec::new();
    for (form, name, regions) in [
        (Form::Labels, "categorical_crossentropy, labels", HARD),
        (Form::Rows, "categorical_crossentropy, rows", ALL_TARGETS),
    ] {
        cases.push(itemwise(
            name,
            &[],
            regions,
            |_| Ok(CategoricalCrossentropy),
            move |region, shape, random| sample::probability_rows(region, form, shape, random),
            |row, wanted, _, out| {
                reference::categorical_crossentropy(&numbers(row), wanted, out);
            },
        ));
    }
    for (form, name) in [
        (Form::Labels, "multiclass_hinge_loss, labels"),
        (Form::Rows, "multiclass_hinge_loss, rows"),
    ] {
        cases.push(itemwise(
            name,
            &["δ"],
            LABELLED_ROWS,
            |[delta, _]| MulticlassHingeLoss::new(delta),
            move |region, shape, random| {
                let delta = sample::margin::<F>(random);
                sample::score_rows(region, form, shape, delta, random)
            },
            |row, wanted, [delta, _], out| {
                let label = match wanted {
                    Wanted::Label(label) => label,
                    Wanted::Row(row) => row.iter().position(|t| !t.is_zero()).unwrap_or(0),
                };
                reference::multiclass_hinge_loss(&numbers(row), label, delta, out);
            },
        ));
    }
    for (form, name, regions) in [
        (
            Form::Labels,
            "categorical_crossentropy_with_logits, labels",
            LABELLED_ROWS,
        ),
        (
            Form::Rows,
            "categorical_crossentropy_with_logits, rows",
            ROWS,
        ),
    ] {
        cases.push(itemwise(
            name,
            &[],
            regions,
            |_| Ok(CategoricalCrossentropyWithLogits::default()),
            move |region, shape, random| sample::logit_rows(region, form, shape, none, random),
            |row, wanted, _, out| {
                Softmax::new(&logits(row)).crossentropy(wanted, F::Real::zero(), out);
            },
        ));
    }
    for (form, name, regions) in [
        (
            Form::Labels,
            "categorical_crossentropy_with_logits, labels, label_smoothing",
            HARD,
        ),
        (
            Form::Rows,
            "categorical_crossentropy_with_logits, rows, label_smoothing",
            ALL_TARGETS,
        ),
    ] {
        cases.push(itemwise(
            name,
            &["ε"],
            regions,
            |[smoothing, _]| {
                CategoricalCrossentropyWithLogits::default().label_smoothing(smoothing)
            },
            move |region, shape, random| {
                let parameters = [sample::smoothing(random), F::zero()];
                sample::logit_rows(region, form, shape, parameters, random)
            },
            |row, wanted, [smoothing, _], out| {
                Softmax::new(&logits(row)).crossentropy(wanted, smoothing, out);
            },
        ));
    }
    cases
}

fn activations<F: Number>() -> Vec<Case<F>> {
    let of = ["value", "vjp"];
    let none = [F::zero(); 2];
    let mut cases = vec![
        Case {
            of,
            compute: Box::new(|batch| {
                let (x, g) = pairs(batch);
                Ok(Computed {
                    values: sigmoid(x)?.into_raw_vec_and_offset().0,
                    gradient: sigmoid_vjp(x, g)?.into_raw_vec_and_offset().0,
                })
            }),
            ..elementwise(
                "sigmoid",
                &[],
                HARD,
                |_| Ok(SquaredError),
                move |region, (_, count), random| {
                    sample::pairs(count, none, || sample::logit_and_cotangent(region, random))
                },
                |x, g, _, out| reference::sigmoid(x, g, out),
            )
        },
        Case {
            of,
            compute: Box::new(|batch| {
                let (x, g) = pairs(batch);
                Ok(Computed {
                    values: log_sigmoid(x)?.into_raw_vec_and_offset().0,
                    gradient: log_sigmoid_vjp(x, g)?.into_raw_vec_and_offset().0,
                })
            }),
            ..elementwise(
                "log_sigmoid",
                &[],
                HARD,
                |_| Ok(SquaredError),
                move |region, (_, count), random| {
                    sample::pairs(count, none, || sample::logit_and_cotangent(region, random))
                },
                |x, g, _, out| reference::log_sigmoid(x, g, out),
            )
        },
    ];
    cases.push(of_rows(
        "softmax",
        |x, g| {
            Ok(Computed {
                values: softmax(x)?.into_raw_vec_and_offset().0,
                gradient: softmax_vjp(x, g)?.into_raw_vec_and_offset().0,
            })
        },
        |softmax, cotangent, out| softmax.softmax(&cotangent, out),
    ));
    cases.push(of_rows(
        "log_softmax",
        |x, g| {
            Ok(Computed {
                values: log_softmax(x)?.into_raw_vec_and_offset().0,
                gradient: log_softmax_vjp(x, g)?.into_raw_vec_and_offset().0,
            })
        },
        |softmax, cotangent, out| softmax.log_softmax(&cotangent, out),
    ));
    cases.push(of_rows(
        "log_sum_exp",
        |x, g| {
            // One cotangent a row: that of the first class.
            let first = g.column(0).to_owned();
            Ok(Computed {
                values: log_sum_exp(x)?.into_raw_vec_and_offset().0,
                gradient: log_sum_exp_vjp(x, &first)?.into_raw_vec_and_offset().0,
            })
        },
        |softmax, cotangent: Vec<F::Real>, out| softmax.log_sum_exp(cotangent[0].clone(), out),
    ));
    cases
}

fn elementwise<F, L>(
    name: &'static str,
    parameters: &'static [&'static str],
    regions: &'static [Region],
    new: impl Fn([F; 2]) -> Result<L, LossError> + Sync + 'static,
    draw: impl Fn(Region, Shape, &mut Random) -> Batch<F> + Sync + 'static,
    exactly: impl Fn(F::Real, F::Real, [F::Real; 2], &mut Vec<Exact<F::Real>>) + Sync + 'static,
) -> Case<F>
where
    F: Number,
    L: ElementwiseLoss<F>,
{
    Case {
        name,
        of: ["loss", "gradient"],
        parameters,
        regions,
        is_itemwise: false,
        draw: Box::new(draw),
        compute: Box::new(move |batch| {
            let (predictions, targets) = pairs(batch);
            elementwise_ways(new(batch.parameters)?, predictions, targets)
        }),
        exactly: Box::new(move |batch, item, out| {
            let (p, t) = pairs(batch);
            let parameters = batch.parameters.map(F::real);
            exactly(p[item].real(), t[item].real(), parameters, out);
        }),
    }
}

fn itemwise<F, L>(
    name: &'static str,
    parameters: &'static [&'static str],
    regions: &'static [Region],
    new: impl Fn([F; 2]) -> Result<L, LossError> + Sync + 'static,
    draw: impl Fn(Region, Shape, &mut Random) -> Batch<F> + Sync + 'static,
    exactly: impl Fn(&[F], Wanted<F::Real>, [F::Real; 2], &mut Vec<Exact<F::Real>>) + Sync + 'static,
) -> Case<F>
where
    F: Number,
    L: ItemwiseLoss<F>,
{
    Case {
        name,
        of: ["loss", "gradient"],
        parameters,
        regions,
        is_itemwise: true,
        draw: Box::new(draw),
        compute: Box::new(move |batch| {
            let loss = new(batch.parameters)?;
            let predictions = rows(&batch.predictions, batch.classes)?;
            match &batch.targets {
                Targets::Labels(labels) => {
                    itemwise_ways_of_labels(loss, predictions, labels.as_slice().into())
                }
                Targets::Numbers(numbers) => {
                    itemwise_ways_of_rows(loss, predictions, rows(numbers, batch.classes)?)
                }
            }
        }),
        exactly: Box::new(move |batch, item, out| {
            let range = item * batch.classes..(item + 1) * batch.classes;
            let wanted = match &batch.targets {
                Targets::Labels(labels) => Wanted::Label(labels[item]),
                Targets::Numbers(targets) => Wanted::Row(numbers(&targets[range.clone()])),
            };
            let parameters = batch.parameters.map(F::real);
            exactly(&batch.predictions[range], wanted, parameters, out);
        }),
    }
}

/// An activation of rows of logits, with a cotangent of their shape.
fn of_rows<F: Number>(
    name: &'static str,
    compute: impl Fn(ArrayView2<'_, F>, ArrayView2<'_, F>) -> Result<Computed<F>, Failure>
    + Sync
    + 'static,
    exactly: impl Fn(&Softmax<F::Real>, Vec<F::Real>, &mut Vec<Exact<F::Real>>) + Sync + 'static,
) -> Case<F> {
    Case {
        name,
        of: ["value", "vjp"],
        parameters: &[],
        regions: LABELLED_ROWS,
        is_itemwise: true,
        draw: Box::new(|region, shape, random| {
            sample::logit_rows(region, Form::Cotangents, shape, [F::zero(); 2], random)
        }),
        compute: Box::new(move |batch| {
            let cotangent = rows(numbers_of(batch), batch.classes)?;
            compute(rows(&batch.predictions, batch.classes)?, cotangent)
        }),
        exactly: Box::new(move |batch, item, out| {
            let range = item * batch.classes..(item + 1) * batch.classes;
            let cotangent = numbers(&numbers_of(batch)[range.clone()]);
            let softmax = Softmax::new(&logits(&batch.predictions[range]));
            exactly(&softmax, cotangent, out);
        }),
    }
}

fn numbers<F: Number>(row: &[F]) -> Vec<F::Real> {
    row.iter().map(|&x| x.real()).collect()
}

fn logits<F: Number>(row: &[F]) -> Vec<Option<F::Real>> {
    row.iter()
        .map(|&x| x.is_finite().then(|| x.real()))
        .collect()
}

fn numbers_of<F>(batch: &Batch<F>) -> &[F] {
    match &batch.targets {
        Targets::Numbers(numbers) => numbers,
        Targets::Labels(_) => &[],
    }
}

fn pairs<F>(batch: &Batch<F>) -> (ArrayView1<'_, F>, ArrayView1<'_, F>) {
    (
        batch.predictions.as_slice().into(),
        numbers_of(batch).into(),
    )
}

fn rows<F>(numbers: &[F], classes: usize) -> Result<ArrayView2<'_, F>, Failure> {
    let shape = (numbers.len() / classes, classes);
    Ok(ArrayView2::from_shape(shape, numbers)?)
}

/// The loss and its gradient in one pass, one by one, and in place: if all have the same bits, what they are.
macro_rules! ways {
    ($loss:expr, $predictions:expr, $targets:expr) => {{
        let (loss, predictions, targets) = ($loss, $predictions, $targets);
        let (values, gradient) = loss.loss_and_gradient(predictions, targets)?;
        let alone = loss.loss(predictions, targets)?;
        let gradient_alone = loss.gradient(predictions, targets)?;
        let mut in_place = predictions.to_owned();
        let sum = loss.objective_and_gradient_in_place(&mut in_place, targets, Aggregate::Sum)?;
        same_bits("loss", &alone, &values)?;
        same_bits("gradient", &gradient_alone, &gradient)?;
        same_bits("gradient in place", &in_place, &gradient)?;
        same_bits("sum", &[sum], &[aggregate(&values, Aggregate::Sum)?])?;
        Ok(Computed {
            values: values.into_raw_vec_and_offset().0,
            gradient: gradient.into_raw_vec_and_offset().0,
        })
    }};
}

fn elementwise_ways<F: Number>(
    loss: impl ElementwiseLoss<F>,
    predictions: ArrayView1<'_, F>,
    targets: ArrayView1<'_, F>,
) -> Result<Computed<F>, Failure> {
    ways!(loss, predictions, targets)
}

fn itemwise_ways_of_labels<F: Number>(
    loss: impl ItemwiseLoss<F>,
    predictions: ArrayView2<'_, F>,
    labels: ArrayView1<'_, usize>,
) -> Result<Computed<F>, Failure> {
    ways!(loss, predictions, labels)
}

fn itemwise_ways_of_rows<F: Number>(
    loss: impl ItemwiseLoss<F>,
    predictions: ArrayView2<'_, F>,
    targets: ArrayView2<'_, F>,
) -> Result<Computed<F>, Failure> {
    ways!(loss, predictions, targets)
}

fn same_bits<'a, F: Number>(
    what: &str,
    got: impl IntoIterator<Item = &'a F>,
    wanted: impl IntoIterator<Item = &'a F>,
) -> Result<(), Failure> {
    for (i, (got, wanted)) in got.into_iter().zip(wanted).enumerate() {
        if got.bits() != wanted.bits() && !(got.is_nan() && wanted.is_nan()) {
            let message = format!("{what}, number {i}: {got:e}, but in one pass {wanted:e}");
            return Err(message.into());
        }
    }
    Ok(())
}
