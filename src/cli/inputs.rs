//! From the paths of the command line to the list of files to read, in an order that never varies.
//!
//! In: files, folders, globs, `-`. Out: [`Inputs`]: what to read, as given and within folders in byte order of the
//! names, and what could not be found, each with its message.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::fs::Metadata;
use std::path::{Component, Path, PathBuf};

use detente::text::InputFormat;
use glob::{MatchOptions, Pattern, PatternError};
use walkdir::WalkDir;

use crate::cli::journal::Journal;
use crate::cli::target::FileIdentity;

/// How globs match: * stays within a name and does not match hidden ones.
const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

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
    /// What the run writes, where a folder or glob would have read it.
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
    /// Standard input is the output.
    #[error("standard input is also the output; write to another file")]
    StdinIsOutput,
    /// An input is the journal of the output.
    #[error("{path} is an input, but the journal of the output has that name; write to another file", path = .0.display())]
    IsJournal(PathBuf),
}

/// The files that a run writes, which it must not read.
#[derive(Debug)]
pub(crate) struct Written {
    output: FileIdentity,
    journal: Option<FileIdentity>,
    messages: Option<FileIdentity>,
}

impl Written {
    /// An output file and its journal.
    pub(crate) fn file(output: &Path) -> Self {
        let journal = FileIdentity::of(&Journal::path_for(output));
        Self { output: FileIdentity::of(output), journal: Some(journal), messages: FileIdentity::of_stderr() }
    }

    /// The file that standard output is written to.
    pub(crate) fn stream(output: FileIdentity) -> Self {
        Self { output, journal: None, messages: FileIdentity::of_stderr() }
    }

    fn is_output(&self, path: &Path) -> bool {
        self.output.is(path)
    }

    fn is_journal(&self, path: &Path) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.is(path))
    }

    /// Whether a file is one of them.
    fn holds(&self, path: &Path) -> bool {
        let found = FileIdentity::of(path);
        [Some(&self.output), self.journal.as_ref(), self.messages.as_ref()]
            .into_iter()
            .flatten()
            .any(|written| written.is_same(&found))
    }

    fn is_stdin(&self) -> bool {
        FileIdentity::of_stdin().is_some_and(|stdin| self.output.is_same(&stdin))
    }
}

