//! `paylatch-broker`.
fn main() {}
