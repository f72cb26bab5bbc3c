//! The exact text of JSON Lines, CSV and the table for fixed predictions, and that `docs/output.md` names every field.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::label::Scheme;
use crate::output::table::{MIN_WIDTH, cell};
use crate::output::tests::fixture::{Labelled, boilerplate, prediction, scale_alone, shipped, topics_alone, written};
use crate::output::{By, Format, TableOptions, WriterOptions, writer};
use crate::text::Document;

#[test]
fn records_of_the_shipped_scheme() {
    for (format, by, expected) in [
        (Format::Jsonl, By::Paragraph, include_str!("expected/paragraphs.jsonl")),
        (Format::Jsonl, By::Document, include_str!("expected/documents.jsonl")),
        (Format::Csv, By::Paragraph, include_str!("expected/paragraphs.csv")),
        (Format::Csv, By::Document, include_str!("expected/documents.csv")),
    ] {
        let mut options = options(format, by, shipped());
        options.fields = vec!["author".into(), "gone".into()];
        assert_eq!(written(options, &two_documents()), expected, "{format} {by:?}");
    }
}

#[test]
fn records_of_a_scheme_of_topics_alone() {
    let scheme = topics_alone();
    let predictions = vec![prediction(&scheme, &[0.75, 0.5], &[], None)];
    let documents = [(Document::from_text("a", "Regen beim Finale."), predictions)];
    for (format, by, expected) in [
        (Format::Jsonl, By::Paragraph, include_str!("expected/topics-alone-paragraphs.jsonl")),
        (Format::Jsonl, By::Document, include_str!("expected/topics-alone-documents.jsonl")),
        (Format::Csv, By::Paragraph, include_str!("expected/topics-alone-paragraphs.csv")),
        (Format::Csv, By::Document, include_str!("expected/topics-alone-documents.csv")),
    ] {
        assert_eq!(written(options(format, by, Arc::clone(&scheme)), &documents), expected, "{format} {by:?}");
    }
}

#[test]
fn records_of_a_scheme_of_a_scale_alone() {
    let scheme = scale_alone();
    let predictions = vec![prediction(&scheme, &[], &[0.1, 0.2, 0.7], None)];
    let documents = [(Document::from_text("a", "Regen beim Finale."), predictions)];
    for (format, by, expected) in [
        (Format::Jsonl, By::Paragraph, include_str!("expected/scale-alone-paragraphs.jsonl")),
        (Format::Jsonl, By::Document, include_str!("expected/scale-alone-documents.jsonl")),
        (Format::Csv, By::Paragraph, include_str!("expected/scale-alone-paragraphs.csv")),
        (Format::Csv, By::Document, include_str!("expected/scale-alone-documents.csv")),
    ] {
        assert_eq!(written(options(format, by, Arc::clone(&scheme)), &documents), expected, "{format} {by:?}");
    }
}

#[test]
fn tables_of_every_width() {
    for (width, by, expected) in [
        (40, By::Paragraph, include_str!("expected/paragraphs-40.txt")),
        (80, By::Paragraph, include_str!("expected/paragraphs-80.txt")),
        (200, By::Paragraph, include_str!("expected/paragraphs-200.txt")),
        (40, By::Document, include_str!("expected/documents-40.txt")),
        (80, By::Document, include_str!("expected/documents-80.txt")),
        (200, By::Document, include_str!("expected/documents-200.txt")),
    ] {
        let mut options = options(Format::Table, by, shipped());
        options.table = TableOptions { width, ..TableOptions::default() };
        assert_eq!(written(options, &table_documents()), expected, "{width} {by:?}");
    }
    let mut options = options(Format::Table, By::Paragraph, shipped());
    options.table.full_text = true;
    assert_eq!(written(options, &table_documents()), include_str!("expected/paragraphs-80-full.txt"), "full text");
}