impl Inputs {
    /// Finds the files. Folders and globs pass over what is `written`, so that a run may write where it reads.
    ///
    /// # Errors
    /// If a file that is named, or standard input, is written, or standard input is named twice.
    pub(crate) fn find(paths: &[PathBuf], written: Option<&Written>) -> Result<Self, Refusal> {
        let mut inputs = Self::default();
        for path in paths {
            if path.as_os_str() == "-" {
                if inputs.has_stdin() {
                    return Err(Refusal::StdinTwice);
                }
                if written.is_some_and(Written::is_stdin) {
                    return Err(Refusal::StdinIsOutput);
                }
                inputs.list.push(Input::Stdin);
            } else if let Some(pattern) = glob_pattern(path) {
                inputs.add_glob(pattern, written);
            } else if path.is_dir() {
                inputs.add_folder(path, written);
            } else if written.is_some_and(|written| written.is_output(path)) {
                return Err(Refusal::IsOutput(path.clone()));
            } else if written.is_some_and(|written| written.is_journal(path)) {
                return Err(Refusal::IsJournal(path.clone()));
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

    fn add_glob(&mut self, pattern: &str, written: Option<&Written>) {
        let mut found = Self::default();
        if let Err(problem) = found.expand(pattern, written) {
            self.problems.push(format!("{pattern} is neither a file nor a valid glob: {problem}"));
            return;
        }
        if found.count() == 0 {
            found.problems.push(format!("{pattern}: no file matches; check the path and the pattern"));
        }
        // A pattern may match a folder and also what is in it, or a folder by several names.
        let mut seen = BTreeSet::new();
        found.list.retain(|input| !matches!(input, Input::File(path) if !seen.insert(real_place(path))));
        found.skipped.retain(|path| seen.insert(real_place(path)));
        let mut said = BTreeSet::new();
        found.problems.retain(|problem| said.insert(problem.clone()));
        self.list.append(&mut found.list);
        self.skipped.append(&mut found.skipped);
        self.problems.append(&mut found.problems);
    }

    fn expand(&mut self, pattern: &str, written: Option<&Written>) -> Result<(), PatternError> {
        let mut parts = Path::new(pattern).components();
        let is_recursive = |part: &Component<'_>| part.as_os_str() == "**";
        if !parts.clone().any(|part| is_recursive(&part)) {
            for path in self.matches(pattern)? {
                match path.is_dir() {
                    true => self.add_folder(&path, written),
                    false => self.add_found(path, written),
                }
            }
            return Ok(());
        }
        let base: PathBuf = parts.by_ref().take_while(|part| !is_recursive(part)).collect();
        let mut below = Path::new("**").join(parts);
        // What ends in ** means everything in the folders before it.
        let folders_only = below.ends_with("**");
        while below.ends_with("**") {
            below.pop();
        }
        if below.components().any(|part| part == Component::ParentDir) {
            self.problems.push(format!("{pattern}: nothing matches .. behind **; leave it out, or put it before"));
            return Ok(());
        }
        let bases = match base.to_str() {
            None | Some("") => vec![PathBuf::new()],
            Some(base) => self.matches(base)?,
        };
        let below = Pattern::new(&below.to_string_lossy())?;
        for base in bases.iter().filter(|base| base.as_os_str().is_empty() || base.is_dir()) {
            if below.as_str().is_empty() {
                self.add_folder(base, written);
            } else {
                self.add_matching(base, &below, folders_only, written);
            }
        }
        Ok(())
    }

    /// What matches a pattern without `**`.
    fn matches(&mut self, pattern: &str) -> Result<Vec<PathBuf>, PatternError> {
        let mut paths = Vec::new();
        for found in glob::glob_with(pattern, MATCHING)? {
            match found {
                Ok(path) => paths.push(path),
                Err(problem) => self.problems.push(format!("cannot list {pattern}: {problem}")),
            }
        }
        Ok(paths)
    }

    /// What matches a pattern with `**` in a folder. The glob crate's own walk follows links to folders, in circles too.
    fn add_matching(&mut self, base: &Path, pattern: &Pattern, folders_only: bool, written: Option<&Written>) {
        let with_hidden = pattern.as_str().contains("/.");
        for (path, is_folder) in self.walk(base, with_hidden) {
            if !pattern.matches_path_with(path.strip_prefix(base).unwrap_or(&path), MATCHING) {
                continue;
            }
            if is_folder {
                self.add_texts(&path, written);
            } else if !folders_only {
                self.add_if_file(path, written);
            }
        }
    }

    fn add_folder(&mut self, folder: &Path, written: Option<&Written>) {
        let before = self.count();
        self.add_texts(folder, written);
        if self.count() == before {
            self.problems.push(format!(
                "{}: the folder holds no text, Markdown, HTML, JSON Lines, CSV, TSV or Parquet file (nor one with .gz or \
                 .zst); files with other extensions are read when they are named",
                folder.display()
            ));
        }
    }

    fn add_texts(&mut self, folder: &Path, written: Option<&Written>) {
        for (path, is_folder) in self.walk(folder, false) {
            if !is_folder && has_known_format(&path) {
                self.add_if_file(path, written);
            }
        }
    }

    /// Everything in a folder, in order, and whether it is a folder. The empty path is the folder that we are in.
    fn walk(&mut self, folder: &Path, with_hidden: bool) -> Vec<(PathBuf, bool)> {
        let is_here = folder.as_os_str().is_empty();
        let root = if is_here { Path::new(".") } else { folder };
        let walk = WalkDir::new(root).min_depth(1).sort_by(|a, b| a.file_name().cmp(b.file_name()));
        let mut entries = Vec::new();
        for entry in walk.into_iter().filter_entry(|entry| with_hidden || !is_hidden(entry.file_name())) {
            match entry {
                Ok(entry) => {
                    let path = entry.path().strip_prefix(if is_here { "." } else { "" }).unwrap_or(entry.path());
                    entries.push((path.to_owned(), entry.file_type().is_dir()));
                }
                Err(problem) => {
                    let path = problem.path().unwrap_or(folder).display();
                    let cause = problem.io_error().map_or_else(|| problem.to_string(), ToString::to_string);
                    self.problems.push(format!("cannot read {path}: {cause}"));
                }
            }
        }
        entries
    }

    /// Links to files count, links to folders do not: they could lead in circles. Pipes would wait for ever.
    fn add_if_file(&mut self, path: PathBuf, written: Option<&Written>) {
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => self.add_found(path, written),
            Ok(_) => {}
            Err(problem) => self.problems.push(format!("cannot read {}: {problem}", path.display())),
        }
    }

    fn add_found(&mut self, path: PathBuf, written: Option<&Written>) {
        if written.is_some_and(|written| written.holds(&path)) {
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

/// The path by which a file's folder is really reached; links to files keep their names.
fn real_place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
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
            ("**/*.t*", &["b.txt", "sub-a/d.tsv", "sub/c.txt", "ä.txt"]),
            ("**/sub*", &["sub-a/d.tsv", "sub/c.txt"]),
            ("s*/**", &["sub-a/d.tsv", "sub/c.txt"]),
            ("sub/**/*", &["sub/c.txt"]),
            ("**/.git/*.txt", &["sub/.git/config.txt"]),
            ("**/.hidden.txt", &[".hidden.txt"]),
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
    fn globs_of_any_depth_give_each_file_once_and_in_order() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("news/sub/deep")).unwrap();
        for name in ["news/a.txt", "news/sub/c.txt", "news/sub/deep/d.txt"] {
            fs::write(root.path().join(name), "text").unwrap();
        }
        #[cfg(unix)]
        for link in ["loop", "other-loop"] {
            std::os::unix::fs::symlink("..", root.path().join("news/sub").join(link)).unwrap();
        }
        let all = ["news/a.txt", "news/sub/c.txt", "news/sub/deep/d.txt"];
        for pattern in ["news/**", "news/**/", "news/**/*", "news/**/*.txt", "**/*.txt", "**/news/**", "n*/**/**"] {
            let inputs = Inputs::find(&[root.path().join(pattern)], None).unwrap();
            assert_eq!(names(&inputs, root.path()), all, "{pattern}");
            assert!(inputs.problems.is_empty(), "{pattern}: {:?}", inputs.problems);
        }
        let twice = ["news/a.txt", "news"].map(|name| root.path().join(name));
        assert_eq!(Inputs::find(&twice, None).unwrap().list.len(), 4, "what is named twice is read twice");
    }

    #[test]
    fn the_journal_is_refused_as_named_input_and_passed_over_by_globs() {
        let root = tree();
        let journal = root.path().join("b.txt.resume");
        fs::write(&journal, "").unwrap();
        let written = Written::file(&root.path().join("b.txt"));
        let named = Inputs::find(std::slice::from_ref(&journal), Some(&written));
        assert!(matches!(named, Err(Refusal::IsJournal(_))));
        let glob = Inputs::find(&[root.path().join("b*")], Some(&written)).unwrap();
        assert!(glob.list.is_empty());
        assert_eq!(glob.skipped, [root.path().join("b.txt"), journal]);
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
        let output = Written::file(&root.path().join("sub/../b.txt"));
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
        let output = Written::file(&root.path().join("b.txt"));
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
