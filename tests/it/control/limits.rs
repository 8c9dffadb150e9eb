//! Rate limits: shown, named where sheets wait for them, and cleared.

use serde_json::json;

use super::{document, said};
use crate::band::{Band, ONE, over};
use crate::house::House;

#[test]
fn limits_are_shown_and_cleared() {
    let mut house = House::new("");
    let limited = "if [ ! -e free ]; then echo 'rate limit, retry after 3000 seconds' >&2; exit 1; fi\n";
    house.agent("limited", limited, "errors: {rate_limit_patterns: ['rate.?limit']}");
    house.start();
    assert_eq!(said(&house, &["rate-limits"]), "No active rate limits\n");
    assert_eq!(said(&house, &["clear-rate-limits"]), "No active rate limits on all instruments\n");
    assert_eq!(
        house.call("daemon.rate_limits", json!({})),
        json!({ "backends": {}, "active_limits": 0, "recent_events_count": 0 })
    );
    house.play("job", &format!("instrument: limited\n{ONE}"));
    house.wait_sheet("job", 1, "waiting");
    let limits = house.call("daemon.rate_limits", json!(null));
    assert_eq!(
        (&limits["active_limits"], &limits["recent_events_count"]),
        (&json!(1), &json!(1)),
        "{limits}"
    );
    let left = limits["backends"]["limited"]["seconds_remaining"].as_f64().unwrap();
    assert!((2900.0..=3000.0).contains(&left), "{limits}");
    let shown = said(&house, &["rate-limits"]);
    assert!(shown.starts_with("Rate limit on limited - clears in "), "{shown}");
    let status = said(&house, &["status", "job"]);
    assert!(status.contains("Rate limit on limited - clears in "), "{status}");
    assert!(status.contains("rate limited, clears in 5"), "{status}");
    assert_eq!(document(&house, &["status", "job"])["rate_limits"][0]["instrument"], "limited");
    // Another instrument's name clears nothing.
    assert_eq!(
        document(&house, &["clear-rate-limits", "-i", "other"]),
        json!({ "cleared": 0, "instrument": "other" })
    );
    house.wait_sheet("job", 1, "waiting");
    house.touch("job/free");
    assert_eq!(said(&house, &["clear-rate-limits", "-i", "limited"]), "Cleared 1 rate limit(s) on limited\n");
    over(&house, "job", "completed");
    let limits = house.call("daemon.rate_limits", json!({}));
    assert_eq!(
        (&limits["active_limits"], &limits["recent_events_count"]),
        (&json!(0), &json!(1)),
        "{limits}"
    );
}
