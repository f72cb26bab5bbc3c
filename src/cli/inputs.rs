//! From the paths of the command line to the list of files to read, in an order that never varies.
//!
//! In: files, folders, globs, `-`. Out: [`Inputs`]: what to read, as given and within folders in byte order of the
//! names, and what could not be found, each with its message.

use std::ffi::OsStr;
use std::fmt;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use detente::text::InputFormat;
use glob::MatchOptions;
use walkdir::WalkDir;

use crate::cli::target::FileIdentity;

/// One thing to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Input {
    /// Size in bytes of a regular file; `None` for standard input and pipes, which can be read only once.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Input::Stdin => None,
            Input::File(path) => std::fs::metadata(path).ok().filter(Metadata::is_file).map(|metadata| metadata.len()),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Stdin => f.write_str("<stdin>"),
            Input::File(path) => path.display().fmt(f),
        }
    }
}

/// Everything that the paths stand for.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// What to read, in order.
    pub(crate) list: Vec<Input>,
    /// What is not there or cannot be listed.
    pub(crate) problems: Vec<String>,
    /// The output file, where a folder or glob would have read it.
    pub(crate) skipped: Vec<PathBuf>,
}

/// Why the paths cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// `-` twice.
    #[error("standard input can be read only once, but - is given twice")]
    StdinTwice,
    /// An input is the output.
    #[error("{path} is both input and output; write to another file", path = .0.display())]
    IsOutput(PathBuf),
}

impl Inputs {
    /// Finds the files. Folders and globs pass over `output`, so that a run may write where it reads.
    ///
    /// # Errors
    /// If a file that is named is the output, or standard input is named twice.
    pub(crate) fn find(paths: &[PathBuf], output: Option<&FileIdentity>) -> Result<Self, Refusal> {
        let mut inputs = Self::default();
        for path in paths {
            if path.as_os_str() == "-" {
                if inputs.has_stdin() {
                    return Err(Refusal::StdinTwice);
                }
                inputs.list.push(Input::Stdin);
            } else if let Some(pattern) = glob_pattern(path) {
                inputs.add_glob(pattern, output);
            } else if path.is_dir() {
                inputs.add_folder(path, output);
            } else if output.is_some_and(|output| output.is(path)) {
                return Err(Refusal::IsOutput(path.clone()));
            } else if let Err(problem) = std::fs::metadata(path) {
                inputs.problems.push(format!("cannot read {}: {problem}", path.display()));
            } else {
                inputs.list.push(Input::File(path.clone()));
            }
        }
        Ok(inputs)
    }

    /// Whether standard input is among them.
    pub(crate) fn has_stdin(&self) -> bool {
        self.list.contains(&Input::Stdin)
    }

    fn add_glob(&mut self, pattern: &str, output: Option<&FileIdentity>) {
        let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
        let matches = match glob::glob_with(pattern, options) {
            Ok(matches) => matches,
            Err(problem) => {
                self.problems.push(format!("{pattern} is neither a file nor a valid glob: {problem}"));
                return;
            }
        };
        let before = self.count();
        for found in matches {
            match found {
                Ok(path) if path.is_dir() => self.add_folder(&path, output),
                Ok(path) => self.add_found(path, output),
                Err(problem) => self.problems.push(format!("cannot list {}: {}", pattern, problem)),
            }
        }
        if self.count() == before {
            self.problems.push(format!("{pattern}: no file matches; check the path and the pattern"));
        }
    }

    fn add_folder(&mut self, folder: &Path, output: Option<&FileIdentity>) {
        let before = self.count();
        let walk = WalkDir::new(folder).sort_by(|a, b| a.file_name().cmp(b.file_name()));
        let visible = |entry: &walkdir::DirEntry| entry.depth() == 0 || !is_hidden(entry.file_name());
        for entry in walk.into_iter().filter_entry(visible) {
            match entry {
                Ok(entry) if entry.file_type().is_dir() || !has_known_format(entry.path()) => {}
                // Links to files count, links to folders do not: they could lead in circles. Pipes would wait for ever.
                Ok(entry) => match std::fs::metadata(entry.path()) {
                    Ok(metadata) if metadata.is_file() => self.add_found(entry.into_path(), output),
                    Ok(_) => {}
                    Err(problem) => self.problems.push(format!("cannot read {}: {problem}", entry.path().display())),
                },
                Err(problem) => {
                    let path = problem.path().unwrap_or(folder).display();
                    let cause = problem.io_error().map_or_else(|| problem.to_string(), ToString::to_string);
                    self.problems.push(format!("cannot read {path}: {cause}"));
                }
            }
        }
        if self.count() == before {
            self.problems.push(format!(
                "{}: the folder holds no text, Markdown, HTML, JSON Lines, CSV, TSV or Parquet file (nor one with .gz or \
                 .zst); files with other extensions are read when they are named",
                folder.display()
            ));
        }
    }

    fn add_found(&mut self, path: PathBuf, output: Option<&FileIdentity>) {
        if output.is_some_and(|output| output.is(&path)) {
            self.skipped.push(path);
        } else {
            self.list.push(Input::File(path));
        }
    }

    fn count(&self) -> usize {
        self.list.len() + self.problems.len() + self.skipped.len()
    }
}

