//! The same work in other layouts: how much longer transposed, reversed, strided and broadcast arrays take than
//! contiguous ones. The goal is at most three times.

mod common;

use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::{Array2, ArrayView2, Axis, Slice, stack};
use ndarray_loss::{
    Aggregate, BinaryCrossentropyWithLogits, CategoricalCrossentropyWithLogits, ElementwiseLoss,
    ItemwiseLoss, MulticlassHingeLoss, SquaredError,
};

use common::{Group, Values, distributions, done, labels};

const ELEMENTWISE: [(usize, usize); 2] = [(300, 330), (3_000, 3_300)];
const ITEMWISE: [(usize, usize); 3] = [(65_536, 10), (1_024, 1_000), (256, 32_000)];

const ROWS: Axis = Axis(0);
const COLUMNS: Axis = Axis(1);
const EVERY_SECOND: Slice = Slice {
    start: 0,
    end: None,
    step: 2,
};
const BACKWARDS: Slice = Slice {
    start: 0,
    end: None,
    step: -1,
};
const FIRST: Slice = Slice {
    start: 0,
    end: Some(1),
    step: 1,
};

/// Arrays that hold a view of the shape in every layout.
struct Layouts {
    contiguous: Array2<f32>,
    fortran: Array2<f32>,
    spread: Array2<f32>,
}

impl Layouts {
    fn new(contiguous: Array2<f32>) -> Self {
        let (rows, columns) = contiguous.dim();
        let mut spread = Array2::zeros((rows, 2 * columns));
        spread
            .slice_axis_mut(COLUMNS, EVERY_SECOND)
            .assign(&contiguous);
        Self {
            fortran: contiguous.t().as_standard_layout().into_owned(),
            contiguous,
            spread,
        }
    }

    fn views(&self) -> [(&'static str, ArrayView2<'_, f32>); 5] {
        [
            ("contiguous", self.contiguous.view()),
            ("transposed", self.fortran.t()),
            ("rows reversed", self.contiguous.slice_axis(ROWS, BACKWARDS)),
            (
                "columns reversed",
                self.contiguous.slice_axis(COLUMNS, BACKWARDS),
            ),
            ("stride 2", self.spread.slice_axis(COLUMNS, EVERY_SECOND)),
        ]
    }
}

fn elementwise<L: ElementwiseLoss<f32>>(criterion: &mut Criterion, name: &str, loss: L) {
    for shape in ELEMENTWISE {
        let predictions = Layouts::new(Values::Between(-2.0, 2.0).array(shape, 1));
        let targets = Layouts::new(Values::Either(0.0, 1.0).array(shape, 2));
        let n = shape.0 * shape.1;
        let mut out = Array2::zeros(shape);
        let mut out_spread = Array2::zeros((shape.0, 2 * shape.1));
        let mut group = Group::<f32>::new(criterion, name, format!("{}x{}", shape.0, shape.1));
        let t = targets.contiguous.view();
        for (layout, p) in predictions.views() {
            group.bench(&format!("loss_into, predictions {layout}"), 3 * n, || {
                done(loss.loss_into(p, t, &mut out));
            });
        }
        for ((layout, p), (_, t)) in predictions.views().into_iter().zip(targets.views()) {
            group.bench(
                &format!("objective_and_gradient_into, both {layout}"),
                3 * n,
                || done(loss.objective_and_gradient_into(p, t, Aggregate::Mean, &mut out)),
            );
        }
        let p = predictions.contiguous.view();
        let mut fortran = Array2::zeros((shape.1, shape.0));
        group.bench(
            "objective_and_gradient_into, gradient transposed",
            3 * n,
            || {
                let gradient = &mut fortran.view_mut().reversed_axes();
                done(loss.objective_and_gradient_into(p, t, Aggregate::Mean, gradient))
            },
        );
        let row = targets.contiguous.row(0);
        for (layout, t) in [
            ("one row for all", row.broadcast(shape)),
            (
                "one column for all",
                targets.fortran.slice_axis(ROWS, FIRST).t().broadcast(shape),
            ),
        ] {
            let Some(t) = t else { continue };
            group.bench(
                &format!("objective_and_gradient_into, targets {layout}"),
                2 * n,
                || done(loss.objective_and_gradient_into(p, t, Aggregate::Mean, &mut out)),
            );
        }
        let weights = Layouts::new(Values::Between(0.0, 1.0).array(shape, 3));
        let one_row = weights.contiguous.slice_axis(ROWS, FIRST);
        let one_column = weights.contiguous.slice_axis(COLUMNS, FIRST);
        let one_column = one_column.as_standard_layout();
        for (layout, w) in [
            ("contiguous", weights.contiguous.view()),
            ("one row for all", one_row),
            ("one column for all", one_column.view()),
        ] {
            let by = Aggregate::weighted_mean(w);
            group.bench(
                &format!("objective_and_gradient_into, weights {layout}"),
                4 * n,
                || done(loss.objective_and_gradient_into(p, t, &by, &mut out)),
            );
        }
        group.bench("objective_and_gradient_into, targets 0-d", 2 * n, || {
            let t = ndarray::aview0(&1.0);
            done(loss.objective_and_gradient_into(p, t, Aggregate::Mean, &mut out))
        });
        group.bench("loss_into, output stride 2", 3 * n, || {
            done(loss.loss_into(p, t, &mut out_spread.slice_axis_mut(COLUMNS, EVERY_SECOND)));
        });
        group.bench("loss, all transposed", 3 * n, || {
            done(loss.loss(predictions.fortran.t(), targets.fortran.t()))
        });
        group.bench("loss, all contiguous", 3 * n, || done(loss.loss(p, t)));
    }
}

