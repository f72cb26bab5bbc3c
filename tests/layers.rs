//! The order of the layers, as `src/lib.rs` draws it: a module imports only from those above it in [`LAYERS`].
//! Reads the sources as rustfmt leaves them; comments may mention any layer.
use std::path::Path;

/// Every module of the crate, lowest first; those of one row stand side by side and may import from left to right.
const LAYERS: [&[&str]; 13] = [
    &["error", "label", "kernels", "threads"],
    &["hub"],
    &["text"],
    &["encode"],
    &["encoder"],
    &["head"],
    &["calibration"],
    &["bundle"],
    &["classifier", "nli"],
    &["explain"],
    &["output", "eval", "sample"],
    &["serve"],
    &["cli", "main"],
];

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().flat_map(|row| row.iter()).position(|&name| name == module)
}

/// What is wrong with the imports of a file of `module` that stands `depth` modules below the crate root.
fn faults(module: &str, depth: usize, source: &str) -> Vec<String> {
    let Some(own) = rank(module) else { return vec![format!("the module {module} has no row in LAYERS")] };
    let (mut faults, mut inline) = (Vec::new(), Vec::new());
    for (index, line) in source.lines().enumerate() {
        let mut fault = |what: String| faults.push(format!("line {}: {what}", index + 1));
        let code = line.split("//").next().unwrap_or_default();
        let indent = code.len() - code.trim_start().len();
        if inline.last() == Some(&indent) && code.trim() == "}" {
            inline.pop();
        }
        if matches!(code.split_whitespace().collect::<Vec<_>>()[..], [.., "mod", _, "{"]) {
            inline.push(indent);
        }
        for after in code.split("crate::").skip(1) {
            let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            match rank(name) {
                _ if after.starts_with('{') => {
                    fault("grouped import from the crate root; write one line a module".into())
                }
                None => fault(format!("crate::{name} is no module with a row in LAYERS; write crate::module::Item")),
                Some(other) if other > own => fault(format!("{module} imports from {name}, a later layer")),
                Some(_) => {}
            }
        }
        let supers = (1..).take_while(|&count| code.contains(&"super::".repeat(count))).count();
        if supers >= depth + inline.len() {
            fault(format!("super:: leaves {module}; write crate::module::Item"));
        }
    }
    faults
}

fn check(directory: &Path, module: Option<&str>, depth: usize, found: &mut Vec<String>) {
    let mut entries: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let own = module.unwrap_or(name);
        if path.is_dir() {
            check(&path, Some(own), depth + 1, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !(depth == 1 && name == "lib") {
            let depth = if name == "mod" { depth - 1 } else { depth };
            let source = std::fs::read_to_string(&path).unwrap();
            found.extend(faults(own, depth, &source).into_iter().map(|what| format!("{}: {what}", path.display())));
        }
    }
}

#[test]
fn no_module_imports_from_a_later_layer() {
    let mut found = Vec::new();
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), None, 1, &mut found);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn faults_are_found_and_what_is_allowed_is_not() {
    let cases: [(&str, usize, &str, usize); 12] = [
        ("text", 2, "use crate::error::Error;\nuse crate::text::Document;", 0),
        ("text", 2, "use crate::output::Record;", 1),
        ("label", 1, "//! See [`crate::output`].\nlet a = 1; // crate::cli", 0),
        ("head", 1, "use crate::{error::Error, label::Scheme};", 1),
        ("head", 1, "use crate::Error;", 1),
        ("head", 1, "use super::label::Scheme;", 1),
        ("text", 2, "use super::Document;", 0),
        ("text", 2, "use super::super::label::Scheme;", 1),
        ("head", 1, "mod tests {\n    use super::*;\n}", 0),
        ("head", 1, "mod tests {\n    use super::*;\n}\nuse super::a;", 1),
        ("text", 1, "fn f() {\n    super::a();\n}", 1),
        ("brandnew", 1, "", 1),
    ];
    for (module, depth, source, expected) in cases {
        assert_eq!(faults(module, depth, source).len(), expected, "{module} at depth {depth}: {source}");
    }
}
