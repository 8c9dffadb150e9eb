//! The `mozartd` program: the conductor under its older name.

use std::process::ExitCode;

fn main() -> ExitCode {
    mozart::cli::main()
}