fn itemwise<L: ItemwiseLoss<f32>>(criterion: &mut Criterion, name: &str, loss: L) {
    for shape in ITEMWISE {
        let predictions = Layouts::new(Values::Between(-8.0, 8.0).array(shape, 1));
        let labels = labels(shape.0, shape.1, 2);
        let n = shape.0 * shape.1;
        let mut gradient = Array2::zeros(shape);
        let mut group = Group::<f32>::new(criterion, name, format!("{}x{}", shape.0, shape.1));
        for (layout, p) in predictions.views() {
            group.bench(&format!("objective, {layout}"), n, || {
                done(loss.objective(p, &labels, Aggregate::Mean))
            });
            group.bench(
                &format!("objective_and_gradient_into, {layout}"),
                2 * n,
                || {
                    done(loss.objective_and_gradient_into(
                        p,
                        &labels,
                        Aggregate::Mean,
                        &mut gradient,
                    ))
                },
            );
        }
        let p = predictions.contiguous.view();
        let table = stack![COLUMNS, labels, labels, labels];
        group.bench(
            "objective_and_gradient_into, labels a column of a table",
            2 * n,
            || {
                let labels = table.column(1);
                done(loss.objective_and_gradient_into(p, labels, Aggregate::Mean, &mut gradient))
            },
        );
        let mut fortran = Array2::zeros((shape.1, shape.0));
        for (layout, p) in predictions.views().into_iter().take(2) {
            let name = format!("objective_and_gradient_into, {layout}, gradient transposed");
            group.bench(&name, 2 * n, || {
                let gradient = &mut fortran.view_mut().reversed_axes();
                done(loss.objective_and_gradient_into(p, &labels, Aggregate::Mean, gradient))
            });
        }
        let one = predictions.contiguous.slice_axis(ROWS, FIRST);
        let Some(p) = one.broadcast(shape) else {
            continue;
        };
        group.bench(
            "objective_and_gradient_into, one row for all",
            2 * n,
            || done(loss.objective_and_gradient_into(p, &labels, Aggregate::Mean, &mut gradient)),
        );
    }
}

fn dense_targets(criterion: &mut Criterion) {
    let loss = CategoricalCrossentropyWithLogits::default();
    for shape in ITEMWISE {
        let p = Values::Between(-8.0, 8.0).array::<f32, _>(shape, 1);
        let targets = Layouts::new(distributions(shape.0, shape.1, 2));
        let n = shape.0 * shape.1;
        let mut gradient = Array2::zeros(shape);
        let name = "categorical_crossentropy_with_logits, dense";
        let mut group = Group::<f32>::new(criterion, name, format!("{}x{}", shape.0, shape.1));
        for (layout, t) in targets.views() {
            group.bench(
                &format!("objective_and_gradient_into, targets {layout}"),
                3 * n,
                || done(loss.objective_and_gradient_into(&p, t, Aggregate::Mean, &mut gradient)),
            );
        }
    }
}

fn all(criterion: &mut Criterion) {
    elementwise(criterion, "layouts/squared_error", SquaredError);
    let logits = BinaryCrossentropyWithLogits::default();
    elementwise(criterion, "layouts/binary_crossentropy_with_logits", logits);
    let hinge = MulticlassHingeLoss::default();
    itemwise(criterion, "layouts/multiclass_hinge_loss", hinge);
    let logits = CategoricalCrossentropyWithLogits::default();
    itemwise(
        criterion,
        "layouts/categorical_crossentropy_with_logits",
        logits,
    );
    dense_targets(criterion);
}

criterion_group! {
    name = benches;
    config = common::criterion();
    targets = all
}
criterion_main!(benches);
