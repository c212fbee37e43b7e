//! The numbers that Lasagne, PyTorch and scikit-learn computed (`tests/golden/README.md`), through the plain functions
//! and through every method.
//!
//! No case of Lasagne lies where this crate differs from it by intent: at the kinks of the hinges, where its gradient
//! is ½ and ours 0, or at ties.
mod cases;

use crate::catalogue::{
    AnyLoss, By, Elementwise, Itemwise, Number, Targets, TargetsView, for_targets,
};
use cases::{Case, Cases, Check, Report};
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use ndarray_loss::{
    Aggregate, BinaryCrossentropy, BinaryCrossentropyWithLogits, BinaryHingeLoss, BinaryLabels,
    CategoricalCrossentropy, CategoricalCrossentropyWithLogits, HuberLoss, ItemwiseLoss, LossError,
    MulticlassHingeLoss, Scores, SquaredError, aggregate, aggregate_gradient, binary_accuracy,
    binary_crossentropy, binary_crossentropy_gradient, binary_crossentropy_with_logits,
    binary_crossentropy_with_logits_gradient, binary_hinge_loss, binary_hinge_loss_gradient,
    categorical_accuracy, categorical_crossentropy, categorical_crossentropy_gradient,
    categorical_crossentropy_with_logits, categorical_crossentropy_with_logits_gradient,
    class_weights, class_weights_ignoring, huber_loss, huber_loss_gradient, log_sigmoid,
    log_sigmoid_vjp, log_softmax, log_softmax_vjp, log_sum_exp, log_sum_exp_vjp,
    multiclass_hinge_loss, multiclass_hinge_loss_gradient, sigmoid, sigmoid_vjp, softmax,
    softmax_vjp, squared_error, squared_error_gradient,
};

#[test]
fn lasagne() {
    let cases = Cases::read("lasagne.json");
    assert_eq!(cases.len(), 328);
    let mut report = Report::default();
    for case in cases.iter() {
        let checked = if case.is_f32() {
            lasagne_case::<f32>(case)
        } else {
            lasagne_case::<f64>(case)
        };
        report.add(case, checked);
    }
    report.finish(328);
}

#[test]
fn torch() {
    let cases = Cases::read("torch.json");
    assert_eq!(cases.len(), 158);
    let mut report = Report::default();
    for case in cases.iter() {
        report.add(case, torch_case(case));
    }
    report.finish(158);
}

#[test]
fn sklearn() {
    let cases = Cases::read("sklearn.json");
    assert_eq!(cases.len(), 7);
    let mut report = Report::default();
    for case in cases.iter() {
        report.add(case, sklearn_case(case));
    }
    report.finish(7);
}

/// Runs a plain function on targets of any type.
macro_rules! plain {
    ($function:ident($p:ident, $targets:ident $(, $parameter:expr)*)) => {
        for_targets!($targets, TargetsView, t => $function($p, t $(, $parameter)*))
    };
}

/// Loss and gradient as the plain functions give them.
macro_rules! pair {
    ($loss:ident, $gradient:ident $(, $parameter:expr)*) => {
        |p: ArrayViewD<'_, _>, t: TargetsView<'_, _>| {
            let (again, targets) = (p.clone(), t.clone());
            Ok((plain!($loss(p, t $(, $parameter)*))?, plain!($gradient(again, targets $(, $parameter)*))?))
        }
    };
}

