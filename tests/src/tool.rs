//! Programs that are no part of the workspace: browsers, interpreters, checkers.

use std::path::{Path, PathBuf};

use anyhow::bail;

/// Set to 1 where whatever is missing is a failure; `tests/run` does, for it installs everything.
const REQUIRE_ALL: &str = "PAYLATCH_REQUIRE_ALL";

/// Interpreter with the Python packages of `tests/run`.
const PYTHON: &str = "PAYLATCH_PYTHON";

/// A program from the search path. `None` is told loudly and means: not checked.
///
/// # Errors
/// It is missing where nothing may be.
pub fn find(program: &str) -> anyhow::Result<Option<PathBuf>> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    known(found, program)
}

/// The interpreter that `PAYLATCH_PYTHON` names, or the one that `tests/run` makes.
///
/// # Errors
/// It is missing where nothing may be.
pub fn find_python() -> anyhow::Result<Option<PathBuf>> {
    let made = || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
        Some(root.join("target/venv/bin/python"))
    };
    let named = std::env::var_os(PYTHON).map(PathBuf::from).or_else(made);
    known(named.filter(|path| path.is_file()), "python with pymodbus")
}

/// Says loudly what is not checked on this machine.
///
/// # Errors
/// Nothing may be left out here.
pub fn leave_out(what: &str) -> anyhow::Result<()> {
    if is_required() {
        bail!("not checked, but it has to be: {what}");
    }
    eprintln!("not checked: {what}");
    Ok(())
}

fn known(found: Option<PathBuf>, name: &str) -> anyhow::Result<Option<PathBuf>> {
    if found.is_none() && is_required() {
        bail!("{name} is not installed; tests/run installs it");
    }
    if found.is_none() {
        eprintln!("not checked: {name} is not installed");
    }
    Ok(found)
}

fn is_required() -> bool {
    let is = |name, value| std::env::var(name).is_ok_and(|found| found == value);
    is(REQUIRE_ALL, "1") || is("CI", "true")
}
