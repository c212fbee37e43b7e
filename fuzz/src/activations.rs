//! Activations, their vector–Jacobian products, and scalar functions.

use ndarray::{Array1, ArrayD, ArrayRef, Ix2, IxDyn};
use ndarray_loss::{
    LossError, log_sigmoid, log_sigmoid_into, log_sigmoid_vjp, log_sigmoid_vjp_into, log_softmax,
    log_softmax_into, log_softmax_vjp, log_softmax_vjp_into, log_sum_exp, log_sum_exp_into,
    log_sum_exp_vjp, log_sum_exp_vjp_into, math, sigmoid, sigmoid_into, sigmoid_vjp,
    sigmoid_vjp_into, softmax, softmax_into, softmax_vjp, softmax_vjp_into,
};

use crate::call::{buffer, check_untouched, output_due};
use crate::check::{Checked, Due, ensure, near, same};
use crate::number::Number;
use crate::oracle::{Near, Softmax};
use crate::source::{Layout, Palette, Placed, Source};
use crate::{report, signature};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Sigmoid,
    LogSigmoid,
    SigmoidVjp,
    LogSigmoidVjp,
    Softmax,
    LogSoftmax,
    LogSumExp,
    SoftmaxVjp,
    LogSoftmaxVjp,
    LogSumExpVjp,
}

use Function::*;

const ALL: [Function; 10] = [
    Sigmoid,
    LogSigmoid,
    SigmoidVjp,
    LogSigmoidVjp,
    Softmax,
    LogSoftmax,
    LogSumExp,
    SoftmaxVjp,
    LogSoftmaxVjp,
    LogSumExpVjp,
];

#[derive(Debug)]
struct Case<F: Number> {
    function: Function,
    x: Placed<F>,
    cotangent: Placed<F>,
    out: (Vec<usize>, Layout),
}

pub(crate) fn run<F: Number>(source: &mut Source<'_>) -> u64 {
    let function = source.choose(&ALL);
    let shape = source.shape_with_classes();
    let palette = source.palette();
    let items = shape.split_last().map_or(&[][..], |(_, items)| items);
    let mut of_cotangent = if function == LogSumExpVjp {
        items
    } else {
        &shape
    }
    .to_vec();
    if source.one_in(12) {
        of_cotangent = source.other_shape(&of_cotangent);
    }
    let mut of_out = if function == LogSumExp { items } else { &shape }.to_vec();
    if source.one_in(12) {
        of_out = source.other_shape(&of_out);
    }
    let of_cotangents = source.choose(&[Palette::Ordinary, Palette::Bits, Palette::Mixed, palette]);
    let case = Case::<F> {
        function,
        x: source.numbers(&shape, palette),
        cotangent: source.numbers(&of_cotangent, of_cotangents),
        out: {
            let layout = source.layout(of_out.len(), false);
            (of_out, layout)
        },
    };
    report::<F>(&case, || case.check());
    signature((function, palette, case.due().is_none()), &shape)
}

/// What is known of the cotangents of a row.
struct Known {
    dot: f64,
    size: f64,
    most: f64,
    has_nan: bool,
    has_huge: bool,
}

impl Function {
    fn has_rows(self) -> bool {
        !matches!(self, Sigmoid | LogSigmoid | SigmoidVjp | LogSigmoidVjp)
    }

    fn is_vjp(self) -> bool {
        matches!(
            self,
            SigmoidVjp | LogSigmoidVjp | SoftmaxVjp | LogSoftmaxVjp | LogSumExpVjp
        )
    }
}

impl<F: Number> Case<F> {
    fn result_shape(&self) -> &[usize] {
        match self.x.shape().split_last() {
            Some((_, items)) if self.function == LogSumExp => items,
            _ => self.x.shape(),
        }
    }

    fn due(&self) -> Due {
        let mut due = Due::default();
        let shape = self.x.shape();
        if self.function.has_rows() && matches!(shape.last(), None | Some(0)) {
            due.certain(LossError::TooFewClasses {
                classes: 0,
                required: 1,
            });
        }
        let expected = match shape.split_last() {
            Some((_, items)) if self.function == LogSumExpVjp => items,
            _ => shape,
        };
        if self.function.is_vjp() && expected != self.cotangent.shape() {
            due.certain(LossError::ShapeMismatch {
                predictions: expected.to_vec(),
                targets: self.cotangent.shape().to_vec(),
            });
        }
        due
    }

