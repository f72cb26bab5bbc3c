//! Files of minimal pairs: JSON Lines in, checked pairs out.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use crate::error::{Error, InputFault, RecordFault, Result};
use crate::eval::gold::GoldItem;
use crate::eval::record::{self, Labels, Record, read_records};
use crate::label::Scheme;

/// What is expected of the labels of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The change of the text changes the sign of the level or the boilerplate flag.
    Change,
    /// The change of the text changes no label.
    Same,
}

/// Two texts that differ in one respect.
#[derive(Debug, Clone, PartialEq)]
pub struct BehaviourPair {
    /// Unlike that of every other pair.
    pub id: String,
    /// What is tested: `negation`, `actor`. Pairs of one name make one set of figures, whichever file they stand in.
    pub behaviour: String,
    /// What is expected.
    pub expect: Expect,
    /// Language of the first text, as a BCP 47 tag.
    pub lang: Option<String>,
    /// Language of the second text, if it is another one.
    pub second_lang: Option<String>,
    /// What was changed and why that decides, for people.
    pub note: Option<String>,
}

/// Pairs with their members, which any system can be run on as on gold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BehaviourPairs {
    /// The pairs in the order of the files.
    pub pairs: Vec<BehaviourPair>,
    /// Both members of each pair, one pair after the other; their ids are the pair's with `/a` and `/b`.
    pub members: Vec<GoldItem>,
}

impl BehaviourPairs {
    /// The gold labels of both members of a pair.
    pub(crate) fn labels(&self, pair: usize) -> [&Labels; 2] {
        [&self.members[2 * pair].labels, &self.members[2 * pair + 1].labels]
    }
}

/// Reads one or several files; ids must differ between the files too.
///
/// # Errors
/// [`Error::Read`]; [`Error::Record`] with path and line for the first record that is not in the format of `eval/README.md`, not in the
/// scheme, or that expects what its own labels deny; [`Error::Input`] for a file without any record.
pub fn read_behaviour_files(paths: &[impl AsRef<Path>], scheme: &Scheme) -> Result<BehaviourPairs> {
    let (mut found, mut places) = (BehaviourPairs::default(), BTreeMap::new());
    for path in paths {
        let path = path.as_ref();
        read_into(path, record::open(path)?, scheme, &mut found, &mut places)?;
    }
    Ok(found)
}

/// Reads pairs from a stream; `path` names it in errors.
///
/// ```
/// use detente::eval::read_behaviour;
/// use detente::label::{Scheme, Topic};
///
/// let topics = vec![Topic { name: "military".into(), description: String::new() }];
/// let scheme = Scheme { topics, scale: None, boilerplate: false };
/// let line = r#"{"id": "actor-1", "behaviour": "actor", "lang": "en", "expect": "same",
///     "a": {"text": "Iran shelled the port.", "topics": ["military"]},
///     "b": {"text": "Peru shelled the port.", "topics": ["military"]}}"#.replace('\n', " ");
/// let found = read_behaviour("actor.jsonl", line.as_bytes(), &scheme)?;
/// assert_eq!(found.members[1].id, "actor-1/b");
/// # Ok::<(), detente::Error>(())
/// ```
///
/// # Errors
/// As [`read_behaviour_files`].
pub fn read_behaviour(path: impl AsRef<Path>, input: impl BufRead, scheme: &Scheme) -> Result<BehaviourPairs> {
    let mut found = BehaviourPairs::default();
    read_into(path.as_ref(), input, scheme, &mut found, &mut BTreeMap::new())?;
    Ok(found)
}

fn read_into(
    path: &Path,
    input: impl BufRead,
    scheme: &Scheme,
    found: &mut BehaviourPairs,
    places: &mut BTreeMap<String, String>,
) -> Result<()> {
    let before = found.pairs.len();
    read_records(path, input, |record| {
        let (pair, members) = read_pair(&record, scheme)?;
        if let Some(first) = places.insert(pair.id.clone(), record.place()) {
            return Err(record.fault(RecordFault::DuplicateId { id: pair.id, first }));
        }
        found.pairs.push(pair);
        found.members.extend(members);
        Ok(())
    })?;
    if found.pairs.len() > before {
        return Ok(());
    }
    let problem = "the file has no pairs; a record has id, behaviour, expect, a and b (eval/README.md)";
    Err(Error::Input { path: path.into(), what: InputFault::Setting(problem.into()) })
}

