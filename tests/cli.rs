//! The command line as its user sees it: every file in `tests/cli/` is a command with its output and exit code, run on
//! the fake bundle. `TRYCMD=overwrite cargo test --test tests cli::` writes down what the program says now.

use std::path::Path;

#[test]
fn cases() {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fake");
    let cases = trycmd::TestCases::new();
    cases
        .default_bin_path(env!("CARGO_BIN_EXE_detente"))
        .env("DETENTE_MODEL", bundle.to_str().unwrap())
        .env("COLUMNS", "100")
        .case("tests/cli/*.toml");
    // With the feature there is one verb more.
    if cfg!(feature = "hub") {
        cases
            .case("tests/cli/hub/*.toml")
            .skip("tests/cli/help.toml")
            .skip("tests/cli/no-verb.toml")
            .skip("tests/cli/hub-not-built.toml");
    }
}