    fn call(&self) -> Result<ArrayD<F>, LossError> {
        let (x, g) = (self.x.view(), self.cotangent.view());
        match self.function {
            Sigmoid => sigmoid(x),
            LogSigmoid => log_sigmoid(x),
            SigmoidVjp => sigmoid_vjp(x, g),
            LogSigmoidVjp => log_sigmoid_vjp(x, g),
            Softmax => softmax(x),
            LogSoftmax => log_softmax(x),
            LogSumExp => log_sum_exp(x),
            SoftmaxVjp => softmax_vjp(x, g),
            LogSoftmaxVjp => log_softmax_vjp(x, g),
            LogSumExpVjp => log_sum_exp_vjp(x, g),
        }
    }

    fn call_into(&self, out: &mut ArrayRef<F, IxDyn>) -> Result<(), LossError> {
        let (x, g) = (self.x.view(), self.cotangent.view());
        match self.function {
            Sigmoid => sigmoid_into(x, out),
            LogSigmoid => log_sigmoid_into(x, out),
            SigmoidVjp => sigmoid_vjp_into(x, g, out),
            LogSigmoidVjp => log_sigmoid_vjp_into(x, g, out),
            Softmax => softmax_into(x, out),
            LogSoftmax => log_softmax_into(x, out),
            LogSumExp => log_sum_exp_into(x, out),
            SoftmaxVjp => softmax_vjp_into(x, g, out),
            LogSoftmaxVjp => log_softmax_vjp_into(x, g, out),
            LogSumExpVjp => log_sum_exp_vjp_into(x, g, out),
        }
    }

    /// Of a matrix, where this is one.
    fn call_of_matrix(&self) -> Option<Result<ArrayD<F>, LossError>> {
        let x = self.x.view().into_dimensionality::<Ix2>().ok()?;
        Some(match self.function {
            Sigmoid => sigmoid(x).map(|y| y.into_dyn()),
            Softmax => softmax(x).map(|y| y.into_dyn()),
            LogSumExp => log_sum_exp(x).map(|y| y.into_dyn()),
            SoftmaxVjp => {
                let g = self.cotangent.view().into_dimensionality::<Ix2>().ok()?;
                softmax_vjp(x, g).map(|y| y.into_dyn())
            }
            _ => return None,
        })
    }

    fn check(&self) -> Checked {
        self.check_scalars()?;
        let due = self.due();
        let result = due.check("result", self.call())?;
        let mut due_into = due.clone();
        output_due(&mut due_into, self.result_shape(), &self.out.0);
        let mut out = buffer::<F>(&self.out);
        let done = due_into.check("into", self.call_into(&mut out.view_mut()))?;
        if let (Some(()), Some(result)) = (done, &result) {
            same("into", &out.to_owned(), result)?;
        }
        check_untouched("into", out, done.is_some())?;
        if let Some(of_matrix) = self.call_of_matrix() {
            let of_matrix = due.check("of a matrix", of_matrix)?;
            if let (Some(of_matrix), Some(result)) = (&of_matrix, &result) {
                same("of a matrix", of_matrix, result)?;
            }
        }
        let Some(result) = result else { return Ok(()) };
        ensure!(
            result.shape() == self.result_shape(),
            "shape {:?}",
            result.shape()
        );
        let result: Vec<F> = result.iter().copied().collect();
        let x: Vec<f64> = self.x.view().iter().map(|x| x.wide()).collect();
        let g: Vec<f64> = self.cotangent.view().iter().map(|g| g.wide()).collect();
        if self.function.has_rows() {
            self.check_rows(&x, &g, &result)
        } else {
            for (i, (&x, &got)) in x.iter().zip(&result).enumerate() {
                let g = g.get(i).copied().unwrap_or(0.0);
                near((self.function, x, g), got, self.element(x, g))?;
            }
            Ok(())
        }
    }

    fn element(&self, x: f64, g: f64) -> Near {
        let e = (-x.abs()).exp();
        let sigmoid = |x: f64| {
            if x > 0.0 {
                1.0 / (1.0 + e)
            } else {
                e / (1.0 + e)
            }
        };
        let wild = g.is_infinite();
        match self.function {
            Sigmoid if x.is_nan() => Near::exactly(f64::NAN),
            Sigmoid => Near::relative::<F>(sigmoid(x)),
            LogSigmoid if x.is_nan() => Near::exactly(f64::NAN),
            LogSigmoid => Near::relative::<F>(x.min(0.0) - e.ln_1p()),
            // 0·∞, where the slope is 0 in one format and not in the other
            _ if wild => Near::anything(),
            _ if x.is_nan() || g.is_nan() => Near::exactly(f64::NAN),
            SigmoidVjp => {
                let value = g * (sigmoid(x) * sigmoid(-x));
                Near::new::<F>(value, value.abs(), g)
            }
            _ => {
                let value = g * sigmoid(-x);
                Near::new::<F>(value, value.abs(), g)
            }
        }
    }

