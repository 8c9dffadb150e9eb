#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;

fn logging(level: &'static str, format: &'static str) -> Logging {
    Logging {
        level,
        format,
        file_path: None,
        max_file_size_mb: 50.0,
        backup_count: 2,
        include_timestamps: true,
        include_context: true,
    }
}

fn event(name: &str, sheet: u32, data: &Value) -> Value {
    json!({ "job_id": "nightly", "sheet_num": sheet, "event": name, "data": data, "timestamp": 1_795_348_800.5, "seq": 1 })
}

fn written(logging: &Logging, events: &[Value]) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::of(logging, &dir.path().join("deep"));
    target.append(events).unwrap();
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    (read(target.path()), read(&target.json_path()))
}

#[test]
fn lines_for_people_and_for_programs() {
    let events = [
        event("job.started", 0, &json!({ "sheet_count": 2 })),
        event(
            "sheet.failed",
            1,
            &json!({ "error": "it broke\nbadly", "model": null, "key": "AKIAABCDEFGHIJKLMNOP" }),
        ),
    ];
    let (text, json) = written(&logging("INFO", "both"), &events);
    let expected = "2026-11-22T12:00:00.500Z INFO    job.started job=nightly sheet_count=2\n\
                    2026-11-22T12:00:00.500Z ERROR   sheet.failed job=nightly sheet=1 error=\"it broke\\nbadly\" \
                    key=[REDACTED_AWS_KEY]\n";
    assert_eq!(text, expected);
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    let object = json!({
        "ts": "2026-11-22T12:00:00.500Z", "level": "info", "event": "job.started",
        "job_id": "nightly", "sheet_num": 0, "data": { "sheet_count": 2 },
    });
    assert_eq!(first, object);
    let bare = Logging { include_timestamps: false, include_context: false, ..logging("INFO", "console") };
    assert_eq!(
        written(&bare, &events[..1]),
        ("INFO    job.started sheet_count=2\n".to_owned(), String::new())
    );
}

#[test]
fn the_level_decides_what_is_written() {
    let events = ["sheet.output", "sheet.started", "sheet.retrying", "sheet.failed"];
    let events: Vec<Value> = events.iter().map(|name| event(name, 1, &Value::Null)).collect();
    for (level, lines) in [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)] {
        assert_eq!(written(&logging(level, "console"), &events).0.lines().count(), lines, "{level}");
    }
}

#[test]
fn a_full_file_is_rotated_and_the_oldest_goes() {
    let dir = tempfile::tempdir().unwrap();
    let logging = Logging {
        file_path: Some(dir.path().join("log/job.log")),
        max_file_size_mb: 1e-6,
        ..logging("INFO", "console")
    };
    let target = Target::of(&logging, Path::new("/nowhere"));
    for number in 1..=4 {
        target.append(&[event("job.iteration", 0, &json!({ "iteration": number }))]).unwrap();
    }
    let read = |name: &str| fs::read_to_string(dir.path().join("log").join(name)).unwrap_or_default();
    for (name, number) in [("job.log", 4), ("job.log.1", 3), ("job.log.2", 2)] {
        assert!(read(name).ends_with(&format!("iteration={number}\n")), "{name}");
    }
    assert_eq!(read("job.log.3"), "");
    assert_eq!(fs::metadata(target.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let none = Target::of(&Logging { backup_count: 0, ..logging }, Path::new("/nowhere"));
    none.append(&[event("job.iteration", 0, &json!({ "iteration": 5 }))]).unwrap();
    assert_eq!(read("job.log").lines().count(), 1);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_that_names_it() {
    let logging = Logging { file_path: Some("/proc/none/job.log".into()), ..logging("INFO", "json") };
    let error = Target::of(&logging, Path::new("/nowhere")).append(&[event("job.started", 0, &Value::Null)]);
    assert!(error.unwrap_err().to_string().contains("/proc/none/job.log"));
}
