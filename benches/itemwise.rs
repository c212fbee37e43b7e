//! Every method of the item-wise losses, beside what one would write without this crate and the machine's limit.

mod common;

use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::{Array1, Array2, ArrayView1, Axis, Zip};
use ndarray_loss::{
    Aggregate, CategoricalCrossentropy, CategoricalCrossentropyWithLogits, Float, ItemwiseLoss,
    LossError, MulticlassHingeLoss, categorical_accuracy,
};
use ndarray_stats::{EntropyExt, QuantileExt};

use common::standard::{exp, ln};
use common::{Group, SHAPES, Values, distributions, done, f, labels, one_hot};

/// Times all methods. A macro, for labels and rows are targets of different types and ranks.
macro_rules! methods {
    ($group:expr, $loss:expr, $p:expr, $t:expr, read $read:expr) => {{
        let (group, loss, p, t) = (&mut $group, $loss, &$p, &$t);
        let (items, n) = (p.nrows(), p.len());
        let mut value = Array1::zeros(items);
        let mut gradient = Array2::zeros(p.dim());
        let mean = Aggregate::Mean;
        let read: usize = $read;
        group.bench("loss", read + items, || done(loss.loss(p, t)));
        group.bench("gradient", read + n, || done(loss.gradient(p, t)));
        group.bench("loss_and_gradient", read + n + items, || {
            done(loss.loss_and_gradient(p, t))
        });
        group.bench("loss_into", read + items, || {
            done(loss.loss_into(p, t, &mut value));
        });
        group.bench("gradient_into", read + n, || {
            done(loss.gradient_into(p, t, &mut gradient));
        });
        group.bench("loss_and_gradient_into", read + n + items, || {
            done(loss.loss_and_gradient_into(p, t, &mut value, &mut gradient));
        });
        group.bench("objective", read, || done(loss.objective(p, t, &mean)));
        group.bench("objective_and_gradient", read + n, || {
            done(loss.objective_and_gradient(p, t, &mean))
        });
        group.bench("objective_and_gradient_into", read + n, || {
            done(loss.objective_and_gradient_into(p, t, &mean, &mut gradient))
        });
        group.bench_restored(
            "objective_and_gradient_in_place",
            read + n,
            &mut gradient,
            |buffer| buffer.assign(p),
            |buffer| done(loss.objective_and_gradient_in_place(buffer, t, &mean)),
        );
        group.triad(p, &p.clone(), &mut gradient);
    }};
}

