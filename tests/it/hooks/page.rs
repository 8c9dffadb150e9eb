//! Every example of `docs/hooks.md` does what the text around it says.
//!
//! Fences: `yaml file NAME` is a score that another one names; `yaml run NAME` is run to success, `yaml fails NAME` and
//! `yaml refused NAME` to a failure, `yaml chain NAME` until its chain is over; `text FILE` after it is what that file
//! then holds.

use std::fs;
use std::path::Path;

use super::ended;
use crate::band::Band;
use crate::house::House;
use crate::wait::wait_until;

#[test]
fn every_example_of_the_page_runs_as_it_says() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/hooks.md")).unwrap();
    let house = House::started("");
    let (mut ran, mut compared) = (0, 0);
    for block in page.split("\n```").skip(1).step_by(2) {
        let (info, text) = block.split_once('\n').unwrap();
        let text = format!("{text}\n");
        let words: Vec<&str> = info.split(' ').collect();
        match words[..] {
            ["yaml", kind, name] => {
                fs::write(house.path(&format!("{name}.yaml")), &text).unwrap();
                if kind == "file" {
                    continue;
                }
                let answer = house.offer(name, serde_json::json!({}));
                assert_eq!(answer["status"], "accepted", "{name}: {answer}");
                if kind != "chain" {
                    ended(&house, name, if kind == "run" { "completed" } else { "failed" });
                }
                ran += 1;
            }
            ["text", file] => {
                wait_until(file, || fs::read_to_string(house.path(file)).is_ok_and(|found| found == text));
                compared += 1;
            }
            _ => panic!("a block that is not checked: {info}"),
        }
    }
    assert!(!house.path("early-work/ran.txt").exists());
    assert!(ran >= 6 && compared >= 5, "{ran} {compared}");
}
