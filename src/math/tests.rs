//! What the docs promise: the limits, and the bounds of the errors.

use std::f64::consts::{LN_2, LOG2_E};

use super::{Elementary, exp, exp_m1, exp_nonpositive, ln, ln_1p, ln_1p_of_fraction};
use crate::Float;

// In ULP, for `f32` and `f64`.
const LN_BOUNDS: (f64, f64) = (0.83, 0.93);
const LN_1P_BOUNDS: (f64, f64) = (0.83, 0.93);
const EXP_BOUNDS: (f64, f64) = (0.90, 0.92);
const EXP_M1_BOUNDS: (f64, f64) = (1.24, 1.40);
const SCALED_BOUNDS: (f64, f64) = (1.05, 1.05);

fn assert_same<F: Float>(name: &str, x: F, value: F, expected: F) {
    let same = value == expected && value.is_sign_negative() == expected.is_sign_negative();
    assert!(
        same || value.is_nan() && expected.is_nan(),
        "{name}({x:e}) is {value:e}, not {expected:e}"
    );
}

fn check_limits<F: Float>(minus_one_from: F) {
    let (zero, one) = (F::zero(), F::one());
    let (infinity, nan, largest) = (F::infinity(), F::nan(), F::max_value());
    let least = F::min_positive_value() * F::epsilon();
    let below_minus_one = -(one + F::epsilon());
    let cases: &[(&str, fn(F) -> F, &[(F, F)])] = &[
        (
            "ln",
            ln,
            &[
                (zero, -infinity),
                (-zero, -infinity),
                (-least, nan),
                (-one, nan),
                (-infinity, nan),
                (one, zero),
                (infinity, infinity),
                (nan, nan),
            ],
        ),
        (
            "ln_1p",
            ln_1p,
            &[
                (-one, -infinity),
                (below_minus_one, nan),
                (-largest, nan),
                (-infinity, nan),
                (zero, zero),
                (-zero, -zero),
                (least, least),
                (-least, -least),
                (infinity, infinity),
                (nan, nan),
            ],
        ),
        (
            "exp",
            exp,
            &[
                (-infinity, zero),
                (-largest, zero),
                (zero, one),
                (-zero, one),
                (largest, infinity),
                (infinity, infinity),
                (nan, nan),
            ],
        ),
        (
            "exp_nonpositive",
            exp_nonpositive,
            &[
                (-infinity, zero),
                (-largest, zero),
                (zero, one),
                (-zero, one),
                (nan, nan),
            ],
        ),
        (
            "exp_m1",
            exp_m1,
            &[
                (-infinity, -one),
                (-largest, -one),
                (minus_one_from, -one),
                (zero, zero),
                (-zero, -zero),
                (least, least),
                (-least, -least),
                (largest, infinity),
                (infinity, infinity),
                (nan, nan),
            ],
        ),
    ];
    for (name, function, values) in cases {
        for &(x, expected) in *values {
            assert_same(name, x, function(x), expected);
        }
    }
}

#[test]
fn limits() {
    check_limits(-18.0_f32);
    check_limits(-38.0_f64);
}

fn check_limits_of_terms<F: Float>() {
    let (zero, one, infinity) = (F::zero(), F::one(), F::infinity());
    let largest = F::max_value();
    for maximum in [-F::SCALED_FLOOR, zero, one] {
        let floor = maximum - F::SCALED_FLOOR;
        let below = floor - one;
        let offset = F::exponent_offset(maximum);
        let scaled = |x: F| x.exp_scaled(floor, offset);
        for x in [-infinity, -largest, below] {
            assert_same("exp_scaled", x, scaled(x), zero);
            assert_same("exp_difference", x, x.exp_difference(maximum), zero);
        }
        assert!(scaled(floor) > zero, "exp_scaled at its floor {floor:e}");
        assert!(
            floor.exp_difference(maximum) > zero,
            "exp_difference at {floor:e}"
        );
        assert_same("exp_scaled", F::nan(), scaled(F::nan()), F::nan());
        assert_same(
            "exp_difference",
            F::nan(),
            F::nan().exp_difference(maximum),
            F::nan(),
        );
    }
    for x in [-infinity, -largest, -one] {
        assert_same(
            "exp_difference from the largest number",
            x,
            x.exp_difference(largest),
            zero,
        );
    }
}