/// The path as a pattern, if it looks like one and no file has that name.
fn glob_pattern(path: &Path) -> Option<&str> {
    let pattern = path.to_str()?;
    (pattern.contains(['*', '?', '[']) && path.symlink_metadata().is_err()).then_some(pattern)
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn has_known_format(path: &Path) -> bool {
    InputFormat::from_path(path).is_some()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(inputs: &Inputs, root: &Path) -> Vec<String> {
        let strip = |input: &Input| match input {
            Input::Stdin => "-".to_owned(),
            Input::File(path) => path.strip_prefix(root).unwrap().display().to_string(),
        };
        inputs.list.iter().map(strip).collect()
    }

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for name in [
            "b.txt",
            "a.md",
            "Z.html",
            "ä.txt",
            "x.jsonl.gz",
            "x.csv.zst",
            "photo.png",
            "photo.gz",
            "plain",
            "A.TXT",
            ".hidden.txt",
            "sub/c.txt",
            "sub/.git/config.txt",
            "sub-a/d.tsv",
            "empty/nothing.bin",
        ] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "text").unwrap();
        }
        root
    }

    #[test]
    fn folders_are_listed_in_byte_order_without_hidden_and_foreign_files() {
        let root = tree();
        let inputs = Inputs::find(&[root.path().to_owned()], None).unwrap();
        let expected =
            ["A.TXT", "Z.html", "a.md", "b.txt", "sub/c.txt", "sub-a/d.tsv", "x.csv.zst", "x.jsonl.gz", "ä.txt"];
        assert_eq!(names(&inputs, root.path()), expected);
        assert!(inputs.problems.is_empty());
    }

    #[test]
    fn named_files_are_always_read_and_order_is_as_given() {
        let root = tree();
        let paths = ["plain", "photo.png", ".hidden.txt", "a.md", "a.md"].map(|name| root.path().join(name));
        let inputs = Inputs::find(&paths, None).unwrap();
        assert_eq!(names(&inputs, root.path()), ["plain", "photo.png", ".hidden.txt", "a.md", "a.md"]);
    }

    #[test]
    fn globs_are_expanded() {
        let root = tree();
        let cases: &[(&str, &[&str])] = &[
            ("*.txt", &["b.txt", "ä.txt"]),
            ("**/*.txt", &["b.txt", "sub/c.txt", "ä.txt"]),
            ("sub*", &["sub/c.txt", "sub-a/d.tsv"]),
            ("[ab].*", &["a.md", "b.txt"]),
            ("photo.???", &["photo.png"]),
        ];
        for (pattern, expected) in cases {
            let inputs = Inputs::find(&[root.path().join(pattern)], None).unwrap();
            let mut found = names(&inputs, root.path());
            found.sort();
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(found, expected, "{pattern}");
        }
    }

    #[test]
    fn a_file_whose_name_looks_like_a_glob_is_a_file() {
        let root = tree();
        fs::write(root.path().join("b[1].txt"), "text").unwrap();
        fs::write(root.path().join("b1.txt"), "text").unwrap();
        let inputs = Inputs::find(&[root.path().join("b[1].txt")], None).unwrap();
        assert_eq!(names(&inputs, root.path()), ["b[1].txt"]);
    }

    #[test]
    fn what_is_not_there_is_named_and_the_rest_stays() {
        let root = tree();
        let paths = ["none.txt", "*.nothing", "empty", "[a", "b.txt"].map(|name| root.path().join(name));
        let inputs = Inputs::find(&paths, None).unwrap();
        assert_eq!(names(&inputs, root.path()), ["b.txt"]);
        let expected = ["none.txt: No such file", "*.nothing: no file matches", "empty: the folder holds no", "[a"];
        assert_eq!(inputs.problems.len(), expected.len(), "{:?}", inputs.problems);
        for (problem, part) in inputs.problems.iter().zip(expected) {
            assert!(problem.contains(part), "{problem} should contain {part}");
        }
    }

    #[test]
    fn the_output_is_refused_as_named_input_and_passed_over_in_folders() {
        let root = tree();
        let output = FileIdentity::of(&root.path().join("sub/../b.txt"));
        let named = Inputs::find(&[root.path().join("b.txt")], Some(&output));
        assert!(matches!(named, Err(Refusal::IsOutput(_))));
        let folder = Inputs::find(&[root.path().to_owned()], Some(&output)).unwrap();
        assert!(!names(&folder, root.path()).contains(&"b.txt".to_owned()));
        assert_eq!(folder.skipped, [root.path().join("b.txt")]);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_files_are_read_to_folders_not_and_dangling_ones_are_problems() {
        let root = tree();
        let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, root.path().join(name)).unwrap();
        link("../b.txt", "sub/link.txt");
        link("..", "sub/loop");
        link("nowhere", "sub/dangling.txt");
        link("nowhere", "sub/dangling.bin");
        fs::hard_link(root.path().join("b.txt"), root.path().join("hard.txt")).unwrap();
        let inputs = Inputs::find(&[root.path().join("sub")], None).unwrap();
        assert_eq!(names(&inputs, root.path()), ["sub/c.txt", "sub/link.txt"]);
        assert_eq!(inputs.problems.len(), 1, "{:?}", inputs.problems);
        assert!(inputs.problems[0].contains("dangling.txt"), "{:?}", inputs.problems);
        let output = FileIdentity::of(&root.path().join("b.txt"));
        for name in ["sub/link.txt", "hard.txt"] {
            let named = Inputs::find(&[root.path().join(name)], Some(&output));
            assert!(matches!(named, Err(Refusal::IsOutput(_))), "{name}");
        }
    }

    #[test]
    fn stdin_once() {
        let dash = PathBuf::from("-");
        assert!(Inputs::find(std::slice::from_ref(&dash), None).unwrap().has_stdin());
        assert!(matches!(Inputs::find(&[dash.clone(), dash], None), Err(Refusal::StdinTwice)));
    }
}
