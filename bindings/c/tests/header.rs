//! `include/detente.h` is what cbindgen makes of `src/lib.rs`. `DETENTE_WRITE_HEADER=1 cargo test -p detente-c` writes it anew.

use std::fs;
use std::path::Path;

#[test]
fn the_header_agrees_with_the_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let builder = cbindgen::Builder::new().with_config(config).with_src(root.join("src/lib.rs"));
    let mut made = Vec::new();
    builder.generate().unwrap().write(&mut made);
    let made = String::from_utf8(made).unwrap();
    let path = root.join("include/detente.h");
    if std::env::var_os("DETENTE_WRITE_HEADER").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &made).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "{} is not what src/lib.rs says; write it anew with DETENTE_WRITE_HEADER=1 cargo test -p detente-c",
        path.display()
    );
}
