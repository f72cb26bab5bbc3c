//! Gold: paragraphs with the labels that coders gave them, read from JSON Lines or CSV and checked against a scheme.
//!
//! In: files in the record format of `eval/guidelines.md`. Out: [`GoldItem`]s in the order of the files. A label that is
//! null or missing is not known: the item is left out of the figures that need it, never taken as a no.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, RecordFault, Result};
use crate::eval::record::{self, Labels, Record, read_records};
use crate::label::Scheme;

/// One paragraph with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldItem {
    /// Unlike that of every other item.
    pub id: String,
    /// The paragraph.
    pub text: String,
    /// What the coder says.
    pub labels: Labels,
    /// What a second coder says, who did not see the first coder's labels.
    pub second: Option<Labels>,
    /// Who coded, as the file names it (`annotator`): a person or a model.
    pub annotator: Option<String>,
    /// Who coded second (`second.annotator`; in a table `second_annotator`).
    pub second_annotator: Option<String>,
    /// How sure the coder is: 2 sure, 1 debatable, 0 a guess.
    pub confidence: Option<i64>,
    /// The text that the paragraph stands in.
    pub document: Option<String>,
    /// Items that are not independent of one another share a group.
    pub group: Option<String>,
    /// Language, as a BCP 47 tag.
    pub lang: Option<String>,
    /// Where the text comes from.
    pub source: Option<String>,
    /// The kind of text.
    pub genre: Option<String>,
    /// `train`, `dev` or `test`.
    pub split: Option<String>,
}

impl GoldItem {
    /// What intervals are clustered by: the group, else the document, else the item by itself.
    pub fn cluster(&self) -> &str {
        self.group.as_deref().or(self.document.as_deref()).unwrap_or(&self.id)
    }

    fn read(record: &Record<'_>, scheme: &Scheme) -> Result<Self> {
        let (second, second_annotator) = match record.nested("second")? {
            Some(second) => (second.labels(scheme, "")?, second.string("annotator")?),
            None => (record.labels(scheme, "second_")?, record.string("second_annotator")?),
        };
        Ok(Self {
            id: record.required("id")?,
            text: record.required("text")?,
            labels: record.labels(scheme, "")?,
            second: Some(second).filter(|second| !second.is_empty()),
            annotator: record.string("annotator")?,
            second_annotator,
            confidence: record.integer("confidence")?,
            document: record.string("document")?,
            group: record.string("group")?,
            lang: record.string("lang")?,
            source: record.string("source")?,
            genre: record.string("genre")?,
            split: record.string("split")?,
        })
    }
}

/// Reads one or several gold files; ids must differ between the files too.
///
/// # Errors
/// [`crate::Error::Read`]; [`crate::Error::Record`] with path and line for the first record that is not in the record
/// format or not in the scheme; [`crate::Error::Input`] for a file without any record or any label.
pub fn read_gold_files(paths: &[impl AsRef<Path>], scheme: &Scheme) -> Result<Vec<GoldItem>> {
    let mut items = Vec::new();
    let mut places = BTreeMap::new();
    for path in paths {
        let path = path.as_ref();
        read_into(path, record::open(path)?, scheme, &mut places, |_, item| {
            items.push(item);
            Ok(())
        })?;
    }
    Ok(items)
}

/// Gold that something may be fitted on.
#[derive(Debug, Clone, PartialEq)]
pub struct FitGold {
    /// The items, in the order of the files.
    pub items: Vec<GoldItem>,
    /// How many of them come from which file.
    pub files: Vec<FitFile>,
}

/// One file of a [`FitGold`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FitFile {
    /// The file.
    pub path: PathBuf,
    /// Items taken from it.
    pub items: usize,
    /// Hexadecimal sha256 of the whole file.
    pub sha256: String,
}

impl FitFile {
    /// Its name without the folders, which are nobody else's.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }
}

/// The split that nothing is fitted on.
const TEST: &str = "test";

/// Reads gold files to fit something on; with `split`, only the items that are marked so.
///
/// # Errors
/// As [`read_gold_files`]; and [`crate::Error::Record`] with path and line for the first item taken that is marked as test.
pub fn read_gold_to_fit(paths: &[impl AsRef<Path>], scheme: &Scheme, split: Option<&str>) -> Result<FitGold> {
    let mut gold = FitGold { items: Vec::new(), files: Vec::new() };
    let mut places = BTreeMap::new();
    for path in paths {
        let path = path.as_ref();
        let before = gold.items.len();
        read_into(path, record::open(path)?, scheme, &mut places, |record, item| {
            let marked = item.split.as_deref().map(str::trim);
            if split.is_some_and(|split| marked != Some(split)) {
                return Ok(());
            }
            if let Some(found) = marked.filter(|marked| marked.eq_ignore_ascii_case(TEST)) {
                return Err(record.fault(RecordFault::TestItem { split: found.into() }));
            }
            gold.items.push(item);
            Ok(())
        })?;
        let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        gold.files.push(FitFile { path: path.into(), items: gold.items.len() - before, sha256 });
    }
    Ok(gold)
}

