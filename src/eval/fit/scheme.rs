//! A label scheme from the labels that occur in gold files.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::{Error, InputFault, RecordFault, Result};
use crate::eval::record::{open, read_records};
use crate::label::{Scale, ScaleLevel, Scheme, Topic};

/// Most levels of a scale: more of them are a measurement.
const MOST_LEVELS: usize = 20;

/// Where a scheme is read from.
#[derive(Debug, Clone, Copy)]
pub struct SchemeSource<'a> {
    /// Only items whose field `split` says this.
    pub split: Option<&'a str>,
    /// The field with the level, which is also the scale's name.
    pub scale: &'a str,
    /// A scheme that descriptions and names of levels are taken from, where topics or codes are the same.
    pub known: &'a Scheme,
}

/// A scheme, and what of the data is not in it.
#[derive(Debug, Clone, PartialEq)]
pub struct DataScheme {
    /// The labels.
    pub scheme: Scheme,
    /// Labels that never change and so cannot be learnt, in words.
    pub notes: Vec<String>,
}

/// Reads the scheme of gold files: topics in the order of their first appearance, the scale's levels by their codes, the
/// boilerplate flag if it is sometimes true and sometimes false.
///
/// # Errors
/// [`Error::Read`]; [`Error::Record`] for a label of a wrong type; [`Error::Input`] if the labels make no scheme.
pub fn read_scheme_of_data(paths: &[impl AsRef<Path>], source: &SchemeSource<'_>) -> Result<DataScheme> {
    let mut topics: Vec<String> = Vec::new();
    let mut codes: BTreeSet<i32> = BTreeSet::new();
    let mut flags: BTreeSet<bool> = BTreeSet::new();
    let mut items = 0_usize;
    for path in paths {
        let path = path.as_ref();
        read_records(path, open(path)?, |record| {
            let split = record.string("split")?;
            if source.split.is_some_and(|wanted| split.as_deref().map(str::trim) != Some(wanted)) {
                return Ok(());
            }
            items += 1;
            for name in record.topic_names()?.unwrap_or_default() {
                if !topics.iter().any(|topic| topic == name) {
                    topics.push(name.to_owned());
                }
            }
            if let Some(found) = record.integer(source.scale)? {
                let code = i32::try_from(found).ok();
                let is_new = code.is_some_and(|code| codes.insert(code));
                if code.is_none() || is_new && codes.len() > MOST_LEVELS {
                    let field = source.scale.to_owned();
                    let count = codes.len();
                    return Err(record.fault(RecordFault::TooManyLevels { field, found, count, limit: MOST_LEVELS }));
                }
            }
            flags.extend(record.flag("boilerplate")?);
            Ok(())
        })?;
    }
    let mut notes = Vec::new();
    if let (Some(code), 1) = (codes.first(), codes.len()) {
        notes.push(format!("{:?} is always {code}: there is no scale to fit", source.scale));
        codes.clear();
    }
    if let (Some(flag), 1) = (flags.first(), flags.len()) {
        notes.push(format!("\"boilerplate\" is always {flag}: there is no flag to fit"));
    }
    let scheme = Scheme {
        topics: topics.into_iter().map(|name| topic(name, source.known)).collect(),
        scale: (!codes.is_empty()).then(|| scale(&codes, source)),
        boilerplate: flags.len() == 2,
    };
    let Some(problem) = scheme.problem() else { return Ok(DataScheme { scheme, notes }) };
    let fields = vec!["topics".to_owned(), source.scale.to_owned(), "boilerplate".to_owned()];
    let is_empty = scheme.topics.is_empty() && scheme.scale.is_none() && notes.is_empty();
    let what = match source.split {
        Some(split) if items == 0 => InputFault::Setting(format!(
            "no item has the split {split:?}; leave out --split to learn from all items, or name another split"
        )),
        _ if is_empty => InputFault::NoLabels { fields },
        _ => InputFault::Setting(format!(
            "{problem}; the scheme was made of the labels in the fields {fields:?}: correct them, or give a scheme with --scheme"
        )),
    };
    Err(Error::Input { path: paths.first().map(|path| path.as_ref().into()).unwrap_or_default(), what })
}

fn topic(name: String, known: &Scheme) -> Topic {
    let same = known.topics.iter().find(|topic| topic.name == name);
    Topic { description: same.map(|topic| topic.description.clone()).unwrap_or_default(), name }
}

fn scale(codes: &BTreeSet<i32>, source: &SchemeSource<'_>) -> Scale {
    let known = source.known.scale.as_ref().filter(|scale| scale.name == source.scale);
    let levels = known.map(|scale| scale.levels.as_slice()).unwrap_or_default();
    let level = |&code: &i32| {
        let same = levels.iter().find(|level| level.code == code);
        ScaleLevel { code, name: same.map_or_else(|| format!("level {code}"), |level| level.name.clone()) }
    };
    Scale { name: source.scale.to_owned(), levels: codes.iter().map(level).collect() }
}