#[test]
fn limits_of_terms() {
    check_limits_of_terms::<f32>();
    check_limits_of_terms::<f64>();
}

fn check_nan<F: Float>(nan: F) {
    let offset = F::exponent_offset(F::one());
    let values = [
        ln(nan),
        ln_1p(nan),
        exp(nan),
        exp_nonpositive(nan),
        exp_m1(nan),
        nan.exp_scaled(F::zero(), offset),
        nan.exp_difference(F::one()),
    ];
    assert!(values.iter().all(|y| y.is_nan()), "a NaN became {values:?}");
}

/// The exponent of a result is made of bits that a NaN fills with its payload.
#[test]
fn a_nan_of_any_payload_stays_one() {
    for payload in 0..1 << 9 {
        check_nan(f32::from_bits(0x7fc0_0000 | payload));
        check_nan(f32::from_bits(0xffc0_0000 | payload));
    }
    for payload in 0..1 << 12 {
        check_nan(f64::from_bits(0x7ff8_0000_0000_0000 | payload));
        check_nan(f64::from_bits(0xfff8_0000_0000_0000 | payload));
    }
}

/// The spacing of `f32` at an exact value.
fn spacing(exact: f64) -> f64 {
    let exponent = (exact.abs().to_bits() >> 52).max(1023 - 126);
    f64::from_bits((exponent - 23) << 52)
}

fn assert_within(name: &str, x: f32, value: f32, exact: f64, bound: f64) {
    let error = (f64::from(value) - exact).abs() / spacing(exact);
    assert!(
        error <= bound,
        "{name}({x:e}) is {value:e}, {error:.4} ULP from {exact:e}"
    );
}

/// Every 4099th pattern of bits: a prime, so that all mantissas and exponents are met.
fn sampled() -> impl Iterator<Item = f32> {
    (0..=u32::MAX).step_by(4099).map(f32::from_bits)
}

fn check_against_f64(name: &str, function: fn(f32) -> f32, exact: fn(f64) -> f64, bound: f64) {
    for x in sampled() {
        let (value, exact) = (function(x), exact(x.into()));
        if (exact as f32).is_finite() {
            assert_within(name, x, value, exact, bound);
        } else {
            assert_same(name, x, value, exact as f32);
        }
    }
}

#[test]
fn f32_within_the_documented_bounds() {
    check_against_f64("ln", ln, f64::ln, LN_BOUNDS.0);
    check_against_f64("ln_1p", ln_1p, f64::ln_1p, LN_1P_BOUNDS.0);
    check_against_f64("exp", exp, f64::exp, EXP_BOUNDS.0);
    check_against_f64("exp_m1", exp_m1, f64::exp_m1, EXP_M1_BOUNDS.0);
    for x in sampled().filter(|&x| x <= 0.0) {
        let exact = f64::from(x).exp();
        assert_within(
            "exp_nonpositive",
            x,
            exp_nonpositive(x),
            exact,
            SCALED_BOUNDS.0,
        );
    }
}

fn check_fraction<F: Float>(x: F) {
    let (value, expected) = (ln_1p_of_fraction(x), ln_1p(x));
    assert_same("ln_1p_of_fraction", x, value, expected);
}

#[test]
fn ln_1p_of_a_fraction_has_the_same_bits() {
    sampled()
        .filter(|&x| x.is_sign_positive() && (x <= 1.0 || x.is_nan()))
        .for_each(check_fraction);
    for x in [0.0, 0.25, 0.5, 0.75, 1.0] {
        check_fraction::<f32>(x);
        check_fraction::<f64>(x.into());
    }
    // around ½, where another formula takes over
    for distance in -1000..1000 {
        check_fraction(0.5 + distance as f32 * (f32::EPSILON / 4.0));
        check_fraction(0.5 + f64::from(distance) * (f64::EPSILON / 4.0));
    }
    for step in 0..100_000 {
        check_fraction(f64::from(step) / 99_999.0);
        check_fraction((-f64::from(step) / 150.0).exp());
    }
}

/// Maxima of rows, and logits of such a row from the maximum down to the floor.
fn rows(limit: f32) -> impl Iterator<Item = (f32, f32)> {
    let maxima = (-500..500).map(move |i| limit * (i as f32 / 500.5));
    maxima.flat_map(|maximum| (0..300).map(move |j| (maximum, maximum - j as f32 * 0.3471)))
}