/// Reads gold from a stream; `path` names it in errors and says by its extension which format it is in.
///
/// ```
/// use detente::eval::read_gold;
/// use detente::label::{Scheme, Topic};
///
/// let topics = vec![Topic { name: "military".into(), description: String::new() }];
/// let scheme = Scheme { topics, scale: None, boilerplate: true };
/// let line = r#"{"id": "1", "text": "Troops crossed the river.", "topics": ["military"], "boilerplate": null}"#;
/// let gold = read_gold("gold.jsonl", line.as_bytes(), &scheme)?;
/// assert_eq!(gold[0].labels.topics, Some(vec![true]));
/// assert_eq!(gold[0].labels.boilerplate, None);
/// # Ok::<(), detente::Error>(())
/// ```
///
/// # Errors
/// As [`read_gold_files`].
pub fn read_gold(path: impl AsRef<Path>, input: impl BufRead, scheme: &Scheme) -> Result<Vec<GoldItem>> {
    let mut items = Vec::new();
    read_into(path.as_ref(), input, scheme, &mut BTreeMap::new(), |_, item| {
        items.push(item);
        Ok(())
    })?;
    Ok(items)
}

fn read_into(
    path: &Path,
    input: impl BufRead,
    scheme: &Scheme,
    places: &mut BTreeMap<String, String>,
    mut each: impl FnMut(&Record<'_>, GoldItem) -> Result<()>,
) -> Result<()> {
    let mut labelled = false;
    read_records(path, input, |record| {
        let item = GoldItem::read(&record, scheme)?;
        if let Some(first) = places.insert(item.id.clone(), record.place()) {
            return Err(record.fault(RecordFault::DuplicateId { id: item.id, first }));
        }
        labelled |= !item.labels.is_empty();
        each(&record, item)
    })?;
    if labelled { Ok(()) } else { Err(record::no_labels(path, scheme)) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::eval::tests::scheme;

    fn read(path: &str, text: &str) -> Result<Vec<GoldItem>> {
        read_gold(path, text.as_bytes(), &scheme())
    }

    #[test]
    fn json_lines_with_every_field() {
        let text = r#"
            {"id": "a", "lang": "de", "text": "x", "topics": ["b", "a"], "stance": -1, "boilerplate": false,
             "document": "d", "group": "g", "source": "s", "genre": "news", "split": "dev", "confidence": 2,
             "annotator": "model X", "second": {"topics": [], "stance": 1, "boilerplate": null, "annotator": "Y"},
             "translations": {"en": "y"}}"#;
        let items = read("gold.jsonl", &text.replace('\n', " ")).unwrap();
        let item = &items[0];
        assert_eq!(item.labels, Labels { topics: Some(vec![true, true]), level: Some(0), boilerplate: Some(false) });
        let second = item.second.as_ref().unwrap();
        assert_eq!(*second, Labels { topics: Some(vec![false, false]), level: Some(2), boilerplate: None });
        assert_eq!(item.cluster(), "g");
        assert_eq!((item.confidence, item.annotator.as_deref()), (Some(2), Some("model X")));
        assert_eq!(item.second_annotator.as_deref(), Some("Y"));
    }

    #[test]
    fn tables_tell_no_topic_from_not_known() {
        let text = "id,text,topics,stance,boilerplate,second_topics,document\n\
                    1,\"one, two\",a;b,\u{2212}1,0,a,d\n2,two,,,,null,\n3,three,null,1,TRUE,,\n";
        let items = read("gold.csv", text).unwrap();
        assert_eq!(items[0].labels.topics, Some(vec![true, true]));
        assert_eq!(items[0].labels.level, Some(0));
        assert_eq!(items[0].second.as_ref().unwrap().topics, Some(vec![true, false]));
        assert_eq!(items[1].labels, Labels { topics: Some(vec![false, false]), ..Labels::default() });
        assert_eq!(items[1].second, None);
        assert_eq!((items[2].labels.topics.clone(), items[2].labels.boilerplate), (None, Some(true)));
        assert_eq!((items[0].cluster(), items[1].cluster()), ("d", "2"));
    }

    #[test]
    fn bad_gold_is_named_with_path_line_and_remedy() {
        let ok = r#"{"id": "a", "text": "x", "topics": []}"#;
        for (name, line, expected) in [
            ("topic", r#"{"id":"b","text":"x","topics":["c"]}"#, r#"the topic "c", which the scheme does not have"#),
            ("list", r#"{"id":"b","text":"x","topics":3}"#, r#"field "topics" holds 3; give a list of topic names"#),
            ("level", r#"{"id":"b","text":"x","stance":5}"#, r#"the level 5, the scale has [-1, 0, 1]; null says"#),
            ("number", r#"{"id":"b","text":"x","stance":0.5}"#, r#""stance" holds 0.5; give a whole number, or null"#),
            ("flag", r#"{"id":"b","text":"x","boilerplate":"perhaps"}"#, "give true, false or null"),
            ("id twice", ok, r#"the id "a" stands at sets/gold.jsonl:1 already"#),
            ("no id", r#"{"text":"x"}"#, r#"no field "id"; the fields are ["text"]"#),
            ("no text", r#"{"id":"b","text":" "}"#, r#"no field "text""#),
            ("second", r#"{"id":"b","text":"x","second":[]}"#, r#""second" holds []; give an object with labels"#),
            ("json", r#"{"id":"b""#, "not valid JSON"),
            ("object", "[1]", "not an object"),
        ] {
            let error = read("sets/gold.jsonl", &format!("{ok}\n\n{line}\n")).unwrap_err().to_string();
            assert!(error.starts_with("sets/gold.jsonl:3: ") && error.contains(expected), "{name}: {error}");
        }
        let error = read("gold.csv", "id,text,topics\n1,x,a\n2,y\n").unwrap_err().to_string();
        assert!(error.starts_with("gold.csv:3: this row has 2 cells"), "{error}");
        for end in ["\n", "\r\n"] {
            let table = ["id,text,topics", "1,x,a", "2,x,b", "3,x,c", ""].join(end);
            let error = read("gold.csv", &table).unwrap_err().to_string();
            assert!(error.starts_with("gold.csv:4: "), "{end:?}: {error}");
        }
        let error = read("gold.csv", "id,text,topics,stance,topics\n1,x,a,0,\n").unwrap_err().to_string();
        assert!(error.starts_with(r#"gold.csv:1: the header names the column "topics" twice"#), "{error}");
        let error = read("gold.jsonl", r#"{"id": "a", "text": "x", "topic": ["a"]}"#).unwrap_err().to_string();
        assert_eq!(error, r#"gold.jsonl: no record has a label; label fields are ["topics", "stance", "boilerplate"]"#);
    }

    #[test]
    fn compressed_gold_reads_as_plain_and_a_cut_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let table = "id,text,topics,stance\n1,x,a;b,-1\n2,y,,0\n";
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(table.as_bytes()).unwrap();
        let bytes = encoder.finish().unwrap();
        let whole = folder.path().join("gold.csv.GZ");
        std::fs::write(&whole, &bytes).unwrap();
        assert_eq!(read_gold_files(&[&whole], &scheme()).unwrap(), read("gold.csv", table).unwrap());
        for name in ["cut.jsonl.gz", "cut.csv.gz"] {
            let cut = folder.path().join(name);
            std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
            let error = read_gold_files(&[&cut], &scheme()).unwrap_err();
            assert!(matches!(&error, Error::Read { path, .. } if *path == cut), "{error}");
        }
    }

    #[test]
    fn test_items_are_not_to_fit_on() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let dev = write("dev.jsonl", "{\"id\": 1, \"text\": \"x\", \"topics\": [], \"split\": \"dev\"}\n");
        let table = "id,text,topics,split\n2,x,a,dev\n3,y,b,\n4,z,a, Test\n";
        let mixed = write("mixed.csv", table);
        let error = read_gold_to_fit(&[&dev, &mixed], &scheme(), None).unwrap_err().to_string();
        assert!(error.contains("mixed.csv:4: this item is marked \"Test\""), "{error}");
        assert!(error.contains("--split dev"), "{error}");
        let found = read_gold_to_fit(&[&dev, &mixed], &scheme(), Some("dev")).unwrap();
        let ids: Vec<&str> = found.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids, ["1", "2"]);
        assert_eq!(found.files.iter().map(|file| file.items).collect::<Vec<_>>(), [1, 1]);
        let untold = write("untold.csv", "id,text,topics\n5,x,a\n");
        assert_eq!(read_gold_to_fit(&[&untold], &scheme(), None).unwrap().items.len(), 1);
        assert!(read_gold_to_fit(&[&untold], &scheme(), Some("dev")).unwrap().items.is_empty());
        let error = read_gold_to_fit(&[&mixed], &scheme(), Some("Test")).unwrap_err().to_string();
        assert!(error.contains("mixed.csv:4: this item is marked"), "{error}");
    }
}