fn lasagne_case<F: Number>(case: &Case) -> Check {
    let delta = case.parameter("delta").map_or(F::one(), F::of);
    match case.function() {
        "squared_error" => {
            let functions = pair!(squared_error, squared_error_gradient);
            differentiable::<F>(case, &Elementwise(SquaredError), functions)
        }
        "huber_loss" => {
            let functions = pair!(huber_loss, huber_loss_gradient, delta);
            differentiable(case, &Elementwise(HuberLoss::new(delta)?), functions)
        }
        "binary_crossentropy" => {
            let functions = pair!(binary_crossentropy, binary_crossentropy_gradient);
            differentiable::<F>(case, &Elementwise(BinaryCrossentropy), functions)
        }
        "binary_hinge_loss" => {
            let scores = if case.flag("log_odds")? {
                Scores::LogOdds
            } else {
                Scores::Probabilities
            };
            let labels = if case.flag("binary")? {
                BinaryLabels::ZeroOne
            } else {
                BinaryLabels::PlusMinusOne
            };
            let loss = BinaryHingeLoss::new(delta, scores, labels)?;
            let functions = pair!(
                binary_hinge_loss,
                binary_hinge_loss_gradient,
                delta,
                scores,
                labels
            );
            differentiable(case, &Elementwise(loss), functions)
        }
        "categorical_crossentropy" => {
            let functions = pair!(categorical_crossentropy, categorical_crossentropy_gradient);
            differentiable::<F>(case, &itemwise(CategoricalCrossentropy), functions)
        }
        "multiclass_hinge_loss" => {
            let loss = itemwise(MulticlassHingeLoss::new(delta)?);
            let functions = pair!(multiclass_hinge_loss, multiclass_hinge_loss_gradient, delta);
            differentiable(case, &loss, functions)
        }
        "binary_accuracy" => {
            let threshold = F::of(case.required("threshold")?);
            let (p, t) = (case.array::<F>("predictions")?, case.targets::<F>()?);
            let (p, t) = (p.view(), t.view());
            case.compare(
                "accuracy",
                "loss",
                &plain!(binary_accuracy(p, t, threshold))?,
            )
        }
        "categorical_accuracy" => {
            let top_k = case.required("top_k")? as usize;
            let (p, t) = (case.array::<F>("predictions")?, case.targets::<F>()?);
            let (p, t) = (p.view(), t.view());
            case.compare(
                "accuracy",
                "loss",
                &plain!(categorical_accuracy(p, t, top_k))?,
            )
        }
        "aggregate" => lasagne_aggregate::<F>(case),
        other => Err(format!("unknown function {other}").into()),
    }
}

fn itemwise<L>(loss: L) -> Itemwise<L> {
    Itemwise {
        loss,
        ignored: None,
    }
}

/// Loss and gradient through the plain functions and all methods.
fn differentiable<F: Number>(
    case: &Case,
    loss: &dyn AnyLoss<F>,
    functions: impl Fn(
        ArrayViewD<'_, F>,
        TargetsView<'_, F>,
    ) -> Result<(ArrayD<F>, ArrayD<F>), LossError>,
) -> Check {
    let (p, t) = (case.array::<F>("predictions")?, case.targets::<F>()?);
    let (value, gradient) = functions(p.view(), t.view())?;
    case.compare("plain loss", "loss", &value)?;
    case.compare("plain gradient", "gradient", &gradient)?;
    methods(case, loss, &p, &t)
}

/// Loss and gradient through all methods.
fn methods<F: Number>(case: &Case, loss: &dyn AnyLoss<F>, p: &ArrayD<F>, t: &Targets<F>) -> Check {
    case.compare("loss", "loss", &loss.loss(p.view(), t.view())?)?;
    let (value, gradient) = loss.loss_and_gradient(p.view(), t.view())?;
    case.compare("loss_and_gradient", "loss", &value)?;

    let unset = |shape: &[usize]| ArrayD::from_elem(IxDyn(shape), F::nan());
    let mut buffer = unset(value.shape());
    loss.loss_into(p.view(), t.view(), &mut buffer)?;
    case.compare("loss_into", "loss", &buffer)?;
    case.compare_sum(
        "objective",
        loss.objective(p.view(), t.view(), &Aggregate::Sum)?,
    )?;
    if !case.has("gradient") {
        return Ok(());
    }

    case.compare("gradient", "gradient", &loss.gradient(p.view(), t.view())?)?;
    case.compare("loss_and_gradient", "gradient", &gradient)?;
    let mut buffer = unset(p.shape());
    loss.gradient_into(p.view(), t.view(), &mut buffer)?;
    case.compare("gradient_into", "gradient", &buffer)?;
    let (mut losses, mut buffer) = (unset(value.shape()), unset(p.shape()));
    loss.loss_and_gradient_into(p.view(), t.view(), &mut losses, &mut buffer)?;
    case.compare("loss_and_gradient_into", "loss", &losses)?;
    case.compare("loss_and_gradient_into", "gradient", &buffer)?;

    let (sum, gradient) = loss.objective_and_gradient(p.view(), t.view(), &Aggregate::Sum)?;
    case.compare_sum("objective_and_gradient", sum)?;
    case.compare("objective_and_gradient", "gradient", &gradient)?;
    let mut buffer = unset(p.shape());
    let sum = loss.objective_and_gradient_into(p.view(), t.view(), &Aggregate::Sum, &mut buffer)?;
    case.compare_sum("objective_and_gradient_into", sum)?;
    case.compare("objective_and_gradient_into", "gradient", &buffer)?;
    let mut buffer = p.clone();
    let sum = loss.objective_and_gradient_in_place(&mut buffer, t.view(), &Aggregate::Sum)?;
    case.compare_sum("objective_and_gradient_in_place", sum)?;
    case.compare("objective_and_gradient_in_place", "gradient", &buffer)
}

