//! Random kills of everybody, while a wide job runs.
//!
//! `MOZART_TEST_KILLS=50` for a long run, `MOZART_TEST_SEED=n` to repeat one.

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{RESTARTED, check_books, resume, score};
use crate::house::{House, Resident, Role};
use crate::wait::{wait_for, wait_until};

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let given = std::env::var("MOZART_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into();
        let seed = given.unwrap_or_else(clock);
        println!("MOZART_TEST_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }
}

fn kills() -> usize {
    std::env::var("MOZART_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(10)
}

/// Sheets that are at their second interruption in a row already: a third one fails them, rightly.
fn fragile(status: &Value) -> bool {
    let sheets = status["sheets"].as_object().unwrap();
    sheets
        .values()
        .any(|sheet| sheet["crash_interruptions"].as_u64() > Some(0) && sheet["status"] != "completed")
}

/// One random kill. Returns what was killed.
fn strike(house: &mut House, random: &mut Random, fragile: bool) -> &'static str {
    let one = |random: &mut Random, residents: Vec<Resident>| {
        if !residents.is_empty() {
            let chosen = &residents[random.below(residents.len())];
            // It may have ended meanwhile, as everything here does.
            _ = chosen.identity.signal(nix::sys::signal::Signal::SIGKILL);
        }
    };
    let guards = |house: &House| {
        let mut all = house.attempts();
        all.retain(|resident| matches!(resident.role, Role::Guard(_)));
        all
    };
    match random.below(10) {
        0 if !fragile => {
            house.kill();
            house.kill_where(|_| true);
            house.start();
            "everything"
        }
        1 | 2 if !fragile => {
            house.kill();
            one(random, guards(house));
            house.start();
            "the conductor and a guard"
        }
        3 | 4 if !fragile => {
            one(random, guards(house));
            "a guard"
        }
        0..=6 => {
            let mut all = house.attempts();
            all.retain(|resident| resident.role == Role::Program);
            one(random, all);
            "a program"
        }
        _ => {
            house.kill();
            house.start();
            "the conductor"
        }
    }
}

fn run(policy: &str, resumes: bool) {
    let mut random = Random::seeded();
    let kills = kills();
    let sheets = u32::try_from(40.max(kills * 3 / 2)).unwrap();
    let mut house = House::started(&format!("recovery: {policy}\n"));
    let keys = "parallel: { enabled: true, max_concurrent: 4 }\n\
                retry: { max_retries: 40, base_delay_seconds: 0.05, max_delay_seconds: 0.1, jitter: false }";
    house.submit("job", &score(sheets, keys, "sleep 0.{{ sheet_num % 4 + 1 }}"));
    for kill in 1..=kills {
        let pause = Instant::now() + Duration::from_millis(20 + random.below(150) as u64);
        wait_until("a random moment", || Instant::now() >= pause);
        let status = house.status("job");
        if resumes && status["display_status"] == "failed" {
            assert_eq!(status["error_message"], RESTARTED);
            resume(&house, "job");
        }
        let killed = strike(&mut house, &mut random, fragile(&status));
        println!("kill {kill}: {killed}");
    }
    let until = Instant::now() + Duration::from_secs(60);
    wait_for("the end of the job", || {
        let status = house.status("job");
        match status["display_status"].as_str().unwrap() {
            "completed" => return Some(()),
            "failed" if resumes && status["error_message"] == RESTARTED => resume(&house, "job"),
            "failed" => panic!("{status:#}"),
            _ => (),
        }
        (Instant::now() > until).then(|| panic!("it does not end: {status:#}"))
    });
    check_books(&house, "job");
    house.wait_empty();
}

#[test]
fn every_sheet_runs_without_help() {
    run("resume", false);
}

#[test]
fn every_sheet_runs_when_it_is_resumed() {
    run("adopt", true);
}