fn read_pair(record: &Record<'_>, scheme: &Scheme) -> Result<(BehaviourPair, [GoldItem; 2])> {
    let (lang, annotator) = (record.string("lang")?, record.string("annotator")?);
    let pair = BehaviourPair {
        id: record.required("id")?,
        behaviour: record.required("behaviour")?,
        expect: expect(record)?,
        second_lang: record.string("lang_b")?.filter(|second| Some(second) != lang.as_ref()),
        lang,
        note: record.string("note")?,
    };
    if !pair.behaviour.chars().all(|character| character.is_ascii_alphanumeric() || "_-".contains(character)) {
        return Err(record.wrong_text(
            "behaviour",
            &pair.behaviour,
            "a name of letters, digits, - and _: figures are named after it",
        ));
    }
    let member = |field: &str, lang: &Option<String>| -> Result<GoldItem> {
        let Some(nested) = record.nested(field)? else {
            let found = record.field_names();
            return Err(record.fault(RecordFault::Lacking { field: field.into(), found }));
        };
        Ok(GoldItem {
            id: format!("{}/{field}", pair.id),
            text: nested.required("text")?,
            labels: nested.labels(scheme, "")?,
            second: None,
            annotator: annotator.clone(),
            second_annotator: None,
            confidence: None,
            document: Some(pair.id.clone()),
            group: None,
            lang: lang.clone(),
            source: None,
            genre: None,
            split: None,
        })
    };
    let second_lang = pair.second_lang.as_ref().or(pair.lang.as_ref()).cloned();
    let members = [member("a", &pair.lang)?, member("b", &second_lang)?];
    let labels = [&members[0].labels, &members[1].labels];
    if let Some((found, expected)) = contradiction(scheme, pair.expect, labels) {
        return Err(record.fault(RecordFault::WrongType { field: "expect".into(), found, expected }));
    }
    Ok((pair, members))
}

fn expect(record: &Record<'_>) -> Result<Expect> {
    let found = record.required("expect")?;
    match found.as_str() {
        "change" => Ok(Expect::Change),
        "same" => Ok(Expect::Same),
        _ => Err(record.wrong_text("expect", &found, "\"change\" or \"same\"")),
    }
}

/// What the gold labels say against `expect`, and what to do.
fn contradiction(scheme: &Scheme, expect: Expect, [a, b]: [&Labels; 2]) -> Option<(String, String)> {
    let signs = [sign(scheme, a), sign(scheme, b)];
    match expect {
        Expect::Same => {
            let field = match () {
                () if differ(&a.topics, &b.topics) => "their topics",
                () if differ(&signs[0], &signs[1]) => "the sign of the level",
                () if differ(&a.boilerplate, &b.boilerplate) => "the boilerplate flag",
                () => return None,
            };
            Some((format!("\"same\", but a and b differ in {field}"), "\"change\", or the same labels to both".into()))
        }
        Expect::Change => {
            let decides = differ(&a.boilerplate, &b.boilerplate) || differ(&signs[0], &signs[1]);
            (!decides).then(|| {
                (
                    "\"change\", but a and b differ neither in the sign of the level nor in the boilerplate flag"
                        .into(),
                    "\"same\", or labels that differ there".into(),
                )
            })
        }
    }
}

/// Whether both are known and not the same.
pub(crate) fn differ<T: PartialEq>(a: &Option<T>, b: &Option<T>) -> bool {
    a.is_some() && b.is_some() && a != b
}

/// Sign of the level's code; `None` where the level is not known.
pub(crate) fn sign(scheme: &Scheme, labels: &Labels) -> Option<i32> {
    Some(scheme.scale.as_ref()?.levels[labels.level?].code.signum())
}