#[test]
fn f32_terms_within_the_documented_bounds() {
    let bias = 60.0_f64.exp2();
    for (maximum, x) in rows(20.0).chain(rows(f32::SCALED_LIMIT)) {
        let exponent = f64::from(maximum) * LOG2_E;
        // Next to a tie k may be either integer.
        if (exponent.fract().abs() - 0.5).abs() > 1e-3 {
            let exact = (f64::from(x) - exponent.round() * LN_2).exp() * bias;
            let value = x.exp_scaled(maximum - f32::SCALED_FLOOR, f32::exponent_offset(maximum));
            assert_within("exp_scaled", x, value, exact, SCALED_BOUNDS.0);
        }
    }
    for (maximum, x) in rows(20.0).chain(rows(1e6)) {
        let exact = (f64::from(x) - f64::from(maximum)).exp() * bias;
        // `x` was rounded: at a large maximum it may be below the floor.
        if f64::from(x) >= f64::from(maximum) - 104.9 {
            assert_within(
                "exp_difference",
                x,
                x.exp_difference(maximum),
                exact,
                SCALED_BOUNDS.0,
            );
        }
    }
}

/// An argument, the bits of the correctly rounded result, and what that lacks, in units of its last place.
///
/// Computed with mpmath at 2400 bits, for example `log(mpf(x))`.
type Exact = (f64, u64, f64);

fn check_exact(name: &str, function: impl Fn(f64) -> f64, table: &[Exact], bound: f64) {
    for &(x, bits, rest) in table {
        check_one(name, x, function(x), (bits, rest), bound);
    }
}

fn check_one(name: &str, x: f64, value: f64, (bits, rest): (u64, f64), bound: f64) {
    let rounded = f64::from_bits(bits);
    let unit = rounded.abs().next_up() - rounded.abs();
    let error = ((value - rounded) / unit - rest).abs();
    // The tables hold three decimals.
    assert!(
        error <= bound + 5e-4,
        "{name}({x:e}) is {value:e}, {error:.3} ULP from {rounded:e}"
    );
}

#[test]
fn f64_within_the_documented_bounds() {
    check_exact("ln", ln, LN, LN_BOUNDS.1);
    check_exact("ln_1p", ln_1p, LN_1P, LN_1P_BOUNDS.1);
    check_exact("exp", exp, EXP, EXP_BOUNDS.1);
    check_exact("exp_m1", exp_m1, EXP_M1, EXP_M1_BOUNDS.1);
    for &(x, bits, rest) in EXP.iter().filter(|row| row.0 <= 0.0) {
        check_one(
            "exp_nonpositive",
            x,
            exp_nonpositive(x),
            (bits, rest),
            SCALED_BOUNDS.1,
        );
    }
}

#[test]
fn f64_terms_within_the_documented_bounds() {
    for &(maximum, row) in EXP_SCALED {
        let (floor, offset) = (maximum - f64::SCALED_FLOOR, f64::exponent_offset(maximum));
        let scaled = |x: f64| x.exp_scaled(floor, offset);
        check_exact("exp_scaled", scaled, &[row], SCALED_BOUNDS.1);
    }
    for &(maximum, row) in EXP_DIFFERENCE {
        let difference = |x: f64| x.exp_difference(maximum);
        check_exact("exp_difference", difference, &[row], SCALED_BOUNDS.1);
    }
}

