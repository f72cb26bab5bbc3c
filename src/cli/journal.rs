//! The journal of a long run: `FILE.resume` beside the output says what the run is and how far it came.
//!
//! JSON lines. The first is the [`Fingerprint`]; each further one a [`Place`], appended in a single write after the
//! output up to it was flushed. So after `kill -9` at any moment the last whole line is true: the output holds at least
//! its bytes, and the run goes on from there: the output is cut to those bytes, the inputs are read again, and what stands
//! before the place is not classified. (The columns of a CSV file come from the first document, which is read again too;
//! so they need no place here.) A line that was cut short is ignored; so is a place that claims more bytes
//! than the output has (after a loss of power the system may have kept the journal and not the output).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cli::inputs::Input;
use crate::cli::interrupt::{Interrupt, Interrupted};

/// Version of the journal's own form.
const VERSION: u32 = 1;

/// What must be equal for a run to be the continuation of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    journal: u32,
    /// Version of the program and of the output's fields.
    pub(crate) program: String,
    /// Id of the bundle, which every record has, and hexadecimal sha256.
    pub(crate) bundle: String,
    /// Every option that changes the output, as on the command line.
    pub(crate) options: BTreeMap<String, String>,
    /// Every input, in order.
    pub(crate) inputs: Vec<InputPrint>,
}

/// What an input was when the run began. Contents are compared, not times: a copy on another machine is the same input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InputPrint {
    path: String,
    bytes: u64,
    /// First half of the hexadecimal sha256 of the file; empty if it could not be read.
    sha256: String,
}

impl Fingerprint {
    /// Puts it together; reads every input once (some GB in seconds, against hours of classifying them).
    ///
    /// # Errors
    /// If interrupted. A file that cannot be read is no error here: the run reports it.
    pub(crate) fn take(
        program: String,
        bundle: String,
        options: BTreeMap<String, String>,
        inputs: &[Input],
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let inputs = inputs.iter().map(|input| InputPrint::take(input, interrupt)).collect::<anyhow::Result<_>>()?;
        Ok(Self { journal: VERSION, program, bundle, options, inputs })
    }

    /// What of `now` is not as in the first run, if anything.
    pub(crate) fn difference(&self, now: &Self) -> Option<String> {
        if (self.journal, &self.program) != (now.journal, &now.program) {
            return Some(format!("it was begun by {}, this is {}", self.program, now.program));
        }
        let names = self.options.keys().chain(now.options.keys());
        let changed = |name: &&String| self.options.get(*name) != now.options.get(*name);
        if let Some(name) = names.clone().find(changed) {
            let value =
                |options: &BTreeMap<String, String>| options.get(name).map_or("none", String::as_str).to_owned();
            return Some(format!(
                "the option --{name} was {}, now it is {}",
                value(&self.options),
                value(&now.options)
            ));
        }
        if self.bundle != now.bundle {
            let id = |bundle: &str| bundle.split(' ').next().unwrap_or_default().to_owned();
            return Some(format!("the bundle was {}, now it is {}", id(&self.bundle), id(&now.bundle)));
        }
        if let Some((then, now)) = self.inputs.iter().zip(&now.inputs).find(|(then, now)| then != now) {
            return Some(if then.path == now.path {
                format!("the input {} is not what it was ({} bytes then, {} now)", then.path, then.bytes, now.bytes)
            } else {
                format!("the inputs are others: {} was read where {} is now", then.path, now.path)
            });
        }
        (self.inputs.len() != now.inputs.len())
            .then(|| format!("there were {} inputs, now there are {}", self.inputs.len(), now.inputs.len()))
    }
}

impl InputPrint {
    fn take(input: &Input, interrupt: &Interrupt) -> anyhow::Result<Self> {
        let mut print = Self { path: input.to_string(), bytes: 0, sha256: String::new() };
        let Input::File(path) = input else { return Ok(print) };
        let Ok(mut file) = File::open(path) else { return Ok(print) };
        let mut hash = Sha256::new();
        let mut block = vec![0; 1 << 20];
        loop {
            if interrupt.is_set() {
                bail!(Interrupted);
            }
            match file.read(&mut block) {
                Ok(0) => break,
                Ok(count) => {
                    hash.update(&block[..count]);
                    print.bytes += count as u64;
                }
                Err(problem) if problem.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Ok(print),
            }
        }
        print.sha256 = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(print)
    }
}

