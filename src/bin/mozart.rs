//! The `mozart` program.

fn main() {
    mozart::guard::run_if_asked();
}
