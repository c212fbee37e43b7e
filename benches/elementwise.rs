//! Every method of the element-wise losses, beside what one would write without this crate and the machine's limit.

mod common;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::{Array1, Zip};
use ndarray_loss::{
    Aggregate, BinaryCrossentropy, BinaryCrossentropyWithLogits, BinaryHingeLoss, BinaryLabels,
    ElementwiseLoss, Float, HuberLoss, Scores, SquaredError, Target, aggregate, binary_accuracy,
};
use ndarray_stats::DeviationExt;

use common::standard::{exp, ln, ln_1p};
use common::{Group, SIZES, Values, done, f};

/// A loss with its domain, and the same typed by hand.
struct Case<L, N, V> {
    name: &'static str,
    loss: L,
    predictions: Values,
    targets: Values,
    /// Whole arrays at a time.
    naive: N,
    /// Loss and derivative of one element, as the textbook has them.
    formula: V,
}

fn methods<F, L, N, V>(criterion: &mut Criterion, case: Case<L, N, V>)
where
    F: Float,
    L: ElementwiseLoss<F>,
    N: Fn(&Array1<F>, &Array1<F>) -> Array1<F>,
    V: Fn(F, F) -> (F, F) + Copy,
{
    let Case {
        name,
        loss,
        predictions,
        targets,
        naive,
        formula,
    } = case;
    for n in SIZES {
        let p: Array1<F> = predictions.array(n, 1);
        let t: Array1<F> = targets.array(n, 2);
        let mut value = Array1::zeros(n);
        let mut gradient = Array1::zeros(n);
        let mean = Aggregate::Mean;
        let mut group = Group::<F>::new(criterion, name, n);

        group.bench("loss", 3 * n, || done(loss.loss(&p, &t)));
        group.bench("gradient", 3 * n, || done(loss.gradient(&p, &t)));
        group.bench("loss_and_gradient", 4 * n, || {
            done(loss.loss_and_gradient(&p, &t))
        });
        group.bench("loss_into", 3 * n, || {
            done(loss.loss_into(&p, &t, &mut value));
        });
        group.bench("gradient_into", 3 * n, || {
            done(loss.gradient_into(&p, &t, &mut gradient));
        });
        group.bench("loss_and_gradient_into", 4 * n, || {
            done(loss.loss_and_gradient_into(&p, &t, &mut value, &mut gradient));
        });
        group.bench("objective", 2 * n, || done(loss.objective(&p, &t, &mean)));
        group.bench("objective_and_gradient", 3 * n, || {
            done(loss.objective_and_gradient(&p, &t, &mean))
        });
        group.bench("objective_and_gradient_into", 3 * n, || {
            done(loss.objective_and_gradient_into(&p, &t, &mean, &mut gradient))
        });
        group.bench_restored(
            "objective_and_gradient_in_place",
            3 * n,
            &mut gradient,
            |buffer| buffer.assign(&p),
            |buffer| done(loss.objective_and_gradient_in_place(buffer, &t, &mean)),
        );

        group.bench("loss, naive ndarray", 3 * n, || naive(&p, &t));
        group.bench("loss_into, Zip by hand", 3 * n, || {
            Zip::from(&mut value)
                .and(&p)
                .and(&t)
                .for_each(|l, &p, &t| *l = formula(p, t).0);
        });
        group.bench("objective_and_gradient_into, Zip by hand", 3 * n, || {
            let count = f::<F>(n as f64);
            let sum = Zip::from(&mut gradient)
                .and(&p)
                .and(&t)
                .fold(F::zero(), |sum, g, &p, &t| {
                    let (value, derivative) = formula(p, t);
                    *g = derivative / count;
                    sum + value
                });
            sum / count
        });
        group.triad(&p, &t, &mut value);
    }
}