/// How far a run came: everything before it is in the output, nothing after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Bytes of output.
    pub(crate) bytes: u64,
    /// Ordinal of the next document, over all inputs, counted from 0; bad records count.
    pub(crate) document: u64,
    /// Index of the next paragraph in it.
    pub(crate) paragraph: usize,
    /// Records that could not be read.
    pub(crate) errors: u64,
}

/// The journal of a run that is going on.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
}

/// What the journal of an earlier run says.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// What the run was.
    pub(crate) fingerprint: Fingerprint,
    /// How far it came.
    pub(crate) place: Place,
    /// Bytes of the journal up to that place.
    valid_bytes: u64,
}

impl Journal {
    /// The journal's path for an output.
    pub(crate) fn path_for(output: &Path) -> PathBuf {
        let mut name = OsString::from(output);
        name.push(".resume");
        name.into()
    }

    /// Whether a run wrote the file, as its first line says. That line may be cut short, and then nothing is in it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn is_journal(path: &Path) -> anyhow::Result<bool> {
        let what = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(what)?;
        let mut line = serde_json::Deserializer::from_reader(BufReader::new(file));
        match Fingerprint::deserialize(&mut line) {
            Ok(_) => Ok(true),
            Err(problem) if problem.is_io() => Err(io::Error::from(problem)).with_context(what),
            Err(problem) => Ok(problem.is_eof()),
        }
    }

    /// Starts a journal, replacing an old one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn create(path: PathBuf, fingerprint: &Fingerprint) -> anyhow::Result<Self> {
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut journal = Self { path, file };
        journal.append_line(fingerprint)?;
        Ok(journal)
    }

    /// Reads the journal of an earlier run. `None` if it stopped before its first line was whole.
    ///
    /// # Errors
    /// If the journal cannot be read, or holds what no run wrote.
    pub(crate) fn recover(path: &Path, output_bytes: u64) -> anyhow::Result<Option<Recovered>> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        let mut next = |line: &mut Vec<u8>| -> anyhow::Result<bool> {
            line.clear();
            lines.read_until(b'\n', line).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(line.ends_with(b"\n"))
        };
        if !next(&mut line)? {
            return Ok(None);
        }
        let damaged = |number: usize| {
            let path = path.display();
            format!("{path}:{number}: this is no line of a journal; to start anew, remove the file and use --force")
        };
        let fingerprint = serde_json::from_slice(&line).with_context(|| damaged(1))?;
        let mut bytes = line.len() as u64;
        let mut recovered = Recovered { fingerprint, place: Place::default(), valid_bytes: bytes };
        for number in 2.. {
            if !next(&mut line)? {
                break;
            }
            bytes += line.len() as u64;
            let place: Place = serde_json::from_slice(&line).with_context(|| damaged(number))?;
            if place.bytes > output_bytes {
                break;
            }
            recovered.place = place;
            recovered.valid_bytes = bytes;
        }
        Ok(Some(recovered))
    }

    /// Goes on with the journal that `recovered` was read from.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn reopen(path: PathBuf, recovered: &Recovered) -> anyhow::Result<Self> {
        let what = || format!("cannot write {}", path.display());
        let mut file = OpenOptions::new().write(true).open(&path).with_context(what)?;
        file.set_len(recovered.valid_bytes).with_context(what)?;
        file.seek(SeekFrom::End(0)).with_context(what)?;
        Ok(Self { path, file })
    }

    /// Notes that the output is whole up to `place`. The output must have been flushed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn commit(&mut self, place: Place) -> anyhow::Result<()> {
        self.append_line(&place)
    }

    /// Removes the journal of a run that is complete.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn remove(self) -> anyhow::Result<()> {
        std::fs::remove_file(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))
    }

    fn append_line(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        let what = || format!("cannot write {}", self.path.display());
        let mut bytes = serde_json::to_vec(line).with_context(what)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes).with_context(what)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn print(root: &Path) -> Fingerprint {
        fs::write(root.join("a.txt"), "one").unwrap();
        fs::write(root.join("b.txt"), "two").unwrap();
        let inputs = ["a.txt", "b.txt"].map(|name| Input::File(root.join(name)));
        let options = BTreeMap::from([("by".to_owned(), "paragraph".to_owned())]);
        Fingerprint::take("detente 1".into(), "a@1+01 0123".into(), options, &inputs, &Interrupt::default()).unwrap()
    }

    fn place(bytes: u64) -> Place {
        Place { bytes, document: bytes / 10, paragraph: 3, errors: 1 }
    }

    #[test]
    fn a_difference_is_named() {
        type Edit = dyn Fn(&mut Fingerprint);
        let root = tempfile::tempdir().unwrap();
        let first = print(root.path());
        assert_eq!(first.difference(&print(root.path())), None);
        let change = |change: &Edit| {
            let mut now = first.clone();
            change(&mut now);
            first.difference(&now).unwrap()
        };
        let cases: [(&Edit, &str); 7] = [
            (&|now| now.program = "detente 2".into(), "begun by detente 1, this is detente 2"),
            (&|now| now.bundle = "b@1+ab abcd".into(), "the bundle was a@1+01, now it is b@1+ab"),
            (&|now| *now.options.get_mut("by").unwrap() = "document".into(), "--by was paragraph, now it is document"),
            (&|now| _ = now.options.insert("shard".into(), "1/2".into()), "--shard was none, now it is 1/2"),
            (&|now| _ = now.inputs.pop(), "there were 2 inputs, now there are 1"),
            (&|now| now.inputs[1].sha256 = "0".into(), "b.txt is not what it was (3 bytes then, 3 now)"),
            (&|now| now.inputs.swap(0, 1), "a.txt was read where"),
        ];
        for (edit, expected) in cases {
            let found = change(edit);
            assert!(found.contains(expected), "{found} should contain {expected}");
        }
    }

    #[test]
    fn a_journal_cut_at_any_byte_gives_the_last_whole_line() {
        let root = tempfile::tempdir().unwrap();
        let path = Journal::path_for(&root.path().join("out.csv"));
        assert!(path.ends_with("out.csv.resume"));
        let first = print(root.path());
        let mut journal = Journal::create(path.clone(), &first).unwrap();
        let mut ends = vec![(fs::metadata(&path).unwrap().len(), Place::default())];
        for bytes in [10, 20, 30] {
            journal.commit(place(bytes)).unwrap();
            ends.push((fs::metadata(&path).unwrap().len(), place(bytes)));
        }
        let whole = fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(Journal::is_journal(&path).unwrap(), "{cut}");
            let expected = ends.iter().rev().find(|(end, _)| *end <= cut as u64);
            let recovered = Journal::recover(&path, u64::MAX).unwrap();
            assert_eq!(recovered.as_ref().map(|recovered| recovered.place), expected.map(|(_, place)| *place), "{cut}");
            let Some(recovered) = recovered else { continue };
            assert_eq!(recovered.fingerprint, first);
            Journal::reopen(path.clone(), &recovered).unwrap().commit(place(40)).unwrap();
            assert_eq!(Journal::recover(&path, u64::MAX).unwrap().unwrap().place, place(40), "{cut}");
        }
    }

    #[test]
    fn a_place_beyond_the_output_does_not_count() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("out.resume");
        let mut journal = Journal::create(path.clone(), &print(root.path())).unwrap();
        for bytes in [10, 20, 30] {
            journal.commit(place(bytes)).unwrap();
        }
        for (output_bytes, expected) in [(0, Place::default()), (19, place(10)), (20, place(20)), (99, place(30))] {
            assert_eq!(Journal::recover(&path, output_bytes).unwrap().unwrap().place, expected, "{output_bytes}");
        }
        journal.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_no_run_wrote_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("out.resume");
        for damage in ["hello\n", "{}\n", "\n"] {
            fs::write(&path, damage).unwrap();
            assert_eq!(Journal::is_journal(&path).unwrap(), damage == "\n", "{damage:?}");
            let message = format!("{:#}", Journal::recover(&path, 0).unwrap_err());
            assert!(message.contains(":1: this is no line of a journal"), "{damage:?}: {message}");
        }
    }
}