fn lasagne_aggregate<F: Number>(case: &Case) -> Check {
    let losses = case.array::<F>("loss")?;
    let mode = case.text("mode")?;
    let weights = if case.has("weights") {
        Some(case.array::<F>("weights")?)
    } else {
        None
    };
    let mut forms = vec![match (mode, weights.clone()) {
        ("mean", None) => By::Mean,
        ("sum", None) => By::Sum,
        ("mean", Some(weights)) => By::WeightedMean(weights),
        ("sum", Some(weights)) => By::WeightedSum(weights),
        ("normalized_sum", Some(weights)) => By::NormalizedSum(weights),
        _ => return Err(format!("unknown mode {mode}").into()),
    }];
    if let ("normalized_sum", Some(weights)) = (mode, weights)
        && weights.iter().all(|&w| w == F::zero() || w == F::one())
    {
        forms.push(By::MaskedMean(weights.mapv(|w| w == F::one())));
    }
    for by in &forms {
        let value = aggregate(&losses, by.aggregate())?;
        case.compare_number("aggregate", "value", value)?;
        let gradient = aggregate_gradient(&losses, by.aggregate())?;
        case.compare("aggregate_gradient", "gradient", &gradient)?;
    }
    Ok(())
}

/// An activation and its vector-Jacobian product.
macro_rules! activation {
    ($case:ident, $activation:ident, $vjp:ident) => {{
        let (x, cotangent) = (
            $case.array::<f64>("predictions")?,
            $case.array("cotangent")?,
        );
        $case.compare("activation", "value", &$activation(&x)?)?;
        $case.compare("vjp", "vjp", &$vjp(&x, &cotangent)?)
    }};
}

fn torch_case(case: &Case) -> Check {
    match case.function() {
        "binary_crossentropy_with_logits" => {
            let mut loss = BinaryCrossentropyWithLogits::default();
            match case.parameter("pos_weight") {
                Some(weight) => loss = loss.pos_weight(weight)?,
                None if case.has("loss") => {
                    let functions = pair!(
                        binary_crossentropy_with_logits,
                        binary_crossentropy_with_logits_gradient
                    );
                    differentiable::<f64>(case, &Elementwise(loss), functions)?;
                }
                None => {}
            }
            torch_reduced(case, &Elementwise(loss), None)
        }
        "categorical_crossentropy_with_logits" => {
            let smoothing = case.parameter("label_smoothing").unwrap_or(0.0);
            let loss = CategoricalCrossentropyWithLogits::default().label_smoothing(smoothing)?;
            let ignored = case.parameter("ignore_index").map(|label| label as i64);
            let weights = class_weights_of(case, ignored)?;
            if case.has("gradient") && case.has_no_parameters() {
                let functions = pair!(
                    categorical_crossentropy_with_logits,
                    categorical_crossentropy_with_logits_gradient
                );
                differentiable::<f64>(case, &itemwise(loss), functions)?;
            }
            match ignored {
                None => torch_reduced(case, &itemwise(loss), weights),
                Some(label) => {
                    let loss = loss.ignore_label(i128::from(label));
                    torch_reduced(case, &Itemwise { loss, ignored }, weights)
                }
            }
        }
        "softmax" => activation!(case, softmax, softmax_vjp),
        "log_softmax" => activation!(case, log_softmax, log_softmax_vjp),
        "log_sum_exp" => activation!(case, log_sum_exp, log_sum_exp_vjp),
        "sigmoid" => activation!(case, sigmoid, sigmoid_vjp),
        "log_sigmoid" => activation!(case, log_sigmoid, log_sigmoid_vjp),
        other => Err(format!("unknown function {other}").into()),
    }
}