const LN: &[Exact] = &[
    (5e-324, 0xc087_4385_446d_71c3, -0.389),
    (2.225_073_858_507_201e-308, 0xc086_232b_dd7a_bcd2, -0.244),
    (2.225_073_858_507_201_4e-308, 0xc086_232b_dd7a_bcd2, -0.242),
    (1e-300, 0xc085_9634_47f8_7fb5, -0.208),
    (1e-5, 0xc027_069e_2aa2_aa5b, 0.157),
    (0.1, 0xc002_6bb1_bbb5_5515, -0.386),
    (0.25, 0xbff6_2e42_fefa_39ef, -0.209),
    (0.499_999_999_999_999_94, 0xbfe6_2e42_fefa_39f0, -0.209),
    (0.7, 0xbfd6_d3c3_24e1_3f50, 0.087),
    (0.749_999_999_999_999_9, 0xbfd2_6962_1134_db95, -0.136),
    (0.75, 0xbfd2_6962_1134_db92, -0.470),
    (0.9, 0xbfba_f8e8_210a_415c, 0.347),
    (0.999_999_999_999_999_8, 0xbcb0_0000_0000_0001, 0.500),
    (0.999_999_999_999_999_9, 0xbca0_0000_0000_0000, -0.250),
    (1.000_000_000_000_000_2, 0x3caf_ffff_ffff_ffff, 0.000),
    (1.000_000_000_1, 0x3ddb_7cdf_fffa_18d8, -0.326),
    (1.1, 0x3fb8_663f_793c_46cc, 0.427),
    (1.484_886_552_975_897_7, 0x3fd9_4d39_52d5_19e5, 0.088),
    (1.488_066_926_474_375_6, 0x3fd9_7047_3329_d72d, 0.107),
    (1.499_999_999_999_999_8, 0x3fd9_f323_ecbf_9849, 0.281),
    (1.5, 0x3fd9_f323_ecbf_984c, -0.052),
    (2.0, 0x3fe6_2e42_fefa_39ef, 0.209),
    (2.75, 0x3ff0_2f84_7004_34a8, 0.227),
    (10.0, 0x4002_6bb1_bbb5_5516, -0.489),
    (1e22, 0x4049_5414_6219_54fe, -0.422),
    (1e300, 0x4085_9634_47f8_7fb5, 0.209),
    (1.797_693_134_862_315_7e308, 0x4086_2e42_fefa_39ef, 0.208),
];
const LN_1P: &[Exact] = &[
    (-0.999_999_999_999_999_9, 0xc042_5e4f_7b27_37fa, -0.095),
    (-0.999, 0xc01b_a18a_998f_ff9f, -0.267),
    (-0.75, 0xbff6_2e42_fefa_39ef, -0.209),
    (-0.6, 0xbfed_5240_f0e0_e077, -0.127),
    (-0.5, 0xbfe6_2e42_fefa_39ef, -0.209),
    (-0.273_736_137_170_451_53, 0xbfd4_784a_1697_6627, -0.105),
    (-0.255_397_656_843_447_4, 0xbfd2_dfb9_1920_882d, 0.081),
    (-0.250_000_000_000_000_06, 0xbfd2_6962_1134_db94, 0.197),
    (-0.25, 0xbfd2_6962_1134_db92, -0.470),
    (-0.1, 0xbfba_f8e8_210a_415e, 0.124),
    (-1e-5, 0xbee4_f8bc_681e_6006, 0.319),
    (-1e-12, 0xbd71_9799_812d_f3bd, 0.120),
    (-1e-300, 0x81a5_6e1f_c2f8_f359, 0.000),
    (-5e-324, 0x8000_0000_0000_0001, 0.000),
    (5e-324, 0x0000_0000_0000_0001, 0.000),
    (1e-300, 0x01a5_6e1f_c2f8_f359, 0.000),
    (1e-17, 0x3c67_0ef5_4646_d497, -0.032),
    (2.220_446_049_250_313e-16, 0x3caf_ffff_ffff_ffff, 0.000),
    (1e-9, 0x3e11_2e0b_e801_f1d9, 0.362),
    (0.0001, 0x3f1a_368d_0658_0001, 0.047),
    (0.1, 0x3fb8_663f_793c_46c7, -0.027),
    (0.414_213_562_373_095_03, 0x3fd6_2e42_fefa_39ef, 0.026),
    (0.488_310_437_131_633_6, 0x3fd9_72f5_8257_d7bd, 0.161),
    (0.5, 0x3fd9_f323_ecbf_984c, -0.052),
    (1.0, 0x3fe6_2e42_fefa_39ef, 0.209),
    (1.8, 0x3ff0_7952_35c1_ea1c, -0.412),
    (2.0, 0x3ff1_93ea_7aad_030b, -0.409),
    (5.0, 0x3ffc_ab0b_fa2a_2002, 0.196),
    (100_000.0, 0x4027_069f_7a2d_94f6, -0.208),
    (4_503_599_627_370_496.0, 0x4042_0596_6f2b_4f12, 0.388),
    (9_007_199_254_740_992.0, 0x4042_5e4f_7b27_37fa, 0.110),
    (1e100, 0x406c_c845_b54b_54f2, -0.388),
    (8.988_465_674_311_58e307, 0x4086_28b7_6e3a_7b61, -0.275),
    (1.797_693_134_862_315_7e308, 0x4086_2e42_fefa_39ef, 0.208),
];
const EXP: &[Exact] = &[
    (-34.296_211_104_404_286, 0x3cd6_f5a9_1795_94e3, 0.092),
    (-21.126_772_646_771_197, 0x3e06_f38e_8da5_b41f, -0.040),
    (-745.133_219_101_941_1, 0x0000_0000_0000_0001, -0.500),
    (-745.0, 0x0000_0000_0000_0001, -0.429),
    (-720.5, 0x0000_0005_cf08_fff0, 0.060),
    (-708.887_234_075_559_5, 0x0009_cb45_a788_84e5, 0.482),
    (-708.396_418_532_264_1, 0x0010_0000_0000_007c, -0.262),
    (-281.712_627_969_347_1, 0x2687_d3fa_bed2_2a3f, -0.139),
    (-37.5, 0x3c8d_d5c5_6630_1ec8, -0.383),
    (-1.0, 0x3fd7_8b56_362c_ef38, -0.224),
    (-0.5, 0x3fe3_68b2_fc6f_960a, -0.006),
    (-0.346_573_590_279_972_64, 0x3fe6_a09e_667f_3bcd, -0.362),
    (-0.001, 0x3fef_f7cf_e56f_1a9e, -0.273),
    (1e-300, 0x3ff0_0000_0000_0000, 0.000),
    (1e-16, 0x3ff0_0000_0000_0000, 0.450),
    (1e-5, 0x3ff0_000a_7c5e_340e, 0.437),
    (0.1, 0x3ff1_aec7_b35a_00d4, -0.367),
    (0.346_573_590_279_972_64, 0x3ff6_a09e_667f_3bcc, 0.491),
    (0.346_573_590_279_972_7, 0x3ff6_a09e_667f_3bcd, -0.156),
    (0.5, 0x3ffa_6129_8e1e_069c, -0.213),
    (0.997_145_541_068_168_3, 0x4005_af2c_469f_b053, -0.397),
    (1.0, 0x4005_bf0a_8b14_5769, 0.326),
    (2.5, 0x4028_5d6f_d931_e0bb, 0.114),
    (10.0, 0x40d5_829d_cf95_0560, -0.379),
    (100.0, 0x48f3_494a_9b17_1bf5, -0.325),
    (300.7, 0x5b0c_3714_f17a_e743, -0.451),
    (700.0, 0x7f0d_945d_f4f8_ec8e, 0.137),
    (709.0, 0x7fdd_422d_2be5_dc9b, -0.196),
    (709.782_712_893_384, 0x7fef_ffff_ffff_ff2a, 0.106),
];
const EXP_M1: &[Exact] = &[
    (-37.0, 0xbfef_ffff_ffff_ffff, -0.231),
    (-20.0, 0xbfef_ffff_fee4_b79b, 0.372),
    (-3.0, 0xbfee_6824_f333_14f5, -0.076),
    (-1.0, 0xbfe4_3a54_e4e9_8864, -0.112),
    (-0.7, 0xbfe0_1bf9_2311_555f, 0.089),
    (-0.5, 0xbfd9_2e9a_0720_d3ec, -0.012),
    (-0.346_573_590_279_972_64, 0xbfd2_bec3_3301_8867, 0.277),
    (-0.1, 0xbfb8_5c93_3156_a62c, -0.357),
    (-1e-5, 0xbee4_f8ae_a9ac_f2c9, -0.454),
    (-1e-12, 0xbd71_9799_812d_e065, -0.120),
    (-1e-17, 0xbc67_0ef5_4646_d497, 0.032),
    (-1e-300, 0x81a5_6e1f_c2f8_f359, 0.000),
    (-5e-324, 0x8000_0000_0000_0001, 0.000),
    (5e-324, 0x0000_0000_0000_0001, 0.000),
    (1e-300, 0x01a5_6e1f_c2f8_f359, 0.000),
    (1e-18, 0x3c32_725d_d1d2_43ac, 0.003),
    (1e-10, 0x3ddb_7cdf_d9dd_a4e3, 0.262),
    (0.001, 0x3f50_6466_dfb8_cf3a, 0.120),
    (0.1, 0x3fba_ec7b_35a0_0d3a, 0.128),
    (0.346_573_590_279_972_64, 0x3fda_8279_99fc_ef32, -0.037),
    (0.347_070_502_976_375_7, 0x3fda_8dfd_d78c_6c17, 0.342),
    (0.386_663_910_875_788_5, 0x3fde_3642_205e_599b, 0.253),
    (0.5, 0x3fe4_c253_1c3c_0d38, -0.426),
    (0.7, 0x3ff0_3854_c24d_130d, 0.097),
    (1.0, 0x3ffb_7e15_1628_aed3, -0.349),
    (1.1, 0x4000_0888_3244_d593, -0.036),
    (3.0, 0x4033_15e5_bf6f_b106, -0.051),
    (20.0, 0x41bc_eb08_8a68_e804, 0.008),
    (36.5, 0x4339_40b4_acc4_e543, 0.065),
    (100.0, 0x48f3_494a_9b17_1bf5, -0.325),
    (709.0, 0x7fdd_422d_2be5_dc9b, -0.196),
    (709.782_712_893_384, 0x7fef_ffff_ffff_ff2a, 0.106),
];
const EXP_SCALED: &[(f64, Exact)] = &[
    (0.0, (0.0, 0x5f30_0000_0000_0000, 0.000)),
    (0.3, (-745.0, 0x1c02_47ae_63a7_25b9, -0.143)),
    (10.0, (3.5, 0x5ea0_8ec7_2139_6bdb, 0.316)),
    (1_000_000.125, (999_299.75, 0x200b_bc68_e9fa_e44d, 0.230)),
    (-1_000_000.0, (-1_000_001.5, 0x5f0b_c336_d915_5d6e, -0.466)),
    (
        123_456_789.7,
        (123_456_789.123, 0x5f25_9542_888e_6f4e, 0.270),
    ),
    (
        1_000_000_000.0,
        (999_999_999.9, 0x5f2a_cf55_873d_aeec, 0.272),
    ),
    (
        -1_000_000_000.3,
        (-1_000_000_744.0, 0x1c1a_d532_f3c7_25b0, -0.479),
    ),
    (
        1_073_741_823.5,
        (1_073_741_823.0, 0x5f22_dbe2_24a2_927d, 0.237),
    ),
    (
        4_176_966.959_140_221,
        (4_176_966.959_140_221, 0x5f26_e8f8_fba6_c83d, 0.008),
    ),
];
const EXP_DIFFERENCE: &[(f64, Exact)] = &[
    (0.0, (0.0, 0x5f30_0000_0000_0000, 0.000)),
    (0.3, (-745.0, 0x1bfb_1596_11fa_fc08, 0.013)),
    (10.0, (3.5, 0x5e98_a1e1_8a95_4ffa, 0.369)),
    (1_000_000.125, (999_299.75, 0x2007_cafd_224d_a3f4, -0.499)),
    (-1_000_000.0, (-1_000_001.5, 0x5f0c_8f87_724b_5c1d, 0.392)),
    (
        123_456_789.7,
        (123_456_789.123, 0x5f21_f877_d607_140b, 0.445),
    ),
    (
        1_000_000_000.0,
        (999_999_999.9, 0x5f2c_f46d_8e40_3299, -0.116),
    ),
    (
        -1_000_000_000.3,
        (-1_000_000_744.0, 0x1c20_c4c8_d26d_c668, 0.081),
    ),
    (
        1_073_741_823.5,
        (1_073_741_823.0, 0x5f23_68b2_fc6f_960a, -0.006),
    ),
    (
        4_176_966.959_140_221,
        (4_176_966.959_140_221, 0x5f30_0000_0000_0000, 0.000),
    ),
    (
        1_000_000_000_000.0,
        (999_999_999_999.5, 0x5f23_68b2_fc6f_960a, -0.006),
    ),
    (
        1_000_000_000_000_000.0,
        (999_999_999_999_299.8, 0x200a_f5fe_9a48_5c8e, 0.340),
    ),
    (
        -1e17,
        (-1.000_000_000_000_000_2e17, 0x5dbe_355b_baee_85cb, -0.147),
    ),
    (700.0, (0.1, 0x2013_2132_bfae_64fd, -0.251)),
    (100.3, (-1e-20, 0x5623_aab0_c958_9e7b, -0.479)),
    (
        9.094_947_017_729_282e-13,
        (1e-30, 0x5f2f_ffff_ffff_e000, 0.000),
    ),
];
