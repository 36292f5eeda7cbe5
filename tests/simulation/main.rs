//! Thousands of worlds in the normal run. More of them: `cargo run --release --bin simulate`.

mod planted;
mod worlds;