/// No width is exceeded, and colour only adds escapes.
#[test]
fn tables_keep_to_their_width() {
    for by in [By::Paragraph, By::Document] {
        for full_text in [false, true] {
            for width in (0..=130).chain([1000, usize::MAX]) {
                let mut options = options(Format::Table, by, shipped());
                options.table = TableOptions { width, full_text, ..TableOptions::default() };
                let plain = written(options.clone(), &table_documents());
                for line in plain.lines() {
                    let columns = cell::width(line);
                    assert!(columns <= width.max(MIN_WIDTH), "{by:?} in {width}: {columns} columns: {line}");
                }
                options.table.colour = true;
                assert_eq!(without_escapes(&written(options, &table_documents())), plain, "{by:?} in {width}");
            }
        }
    }
}

#[test]
fn every_field_is_in_the_docs() {
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/output.md")).unwrap();
    let documented = |name: &str| docs.lines().any(|line| line.starts_with(&format!("| `{name}` |")));
    let mut names = Vec::new();
    for by in [By::Paragraph, By::Document] {
        let json = written(options(Format::Jsonl, by, shipped()), &two_documents());
        for line in json.lines() {
            names.extend(serde_json::from_str::<Map<String, Value>>(line).unwrap().into_iter().map(|(name, _)| name));
        }
        let mut options = options(Format::Csv, by, shipped());
        options.fields = vec!["author".into()];
        let csv = written(options, &two_documents());
        let header = csv.lines().next().unwrap_or_default().to_owned();
        names.extend(header.split(',').map(str::to_owned));
    }
    // The docs name a column of a topic, a level or a field once for all of them.
    for name in &mut names {
        for topic in &shipped().topics {
            *name = name.replace(&format!("{}_", topic.name), "<topic>_");
        }
        for level in shipped().scale.iter().flat_map(|scale| &scale.levels) {
            for of in ["probability", "count"] {
                if *name == format!("escalation_{of}_{}", level.code) {
                    *name = format!("escalation_{of}_<code>");
                }
            }
        }
        *name = name.replace("fields.author", "fields.<name>");
    }
    let missing: Vec<&String> = names.iter().filter(|name| !documented(name)).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

#[test]
fn a_file_is_continued_without_header() {
    let documents = two_documents();
    for format in [Format::Jsonl, Format::Csv] {
        let whole = written(options(format, By::Paragraph, shipped()), &documents);
        let mut parts = written(options(format, By::Paragraph, shipped()), &documents[..1]);
        let rest = WriterOptions { header: false, ..options(format, By::Paragraph, shipped()) };
        parts.push_str(&written(rest, &documents[1..]));
        assert_eq!(parts, whole, "{format}");
    }
}

#[test]
fn a_name_that_would_stand_twice_is_refused() {
    for name in ["text", "boilerplate", "topics", "fields", "other_fields", "bundle"] {
        let mut scheme = Scheme::clone(&shipped());
        scheme.scale.as_mut().unwrap().name = name.into();
        let error = writer(Vec::new(), options(Format::Jsonl, By::Paragraph, Arc::new(scheme))).err().unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{name}");
        assert!(error.to_string().contains(&format!("{name:?} would stand twice")), "{error}");
    }
    let mut scheme = Scheme::clone(&shipped());
    scheme.topics[0].name = "boilerplate".into();
    assert!(writer(Vec::new(), options(Format::Csv, By::Document, Arc::new(scheme))).is_err());
}

#[test]
fn nothing_at_all_is_still_a_file() {
    for format in [Format::Jsonl, Format::Csv, Format::Table, Format::Html] {
        for by in [By::Paragraph, By::Document] {
            let none = written(options(format, by, shipped()), &[]);
            assert_eq!(none.is_empty(), matches!(format, Format::Jsonl | Format::Table), "{format} {by:?}: {none}");
            let empty = [(Document::from_text("empty.txt", ""), vec![])];
            written(options(format, by, shipped()), &empty);
        }
    }
    let empty = [(Document::from_text("empty.txt", ""), vec![])];
    let record = written(options(Format::Jsonl, By::Document, shipped()), &empty);
    assert_eq!(record, include_str!("expected/empty-document.jsonl"));
}

#[test]
fn a_writer_that_fails_says_why() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for format in [Format::Csv, Format::Html] {
        let error = writer(Full, options(format, By::Paragraph, shipped())).err().unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe, "{format}");
    }
}

