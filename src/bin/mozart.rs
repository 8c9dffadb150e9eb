//! The `mozart` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    mozart::cli::main()
}
