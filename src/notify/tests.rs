#![allow(clippy::unwrap_used)]

use super::*;
use crate::score::{Address, Notice};
use crate::time::Wall;

fn note(notice: Notice, id: &str) -> Note {
    Note {
        notice,
        job_id: id.to_owned(),
        job_name: id.to_owned(),
        workspace: "/".into(),
        at: Wall(0),
        sheet: None,
        numbers: Numbers::default(),
        error: None,
        seconds: None,
        extra: serde_json::Value::Null,
    }
}

fn webhook(url: &str) -> Notification {
    Notification {
        channel: Channel::Webhook {
            url: Address::Plain(url.to_owned()),
            headers: Vec::new(),
            timeout: 1.0,
            max_retries: 1,
            retry_delay: 2.0,
            include_metadata: true,
            secret_env: None,
        },
        on_events: vec![Notice::JobComplete, Notice::JobFailed, Notice::JobPaused, Notice::SheetStart],
    }
}

fn at(seconds: u64) -> Now {
    Now { mono: Mono(seconds * 1_000_000_000), wall: Wall(0) }
}

fn failure(again: bool) -> Outcome {
    Outcome::Failed { message: "no".into(), again }
}

fn one(notifier: &mut Notifier, now: Now) -> Delivery {
    let mut due = notifier.due(now);
    assert_eq!(due.len(), 1, "{due:?}");
    due.pop().unwrap()
}

#[test]
fn a_channel_has_one_message_on_its_way_and_order_is_kept() {
    let mut notifier = Notifier::new("mozart".into(), 8);
    let (a, b) = ([webhook("http://a")], [webhook("http://b")]);
    for id in ["1", "2"] {
        notifier.tell(&a, note(Notice::JobComplete, id));
        notifier.tell(&b, note(Notice::JobComplete, id));
    }
    notifier.tell(&a, note(Notice::CostWarning, "not wanted"));
    let first = notifier.due(at(0));
    assert_eq!(first.iter().map(|delivery| delivery.note.job_id.as_str()).collect::<Vec<_>>(), ["1", "1"]);
    assert!(notifier.due(at(0)).is_empty());
    notifier.ended(at(0), &first[0], &Outcome::Delivered);
    assert_eq!(one(&mut notifier, at(0)).note.job_id, "2");
    assert!(!notifier.is_flushed(at(0)));
}

#[test]
fn a_thread_of_the_side_lane_stays_free() {
    let mut notifier = Notifier::new("mozart".into(), 2);
    for host in ["http://a", "http://b", "http://c"] {
        notifier.tell(&[webhook(host)], note(Notice::JobComplete, host));
    }
    let first = one(&mut notifier, at(0));
    notifier.ended(at(0), &first, &Outcome::Delivered);
    assert_eq!(one(&mut notifier, at(0)).note.job_id, "http://b");
}

#[test]
fn a_failure_that_may_pass_is_tried_again_and_others_are_not() {
    let mut notifier = Notifier::new("mozart".into(), 2);
    let channels = [webhook("http://a")];
    notifier.tell(&channels, note(Notice::JobComplete, "1"));
    let first = one(&mut notifier, at(0));
    notifier.ended(at(0), &first, &failure(true));
    assert_eq!(notifier.next_due(), Some(at(2).mono));
    assert!(notifier.due(at(1)).is_empty());
    let second = one(&mut notifier, at(2));
    assert_eq!((second.tries, notifier.failures()), (1, 0));
    notifier.ended(at(2), &second, &failure(true));
    assert_eq!(notifier.failures(), 1, "one retry is all that it has");
    assert!(notifier.is_flushed(at(2)), "a failure alone is nothing to wait for");
    notifier.tell(&channels, note(Notice::JobComplete, "2"));
    let third = one(&mut notifier, at(2));
    notifier.ended(at(2), &third, &failure(false));
    assert_eq!(notifier.failures(), 2);
    assert!(notifier.is_flushed(at(2)));
}

#[test]
fn a_channel_that_keeps_failing_rests_and_one_success_mends_it() {
    let mut notifier = Notifier::new("mozart".into(), 2);
    let channels = [webhook("http://a")];
    for id in 1..=5 {
        notifier.tell(&channels, note(Notice::JobComplete, &id.to_string()));
    }
    for _ in 0..3 {
        let next = one(&mut notifier, at(0));
        notifier.ended(at(0), &next, &failure(false));
    }
    assert!(notifier.due(at(59)).is_empty());
    assert_eq!(notifier.next_due(), Some(at(60).mono));
    let probe = one(&mut notifier, at(60));
    assert_eq!(probe.note.job_id, "4");
    notifier.ended(at(60), &probe, &Outcome::Delivered);
    assert_eq!(notifier.failures(), 0);
    assert_eq!(one(&mut notifier, at(60)).note.job_id, "5");
}

#[test]
fn sheets_go_first_and_the_ends_of_jobs_stay() {
    let mut notifier = Notifier::new("mozart".into(), 2);
    let channels = [webhook("http://a")];
    notifier.tell(&channels, note(Notice::JobPaused, "paused"));
    for id in 0..WAITING {
        notifier.tell(&channels, note(Notice::SheetStart, &id.to_string()));
    }
    for id in 0..WAITING + 10 {
        notifier.tell(&channels, note(Notice::JobFailed, &format!("end {id}")));
    }
    notifier.tell(&channels, note(Notice::SheetStart, "late"));
    notifier.tell(&channels, note(Notice::JobPaused, "late"));
    let mut told = Vec::new();
    loop {
        let mut due = notifier.due(at(0));
        let Some(next) = due.pop() else { break };
        told.push(next.note.job_id.clone());
        notifier.ended(at(0), &next, &Outcome::Delivered);
    }
    assert_eq!(told.len(), WAITING + 10);
    assert!(told.iter().all(|id| id.starts_with("end ")), "{told:?}");
}

#[test]
fn a_channel_without_a_program_is_given_up_at_once() {
    let mut notifier = Notifier::new("mozart".into(), 2);
    let channels = [Notification {
        channel: Channel::Desktop { app_name: "x".into(), timeout: 1.0 },
        on_events: vec![Notice::JobComplete],
    }];
    notifier.tell(&channels, note(Notice::JobComplete, "1"));
    notifier.tell(&channels, note(Notice::JobComplete, "2"));
    let first = one(&mut notifier, at(0));
    notifier.ended(at(0), &first, &Outcome::Absent { message: "none".into() });
    notifier.tell(&channels, note(Notice::JobComplete, "3"));
    assert!(notifier.due(at(0)).is_empty() && notifier.is_flushed(at(0)));
    assert_eq!(notifier.failures(), 0, "it is no failure of a delivery");
}

#[test]
fn the_last_call_ends() {
    let mut notifier = Notifier::new("mozart".into(), 2);
    let channels = [webhook("http://a")];
    notifier.tell(&channels, note(Notice::JobComplete, "1"));
    notifier.tell(&channels, note(Notice::JobComplete, "2"));
    let hanging = one(&mut notifier, at(0));
    let end = notifier.last_call(at(10));
    assert_eq!(end, at(13).mono);
    assert_eq!(notifier.last_call(at(12)), end, "asking again does not prolong it");
    assert!(!notifier.is_flushed(at(12)));
    assert!(notifier.is_flushed(at(13)) && notifier.due(at(13)).is_empty());
    assert_eq!(notifier.abandon(), 2);
    assert!(hanging.control.is_cancelled());
}