    fn check_rows(&self, x: &[f64], g: &[f64], result: &[F]) -> Checked {
        let classes = self.x.shape().last().copied().unwrap_or(1).max(1);
        for (item, row) in x.chunks_exact(classes).enumerate() {
            let span = item * classes..(item + 1) * classes;
            let softmax = Softmax::of(row);
            let what = (self.function, "item", item);
            if self.function == LogSumExp {
                let value = match &softmax {
                    Some(softmax) => softmax.maximum + softmax.log(),
                    None if row.iter().any(|x| x.is_nan()) => f64::NAN,
                    None => row.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                };
                let size = value
                    .abs()
                    .max(softmax.map_or(0.0, |s| s.maximum.abs() + s.log()));
                near(what, result[item], Near::relative_to::<F>(value, size))?;
                continue;
            }
            let cotangents = g.get(span.clone()).unwrap_or_default();
            let known = softmax
                .as_ref()
                .map(|softmax| self.known(softmax, cotangents));
            for (class, (&x, &got)) in row.iter().zip(&result[span]).enumerate() {
                let g = match self.function {
                    LogSumExpVjp => g[item],
                    _ => cotangents.get(class).copied().unwrap_or(0.0),
                };
                let want = match (&softmax, self.function) {
                    (_, LogSumExpVjp) if g == 0.0 => Near::exactly(0.0),
                    (None, _) => Near::exactly(f64::NAN),
                    (Some(softmax), Softmax) => Near::relative::<F>(softmax.probability(class)),
                    (Some(softmax), LogSoftmax) => {
                        let distance = softmax.maximum - x;
                        Near::relative_to::<F>(-distance - softmax.log(), distance + softmax.log())
                    }
                    (Some(softmax), LogSumExpVjp) => {
                        let value = g * softmax.probability(class);
                        if g.is_infinite() {
                            Near::anything()
                        } else {
                            Near::new::<F>(value, value.abs(), g)
                        }
                    }
                    (Some(softmax), _) => {
                        let known = known.as_ref().ok_or("a row without a sum")?;
                        self.product(softmax.probability(class), g, known)
                    }
                };
                near((what, "class", class, x), got, want)?;
            }
        }
        Ok(())
    }

    /// What a product needs to know of the cotangents of a row.
    fn known(&self, softmax: &Softmax, g: &[f64]) -> Known {
        let (mut dot, mut size, mut most) = (0.0, 0.0, 0.0_f64);
        for (class, &g) in g.iter().enumerate() {
            let weight = match self.function {
                SoftmaxVjp => softmax.probability(class),
                _ => 1.0,
            };
            dot += weight * g;
            size += weight * g.abs();
            most = most.max(g.abs());
        }
        let has_nan = g.iter().any(|g| g.is_nan());
        let has_huge = g.iter().any(|g| g.abs() > F::MAX.sqrt());
        Known {
            dot,
            size,
            most,
            has_nan,
            has_huge,
        }
    }

    fn product(&self, p: f64, own: f64, known: &Known) -> Near {
        let &Known {
            dot, size, most, ..
        } = known;
        match self.function {
            // The order of operations decides what overflows, and a rounded 0 what an infinity gives.
            _ if known.has_huge => Near::anything(),
            _ if known.has_nan => Near::exactly(f64::NAN),
            SoftmaxVjp => Near::new::<F>(p * (own - dot), p * (own.abs() + size), most),
            _ => Near::new::<F>(own - p * dot, own.abs() + p * size, size.max(most)),
        }
    }

    /// The functions that losses are made of, of some of the logits.
    fn check_scalars(&self) -> Checked {
        let some: Array1<F> = self.x.view().iter().copied().take(32).collect();
        for x in some {
            let wide = x.wide();
            near(("exp", x), math::exp(x), Near::relative::<F>(wide.exp()))?;
            near(
                ("exp_m1", x),
                math::exp_m1(x),
                Near::relative::<F>(wide.exp_m1()),
            )?;
            near(
                ("ln_1p", x),
                math::ln_1p(x),
                Near::relative::<F>(wide.ln_1p()),
            )?;
            near(("ln", x), math::ln(x), Near::relative::<F>(wide.ln()))?;
        }
        Ok(())
    }
}