/// The weights of the items, if the case has weights of classes.
fn class_weights_of(
    case: &Case,
    ignored: Option<i64>,
) -> Result<Option<ArrayD<f64>>, cases::Failure> {
    let Some(per_class) = case.list("weight") else {
        return Ok(None);
    };
    let labels = case.labels()?;
    Ok(Some(match ignored {
        None => class_weights(&per_class, &labels)?,
        Some(label) => class_weights_ignoring(&per_class, &labels, i128::from(label))?,
    }))
}

/// PyTorch's reductions: none, the sum, or the mean, which divides by the sum of the weights.
fn torch_reduced(case: &Case, loss: &dyn AnyLoss<f64>, weights: Option<ArrayD<f64>>) -> Check {
    let (p, t) = (case.array("predictions")?, case.targets()?);
    let by = match (case.text("reduction"), weights) {
        (Err(_), None) => return methods(case, loss, &p, &t),
        (Err(_), Some(weights)) => {
            let weighted = loss.loss(p.view(), t.view())? * &weights;
            case.compare("weighted loss", "loss", &weighted)?;
            let by = By::WeightedSum(weights);
            let (sum, gradient) =
                loss.objective_and_gradient(p.view(), t.view(), &by.aggregate())?;
            case.compare_sum("weighted objective", sum)?;
            return case.compare("weighted gradient", "gradient", &gradient);
        }
        (Ok("mean"), None) => By::Mean,
        (Ok("sum"), None) => By::Sum,
        (Ok("mean"), Some(weights)) => By::NormalizedSum(weights),
        (Ok("sum"), Some(weights)) => By::WeightedSum(weights),
        (Ok(other), _) => return Err(format!("unknown reduction {other}").into()),
    };
    let value = loss.objective(p.view(), t.view(), &by.aggregate())?;
    case.compare_number("objective", "value", value)?;
    let (value, gradient) = loss.objective_and_gradient(p.view(), t.view(), &by.aggregate())?;
    case.compare_number("objective_and_gradient", "value", value)?;
    case.compare("objective_and_gradient", "value_gradient", &gradient)
}

fn sklearn_case(case: &Case) -> Check {
    let p = case.array::<f64>("predictions")?;
    let (labels, weights) = (case.labels()?, case.array::<f64>("sample_weight")?);
    let is_binary = p.ndim() == 1;
    let scores = case.scores()?;
    for score in &scores {
        let top_k = score.top_k.unwrap_or(1);
        let losses = match (case.function(), is_binary) {
            ("log_loss", true) => binary_crossentropy(&p, &labels)?,
            ("log_loss", false) => categorical_crossentropy(&p, &labels)?,
            ("hinge_loss", true) => binary_hinge_loss(
                &p,
                &labels,
                1.0,
                Scores::LogOdds,
                BinaryLabels::PlusMinusOne,
            )?,
            ("hinge_loss", false) => multiclass_hinge_loss(&p, &labels, 1.0)?,
            ("zero_one_loss", true) => 1.0 - binary_accuracy(&p, &labels, 0.5)?,
            ("zero_one_loss", false) => 1.0 - categorical_accuracy(&p, &labels, 1)?,
            ("top_k_accuracy_score", _) => categorical_accuracy(&p, &labels, top_k)?,
            (other, _) => return Err(format!("unknown function {other}").into()),
        };
        let by = match (score.normalize, score.weighted) {
            (true, false) => By::Mean,
            (false, false) => By::Sum,
            (true, true) => By::NormalizedSum(weights.clone()),
            (false, true) => By::WeightedSum(weights.clone()),
        };
        case.compare_score(score, aggregate(&losses, by.aggregate())?)?;
    }
    Ok(())
}
