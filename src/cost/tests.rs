#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn reported(input: Option<u64>, output: Option<u64>, total: Option<u64>) -> Reported {
    Reported { input, output, total, cost_micro: None }
}

fn check(said: Reported, input: u64, output: u64, confidence: f64) {
    assert_eq!(said.tokens(50, 41), Tokens { input, output, confidence }, "{said:?}");
}

#[test]
fn what_is_known_counts_before_what_is_guessed() {
    check(reported(Some(7), Some(9), None), 7, 9, EXACT);
    check(reported(Some(7), None, Some(10)), 7, 3, EXACT);
    check(reported(None, Some(9), Some(10)), 1, 9, EXACT);
    check(reported(Some(20), None, Some(10)), 20, 0, EXACT);
    check(reported(None, None, Some(30)), 20, 10, TOTAL_ONLY);
    check(reported(Some(7), None, None), 7, 10, TOTAL_ONLY);
    check(reported(None, Some(9), None), 50, 9, TOTAL_ONLY);
    check(reported(None, None, None), 50, 10, ESTIMATED);
    assert_eq!(estimate(0), 1);
}

#[test]
fn prices() {
    let price = Price::per_thousand(0.003, 0.015).unwrap();
    assert_eq!(price.of(1000, 0), 3000);
    assert_eq!(price.of(0, 1000), 15_000);
    assert_eq!(price.of(1, 1), 18);
    // A third of a micro-dollar a token does not vanish in many tokens.
    assert_eq!(Price::per_thousand(0.0003, 0.0).unwrap().of(1_000_000, 0), 300_000);
    assert_eq!(Price::per_thousand(0.0003, 0.0).unwrap().of(1, 0), 0);
    assert_eq!(Price::per_thousand(0.0, 0.0).unwrap().of(u64::MAX, u64::MAX), 0);
    assert_eq!(Price::per_thousand(1e6, 1e6).unwrap().of(u64::MAX, u64::MAX), u64::MAX);
    for wrong in [-1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(Price::per_thousand(wrong, 1.0), None);
        assert_eq!(micro(wrong), None);
    }
}

#[test]
fn cost_in_the_middle_of_a_run() {
    let price = Price::per_thousand(0.003, 0.015);
    assert_eq!(reported(Some(1000), None, None).cost_so_far(price), Some(3000));
    assert_eq!(reported(None, None, Some(3000)).cost_so_far(price), Some(6000 + 15_000));
    assert_eq!(reported(Some(1000), Some(0), None).cost_so_far(None), None);
    let told = Reported { cost_micro: Some(5), ..reported(Some(1000), None, None) };
    assert_eq!(told.cost_so_far(price), Some(5));
    assert_eq!(reported(Some(2), Some(3), None).so_far(), 5);
    assert_eq!(reported(None, Some(3), Some(9)).so_far(), 9);
}

#[test]
fn amounts_for_people() {
    assert_eq!(shown(0), "$0.0000");
    assert_eq!(shown(12_345), "$0.0123");
    assert_eq!(shown(1_999_960), "$2.0000");
    assert_eq!(shown(u64::MAX).split('.').next().unwrap().len(), 15);
}

proptest! {
    #[test]
    fn more_tokens_never_cost_less(a in any::<u32>(), b in any::<u32>(), more in any::<u32>(), price in 0.0..10.0f64) {
        let price = Price::per_thousand(price, price / 2.0).unwrap();
        let (a, b, more) = (u64::from(a), u64::from(b), u64::from(more));
        prop_assert!(price.of(a + more, b) >= price.of(a, b));
        prop_assert!(price.of(a, b + more) >= price.of(a, b));
    }
}
