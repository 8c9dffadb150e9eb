//! What becomes of output.

use mozart::executor::{OutputCount, Stdin};

use super::support::Bench;

const MIB: u64 = 1 << 20;
const TAIL: u64 = 256 * 1024;

// Invariant I75
#[test]
fn a_prompt_and_an_output_larger_than_any_pipe_do_not_block_each_other() {
    let mut bench = Bench::sh("head -c 1048576 /dev/zero; wc -c");
    bench.spec.stdin = Stdin::Prompt(vec![b'p'; 1 << 20]);
    bench.spec.output_cap = 2 * MIB;
    let exit = bench.run();
    assert_eq!(exit.exit_code, Some(0));
    let output = bench.stdout();
    assert_eq!(output.len() as u64, exit.stdout.bytes);
    assert_eq!(String::from_utf8_lossy(&output[1 << 20..]).trim(), "1048576");
}

#[test]
fn above_the_cap_the_middle_is_left_out_and_counted() {
    let bench = Bench::sh("echo begin; head -c 104857600 /dev/zero; echo end; echo oops >&2");
    let exit = bench.run();
    let bytes = 100 * MIB + 10;
    let omitted = bytes - MIB - TAIL;
    assert_eq!(exit.stdout, OutputCount { bytes, omitted, lost: 0 });
    assert_eq!(exit.stderr, OutputCount { bytes: 5, omitted: 0, lost: 0 });
    let output = bench.stdout();
    let marker = format!("\n[mozart: {omitted} bytes left out]\n");
    assert_eq!(output.len() as u64, MIB + TAIL + marker.len() as u64);
    assert!(output.starts_with(b"begin\n") && output.ends_with(b"\0end\n"));
    let at = usize::try_from(MIB).unwrap();
    assert_eq!(&output[at..at + marker.len()], marker.as_bytes());
}

#[test]
fn a_log_that_cannot_be_written_does_not_fail_the_sheet() {
    // The program puts a directory where its log would be, before its first byte.
    let bench = Bench::sh("mkdir \"$DIR/stdout.log\"; echo lost; exit 4");
    let mut bench = bench;
    bench.spec.env.push(("DIR".into(), bench.dir().display().to_string()));
    let exit = bench.run();
    assert_eq!(exit.exit_code, Some(4));
    assert_eq!(exit.stdout, OutputCount { bytes: 5, omitted: 0, lost: 5 });
}