fn losses<F: Float>(criterion: &mut Criterion) {
    let (zero, one, half) = (F::zero(), F::one(), f::<F>(0.5));
    let scores = Values::Between(-2.0, 2.0);
    methods::<F, _, _, _>(
        criterion,
        Case {
            name: "squared_error",
            loss: SquaredError,
            predictions: scores,
            targets: scores,
            naive: |p: &Array1<F>, t: &Array1<F>| (p - t).mapv(|d| d * d),
            formula: |p: F, t: F| ((p - t) * (p - t), (p - t) + (p - t)),
        },
    );
    methods::<F, _, _, _>(
        criterion,
        Case {
            name: "huber_loss",
            loss: HuberLoss::<F>::default(),
            predictions: scores,
            targets: scores,
            naive: move |p: &Array1<F>, t: &Array1<F>| {
                (p - t).mapv(|d| {
                    let d = d.abs();
                    if d <= one { half * d * d } else { d - half }
                })
            },
            formula: move |p: F, t: F| {
                let d = p - t;
                if d.abs() <= one {
                    (half * d * d, d)
                } else {
                    (d.abs() - half, d.signum())
                }
            },
        },
    );
    methods::<F, _, _, _>(
        criterion,
        Case {
            name: "binary_crossentropy",
            loss: BinaryCrossentropy,
            predictions: Values::Between(0.01, 0.99),
            targets: Values::Either(0.0, 1.0),
            naive: move |p: &Array1<F>, t: &Array1<F>| {
                -(t * &p.mapv(ln)) - t.mapv(|t| one - t) * p.mapv(|p| ln(one - p))
            },
            formula: move |p: F, t: F| {
                (
                    -t * ln(p) - (one - t) * ln(one - p),
                    (p - t) / (p * (one - p)),
                )
            },
        },
    );
    methods::<F, _, _, _>(
        criterion,
        Case {
            name: "binary_hinge_loss",
            loss: done(BinaryHingeLoss::new(
                one,
                Scores::LogOdds,
                BinaryLabels::PlusMinusOne,
            )),
            predictions: scores,
            targets: Values::Either(-1.0, 1.0),
            naive: move |p: &Array1<F>, t: &Array1<F>| {
                (p * t).mapv(|margin| (one - margin).max(zero))
            },
            formula: move |p: F, t: F| {
                let margin = one - p * t;
                if margin > zero {
                    (margin, -t)
                } else {
                    (zero, zero)
                }
            },
        },
    );
    methods::<F, _, _, _>(
        criterion,
        Case {
            name: "binary_crossentropy_with_logits",
            loss: BinaryCrossentropyWithLogits::<F>::default(),
            predictions: Values::Between(-8.0, 8.0),
            targets: Values::Either(0.0, 1.0),
            naive: move |x: &Array1<F>, t: &Array1<F>| {
                x.mapv(|x| x.max(zero)) - x * t + x.mapv(|x| ln_1p(exp(-x.abs())))
            },
            formula: move |x: F, t: F| {
                let loss = x.max(zero) - x * t + ln_1p(exp(-x.abs()));
                (loss, one / (one + exp(-x)) - t)
            },
        },
    );
}

/// What has no gradient, and the aggregates.
fn others<F: Float>(criterion: &mut Criterion) {
    for n in SIZES {
        let p: Array1<F> = Values::Between(0.0, 1.0).array(n, 1);
        let t: Array1<F> = Values::Either(0.0, 1.0).array(n, 2);
        let half = f::<F>(0.5);

        let mut group = Group::<F>::new(criterion, "binary_accuracy", n);
        group.bench("binary_accuracy", 3 * n, || {
            done(binary_accuracy(&p, &t, half))
        });
        group.bench("naive ndarray", 3 * n, || {
            Zip::from(&p)
                .and(&t)
                .map_collect(|&p, &t| f::<F>(f64::from((p >= half) == (t == F::one()))))
        });
        drop(group);

        let mut group = Group::<F>::new(criterion, "aggregate", n);
        group.bench("mean", n, || done(aggregate(&p, Aggregate::Mean)));
        group.bench("weighted_mean", 2 * n, || {
            done(aggregate(&p, Aggregate::weighted_mean(&t)))
        });
        group.bench("normalized_sum", 2 * n, || {
            done(aggregate(&p, Aggregate::normalized_sum(&t)))
        });
        group.bench("mean, naive ndarray", n, || p.sum() / f(n as f64));
        group.bench("weighted_mean, naive ndarray", 2 * n, || {
            (&p * &t).sum() / f(n as f64)
        });
    }
}