#[test]
fn formats_have_names_and_extensions() {
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
    for (path, expected) in [
        ("out.jsonl", Some(Format::Jsonl)),
        ("out.NDJSON", Some(Format::Jsonl)),
        ("a/b.csv", Some(Format::Csv)),
        ("page.htm", Some(Format::Html)),
        ("x.parquet", Some(Format::Parquet)),
        ("x.txt", None),
        ("csv", None),
    ] {
        assert_eq!(Format::from_path(Path::new(path)), expected, "{path}");
    }
    assert!("xml".parse::<Format>().unwrap_err().to_string().contains("\"xml\""));
}

fn options(format: Format, by: By, scheme: Arc<Scheme>) -> WriterOptions {
    WriterOptions { by, ..WriterOptions::new(format, scheme) }
}

/// A document of content and boilerplate with other fields, and one of boilerplate alone with different fields.
fn two_documents() -> Vec<Labelled> {
    let scheme = shipped();
    let fields = |value: Value| value.as_object().cloned().unwrap_or_else(Map::new);
    let first = Document::from_text(
        "examples/minsk.txt",
        "Truppen überschritten die \"Grenze\", laut Kiew.\n\nTeilen, drucken; weiter\n\nDie Gespräche gehen weiter.\n",
    );
    let first = first.with_fields(fields(json!({"author": "Jana, B.", "words": 7})));
    let second = Document::from_text("b,2", "=1+1");
    let second = second.with_fields(fields(json!({"tags": ["a", null], "author": null})));
    vec![
        (
            first,
            vec![
                prediction(&scheme, &[0.98, 0.1, 0.012_345_678], &[0.0, 0.01, 0.2, 0.6, 0.19], Some(0.0123)),
                boilerplate(),
                prediction(&scheme, &[0.5, 0.999_999_9, 1e-6], &[0.2, 0.4, 0.2, 0.1, 0.1], Some(0.0)),
            ],
        ),
        (second, vec![boilerplate()]),
    ]
}

/// German, Chinese, Arabic, combining characters, and somebody who sends escapes.
fn table_documents() -> Vec<Labelled> {
    let scheme = shipped();
    let text = "Raketen haben in der Nacht zum Dienstag das Umspannwerk von Karsk getroffen, wie der Gouverneur mitteilte.\n\n\
                双方签署停火协议，边境口岸将于周一重新开放。据外交部发言人介绍，经过三轮谈判，两国代表团签署了停火协议。\n\n\
                ودعت الأمم المتحدة إلى وقف فوري لإطلاق النار، وعرضت استضافة محادثات بين الطرفين في جنيف.\n\n\
                Cafe\u{301} \u{1b}[31mred\u{1b}[0m \u{202e}esrever\u{202c} 👩‍👩‍👧‍👦\n\n\
                Teilen auf sozialen Netzwerken";
    let predictions = vec![
        prediction(&scheme, &[0.99, 0.1, 0.01], &[0.0, 0.0, 0.05, 0.15, 0.8], Some(0.01)),
        prediction(&scheme, &[0.9, 0.97, 0.6], &[0.8, 0.15, 0.05, 0.0, 0.0], Some(0.01)),
        prediction(&scheme, &[0.4, 0.97, 0.01], &[0.1, 0.7, 0.1, 0.1, 0.0], Some(0.01)),
        prediction(&scheme, &[0.0, 0.0, 0.0], &[0.0, 0.0, 1.0, 0.0, 0.0], Some(0.01)),
        boilerplate(),
    ];
    let long = "a/very/long/path/of/folders/".repeat(4) + "示例.txt";
    vec![
        (Document::from_text("examples/karsk\u{7}.txt", text), predictions),
        (Document::from_text(long, "Share"), vec![boilerplate()]),
        (Document::from_text("empty", ""), vec![]),
    ]
}

fn without_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut in_escape = false;
    for character in text.chars() {
        match character {
            '\u{1b}' => in_escape = true,
            'm' if in_escape => in_escape = false,
            _ if in_escape => {}
            _ => plain.push(character),
        }
    }
    plain
}
