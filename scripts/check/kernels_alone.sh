# A package of the kernels alone, which stand on the standard library, for builds that nothing else is needed for. To be sourced.

# kernels_alone FOLDER NAMES: writes the package; its test asks for the kernels of these names (a Rust list of strings).
kernels_alone() {
    mkdir "$1/src"
    cat >"$1/Cargo.toml" <<TOML
[package]
name = "kernels"
edition = "2024"
[profile.test]
opt-level = 2
TOML
    cat >"$1/src/lib.rs" <<RUST
#![allow(dead_code, unreachable_pub, unused_imports)]
#[path = "$PWD/src/kernels/mod.rs"]
mod kernels;
#[test]
fn the_kernels_are_there() {
    let names = kernels::names();
    println!("kernels: {names:?}");
    for name in $2 {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
}
RUST
}