/// A step by every kind of aggregate; of a mask in no order, so that a branch on an element would be seen.
fn aggregates<F: Float>(criterion: &mut Criterion) {
    let loss = SquaredError;
    for n in SIZES {
        let p: Array1<F> = Values::Between(-2.0, 2.0).array(n, 1);
        let t: Array1<F> = Values::Between(-2.0, 2.0).array(n, 2);
        let weights: Array1<F> = Values::Between(0.0, 1.0).array(n, 3);
        let mask = common::labels(n, 2, 4).mapv(|label| label == 1);
        let mut gradient = Array1::zeros(n);
        let name = "squared_error, aggregates";
        let mut group = Group::<F>::new(criterion, name, n);
        for (name, read, by) in [
            ("mean", 2, Aggregate::Mean),
            ("weighted_mean", 3, Aggregate::weighted_mean(&weights)),
            ("normalized_sum", 4, Aggregate::normalized_sum(&weights)),
            ("masked_mean", 2, Aggregate::masked_mean(&mask)),
        ] {
            group.bench(name, (read + 1) * n, || {
                done(loss.objective_and_gradient_into(&p, &t, &by, &mut gradient))
            });
        }
        group.bench("weighted_mean, Zip by hand", 4 * n, || {
            let count = f::<F>(n as f64);
            let terms = Zip::from(&mut gradient).and(&p).and(&t).and(&weights);
            let sum = terms.fold(F::zero(), |sum, g, &p, &t, &w| {
                *g = (p - t + (p - t)) * w / count;
                sum + (p - t) * (p - t) * w
            });
            sum / count
        });
    }
}

/// The same labels in several types: they are in no order, so that a branch on one would be seen.
fn types_of_targets<F: Float>(criterion: &mut Criterion) {
    for n in SIZES {
        let x: Array1<F> = Values::Between(-8.0, 8.0).array(n, 1);
        let labels = common::labels(n, 2, 2);
        let name = "binary_crossentropy_with_logits, targets";
        let mut group = Group::<F>::new(criterion, name, n);
        step(&mut group, "floats", &x, labels.mapv(|t| f::<F>(t as f64)));
        step(&mut group, "bool", &x, labels.mapv(|t| t == 1));
        step(&mut group, "u8", &x, labels.mapv(|t| t as u8));
        step(&mut group, "i64", &x, labels.mapv(|t| t as i64));
    }
}

fn step<F: Float, T: Target<F>>(
    group: &mut Group<'_, F>,
    name: &str,
    x: &Array1<F>,
    targets: Array1<T>,
) {
    let loss = BinaryCrossentropyWithLogits::<F>::default();
    let mut gradient = Array1::zeros(x.len());
    group.bench(name, 3 * x.len(), || {
        done(loss.objective_and_gradient_into(x, &targets, &Aggregate::Mean, &mut gradient))
    });
}

/// ndarray-stats has the mean of the squared errors alone.
fn mean_squared_error(criterion: &mut Criterion) {
    for n in SIZES {
        let p: Array1<f64> = Values::Between(-2.0, 2.0).array(n, 1);
        let t: Array1<f64> = Values::Between(-2.0, 2.0).array(n, 2);
        let mut group = Group::<f64>::new(criterion, "squared_error", n);
        group.bench("objective, ndarray-stats mean_sq_err", 2 * n, || {
            done(black_box(&p).mean_sq_err(&t))
        });
    }
    for n in SIZES {
        let p: Array1<f32> = Values::Between(-2.0, 2.0).array(n, 1);
        let t: Array1<f32> = Values::Between(-2.0, 2.0).array(n, 2);
        let mut group = Group::<f32>::new(criterion, "squared_error", n);
        group.bench("objective, ndarray-stats mean_sq_err", 2 * n, || {
            done(black_box(&p).mean_sq_err(&t))
        });
    }
}

criterion_group! {
    name = benches;
    config = common::criterion();
    targets = losses::<f32>, losses::<f64>, others::<f32>, others::<f64>, aggregates::<f32>, aggregates::<f64>,
        types_of_targets::<f32>, types_of_targets::<f64>, mean_squared_error
}
criterion_main!(benches);