/// The loss of every row by hand.
fn by_hand<F: Float>(
    scores: &Array2<F>,
    labels: &Array1<usize>,
    loss: impl Fn(ArrayView1<'_, F>, usize) -> F,
) -> Array1<F> {
    Zip::from(scores.rows())
        .and(labels)
        .map_collect(|row, &label| loss(row, label))
}

fn shape_name((items, classes): (usize, usize)) -> String {
    format!("{items}x{classes}")
}

fn categorical_crossentropy<F: Float>(criterion: &mut Criterion) {
    for shape in SHAPES {
        let (items, classes) = shape;
        let n = items * classes;
        let p = distributions::<F>(items, classes, 1);
        let label = labels(items, classes, 2);
        let name = "categorical_crossentropy, labels";
        let mut group = Group::<F>::new(criterion, name, shape_name(shape));
        methods!(group, CategoricalCrossentropy, p, label, read 2 * items);
        group.bench("loss, Zip by hand", 3 * items, || {
            by_hand(&p, &label, |row, label| -ln(row[label]))
        });
        drop(group);

        let t = distributions::<F>(items, classes, 2);
        let name = "categorical_crossentropy, dense";
        let mut group = Group::<F>::new(criterion, name, shape_name(shape));
        methods!(group, CategoricalCrossentropy, p, t, read 2 * n);
        group.bench("loss, naive ndarray", 2 * n, || {
            -(&t * &p.mapv(ln)).sum_axis(Axis(1))
        });
        group.bench("loss, Zip by hand", 2 * n, || {
            Zip::from(p.rows()).and(t.rows()).map_collect(|p, t| {
                Zip::from(p)
                    .and(t)
                    .fold(F::zero(), |sum, &p, &t| sum - t * ln(p))
            })
        });
        group.bench("objective, ndarray-stats cross_entropy", 2 * n, || {
            done(t.cross_entropy(&p))
        });
    }
}

fn multiclass_hinge_loss<F: Float>(criterion: &mut Criterion) -> Result<(), LossError> {
    let loss = MulticlassHingeLoss::new(F::one())?;
    for shape in SHAPES {
        let (items, classes) = shape;
        let n = items * classes;
        let p: Array2<F> = Values::Between(-8.0, 8.0).array(shape, 1);
        let label = labels(items, classes, 2);
        let name = "multiclass_hinge_loss, labels";
        let mut group = Group::<F>::new(criterion, name, shape_name(shape));
        methods!(group, loss, p, label, read n + items);
        group.bench("loss, Zip by hand", n + 2 * items, || {
            by_hand(&p, &label, |row, label| {
                let rivals = row.iter().enumerate().filter(|&(class, _)| class != label);
                let rival = rivals.fold(F::neg_infinity(), |max, (_, &x)| max.max(x));
                (rival - row[label] + F::one()).max(F::zero())
            })
        });
        drop(group);

        let t = one_hot::<F>(&label, classes);
        let name = "multiclass_hinge_loss, one-hot";
        let mut group = Group::<F>::new(criterion, name, shape_name(shape));
        methods!(group, loss, p, t, read 2 * n);
        group.bench("loss, naive ndarray", 2 * n, || {
            let target = (&p * &t).sum_axis(Axis(1));
            let rival = Zip::from(&p)
                .and(&t)
                .map_collect(|&p, &t| if t == F::one() { F::neg_infinity() } else { p })
                .fold_axis(Axis(1), F::neg_infinity(), |&max, &x| max.max(x));
            (rival - target).mapv(|margin| (margin + F::one()).max(F::zero()))
        });
    }
    Ok(())
}

fn categorical_crossentropy_with_logits<F: Float>(criterion: &mut Criterion) {
    let loss = CategoricalCrossentropyWithLogits::<F>::default();
    for shape in SHAPES {
        let (items, classes) = shape;
        let n = items * classes;
        let x: Array2<F> = Values::Between(-8.0, 8.0).array(shape, 1);
        let label = labels(items, classes, 2);
        let name = "categorical_crossentropy_with_logits, labels";
        let mut group = Group::<F>::new(criterion, name, shape_name(shape));
        methods!(group, loss, x, label, read n + items);
        group.bench("loss, Zip by hand", n + 2 * items, || {
            by_hand(&x, &label, |row, label| {
                let max = row.fold(F::neg_infinity(), |max, &x| max.max(x));
                let sum = row.fold(F::zero(), |sum, &x| sum + exp(x - max));
                ln(sum) + max - row[label]
            })
        });
        drop(group);

        let t = distributions::<F>(items, classes, 2);
        let name = "categorical_crossentropy_with_logits, dense";
        let mut group = Group::<F>::new(criterion, name, shape_name(shape));
        methods!(group, loss, x, t, read 2 * n);
        group.bench("loss, naive ndarray", 2 * n, || {
            let max = x.fold_axis(Axis(1), F::neg_infinity(), |&max, &x| max.max(x));
            let shifted = &x - &max.insert_axis(Axis(1));
            let sum = shifted.mapv(exp).sum_axis(Axis(1));
            sum.mapv(ln) - (&t * &shifted).sum_axis(Axis(1))
        });
    }
}

/// The step of a training loop for every form that targets and weights come in.
fn forms_of_a_step<F: Float>(
    criterion: &mut Criterion,
    name: &str,
    loss: impl ItemwiseLoss<F>,
    scores: Values,
) {
    for shape in SHAPES {
        let (items, classes) = shape;
        let n = items * classes;
        let p: Array2<F> = scores.array(shape, 1);
        let label = labels(items, classes, 2);
        let mut gradient = Array2::zeros(shape);
        let mean = Aggregate::Mean;
        let name = format!("{name}, forms of a step");
        let mut group = Group::<F>::new(criterion, &name, shape_name(shape));
        group.bench("labels", 2 * n + items, || {
            done(loss.objective_and_gradient_into(&p, &label, &mean, &mut gradient))
        });

        let some = label.mapv(|class| if class % 4 == 0 { -1 } else { class as i64 });
        let ignoring = loss.ignore_label(-1);
        group.bench("labels, one ignored", 2 * n + items, || {
            done(ignoring.objective_and_gradient_into(&p, &some, &mean, &mut gradient))
        });
        let weights: Array1<F> = Values::Between(0.5, 1.5).array(items, 3);
        let by = Aggregate::weighted_mean(&weights);
        group.bench("labels, weights", 2 * (n + items), || {
            done(loss.objective_and_gradient_into(&p, &label, &by, &mut gradient))
        });
        let mask = weights.mapv(|weight| weight > F::one());
        let by = Aggregate::masked_mean(&mask);
        group.bench("labels, mask", 2 * n + items, || {
            done(loss.objective_and_gradient_into(&p, &label, &by, &mut gradient))
        });

        let rows = one_hot::<F>(&label, classes);
        group.bench("one-hot rows", 3 * n, || {
            done(loss.objective_and_gradient_into(&p, &rows, &mean, &mut gradient))
        });
        let of_bytes = 2 * n + n / size_of::<F>();
        let flags = rows.mapv(|t| t == F::one());
        group.bench("one-hot rows of bool", of_bytes, || {
            done(loss.objective_and_gradient_into(&p, &flags, &mean, &mut gradient))
        });
        let counts = flags.mapv(u8::from);
        group.bench("one-hot rows of u8", of_bytes, || {
            done(loss.objective_and_gradient_into(&p, &counts, &mean, &mut gradient))
        });
    }
}

fn accuracy<F: Float>(criterion: &mut Criterion) {
    for shape in SHAPES {
        let (items, classes) = shape;
        let n = items * classes;
        let p: Array2<F> = Values::Between(-8.0, 8.0).array(shape, 1);
        let label = labels(items, classes, 2);
        let mut group = Group::<F>::new(criterion, "categorical_accuracy", shape_name(shape));
        for top_k in [1, 5] {
            group.bench(&format!("top {top_k}"), n + 2 * items, || {
                done(categorical_accuracy(&p, &label, top_k))
            });
        }
        let rows = one_hot::<F>(&label, classes);
        group.bench("top 1, one-hot rows", 2 * n + items, || {
            done(categorical_accuracy(&p, &rows, 1))
        });
        let flags = rows.mapv(|t| t == F::one());
        let of_bytes = n + n / size_of::<F>() + items;
        group.bench("top 1, one-hot rows of bool", of_bytes, || {
            done(categorical_accuracy(&p, &flags, 1))
        });
        group.bench("top 1, ndarray-stats argmax", n + 2 * items, || {
            by_hand(&p, &label, |row, label| {
                f(f64::from(row.argmax() == Ok(label)))
            })
        });
        group.bench("top 5, Zip by hand", n + 2 * items, || {
            by_hand(&p, &label, |row, label| {
                let before = row.iter().filter(|&&x| x > row[label]).count();
                f(f64::from(before < 5))
            })
        });
    }
}

fn all<F: Float>(criterion: &mut Criterion) {
    categorical_crossentropy::<F>(criterion);
    done(multiclass_hinge_loss::<F>(criterion));
    categorical_crossentropy_with_logits::<F>(criterion);
    accuracy::<F>(criterion);

    let scores = Values::Between(-8.0, 8.0);
    let probabilities = Values::Between(0.05, 0.95);
    let name = "categorical_crossentropy";
    forms_of_a_step::<F>(criterion, name, CategoricalCrossentropy, probabilities);
    let loss = MulticlassHingeLoss::default();
    forms_of_a_step::<F>(criterion, "multiclass_hinge_loss", loss, scores);
    let loss = CategoricalCrossentropyWithLogits::default();
    forms_of_a_step::<F>(
        criterion,
        "categorical_crossentropy_with_logits",
        loss,
        scores,
    );
}

criterion_group! {
    name = benches;
    config = common::criterion();
    targets = all::<f32>, all::<f64>
}
criterion_main!(benches);
