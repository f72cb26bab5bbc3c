//! Every format through the one reader, and what it says of bad input.

use std::io::Write;

use encoding_rs::{KOI8_U, UTF_16LE, WINDOWS_1251, WINDOWS_1252};

use super::*;

/// One line per item: `id: text {fields}`, or the message.
fn listing(name: &str, bytes: &[u8], options: &ReadOptions) -> Vec<String> {
    let show = |item: Result<Document>| match item {
        Ok(document) if document.fields().is_empty() => format!("{}: {}", document.id(), document.text()),
        Ok(document) => {
            let fields = serde_json::to_string(document.fields()).unwrap();
            format!("{}: {} {fields}", document.id(), document.text())
        }
        Err(error) => error.to_string(),
    };
    match read(Path::new(name), Box::new(Cursor::new(bytes.to_vec())), options) {
        Ok(documents) => documents.map(show).collect(),
        Err(error) => vec![error.to_string()],
    }
}

fn default(name: &str, bytes: &[u8]) -> Vec<String> {
    listing(name, bytes, &ReadOptions::default())
}

#[test]
fn file_names_and_beginnings_tell_the_format() {
    let names = [
        ("a.txt", Some(InputFormat::Text)),
        ("b/a.MD", Some(InputFormat::Markdown)),
        ("a.htm", Some(InputFormat::Html)),
        ("a.html.gz", Some(InputFormat::Html)),
        ("a.jsonl.zst", Some(InputFormat::JsonLines)),
        ("a.ndjson", Some(InputFormat::JsonLines)),
        ("a.csv", Some(InputFormat::Csv)),
        ("a.tsv.gz", Some(InputFormat::Tsv)),
        ("a.parquet", Some(InputFormat::Parquet)),
        ("<stdin>", None),
        ("a.gz", None),
        ("txt", None),
        ("..", None),
    ];
    for (name, expected) in names {
        assert_eq!(InputFormat::from_path(Path::new(name)), expected, "{name}");
    }
    let beginnings = [
        ("<!DOCTYPE html><p>a", InputFormat::Html),
        ("\u{feff}\n <html lang=de>", InputFormat::Html),
        ("{\"text\": \"a\"}\n{", InputFormat::JsonLines),
        ("\n\n{\"text\": \"a\"}", InputFormat::JsonLines),
        ("{\"text\": \"a long li", InputFormat::JsonLines),
        ("{einer in Klammern}", InputFormat::Text),
        ("<?xml version=\"1.0\"?>\n<!-- <p> -->\n<html xmlns=\"http://www.w3.org/1999/xhtml\">", InputFormat::Html),
        ("<head><title>a</title>", InputFormat::Html),
        ("<header>a</header>", InputFormat::Text),
        ("<!-- never closed", InputFormat::Text),
        ("{\n  \"text\": \"a\"\n}\n", InputFormat::JsonLines),
        ("[{\"text\": \"a\"}]", InputFormat::JsonLines),
        ("[\n  {\"text\": \"a long li", InputFormat::JsonLines),
        ("[\nAnmerkung der Redaktion]", InputFormat::Text),
        ("[1, 2]", InputFormat::Text),
        ("<p>a</p>", InputFormat::Text),
        ("", InputFormat::Text),
    ];
    for (beginning, expected) in beginnings {
        assert_eq!(InputFormat::sniff(beginning), expected, "{beginning:?}");
    }
}

#[test]
fn files_of_one_document_are_read() {
    let marked: Vec<u8> = "\u{feff}Grüße".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let page = "<html><meta charset=koi8-u><p>Перемовини відкладено</p></html>";
    let cases: &[(&str, &[u8], &str)] = &[
        ("a/b.txt", "\u{feff}Grüße\n".as_bytes(), "a/b.txt: Grüße\n"),
        ("<stdin>", &marked, "<stdin>: Grüße"),
        ("a.md", b"# Titel", "a.md: # Titel"),
        ("a.html", b"<title>T</title><h1>Kopf</h1><p>Text</p>", "a.html: Kopf\n\nText"),
        ("a.html", &KOI8_U.encode(page).0, "a.html: Перемовини відкладено"),
        ("<stdin>", b"<html><p>Text</p></html>", "<stdin>: Text"),
        ("a.txt", b"<html><p>Text</p></html>", "a.txt: <html><p>Text</p></html>"),
        ("a.txt", b"", "a.txt: the file is empty: there is nothing to classify"),
        ("a.txt", b" \n\t\xc2\xa0", "a.txt: the file holds no text: there is nothing to classify"),
        ("a.html", b"<html><script>x</script></html>", "a.html: the file holds no text: there is nothing to classify"),
        (
            "a.txt",
            b"\x89PNG\r\n\x1a\n",
            "a.txt: this is not text (PNG image); give plain text, Markdown, HTML, JSON Lines, CSV or TSV",
        ),
    ];
    for (name, bytes, expected) in cases {
        assert_eq!(default(name, bytes), [*expected], "{name} {bytes:?}");
    }
}

#[test]
fn json_lines_are_documents_and_bad_ones_are_reported() {
    let lines = concat!(
        "\u{feff}{\"id\": \"a\", \"text\": \"eins\", \"z\": 1, \"b\": [null]}\r\n",
        "\n",
        "{\"text\": \"zwei\", \"id\": 7}\n",
        "{\"text\": \"drei\", \"id\": null, \"url\": \"x\"}\n",
        "{\"text\": \"vier\n",
        "[1]\n",
        "{\"txt\": \"a\", \"id\": 1}\n",
        "{\"text\": null}\n",
        "{\"text\": 3.5}\n",
        "{\"text\": \" \\n\\u200b\"}\n",
        "{\"text\": \"\\ud800\"}\n",
        "{\"text\": \"letzte\"}",
    );
    let expected = [
        "n.jsonl: a: eins {\"z\":1,\"b\":[null]}",
        "7: zwei",
        "n.jsonl:4: drei {\"id\":null,\"url\":\"x\"}",
        "n.jsonl:5: this line is not valid JSON: ",
        "n.jsonl:6: this line is JSON, but not an object; JSON Lines wants one object a line",
        "n.jsonl:7: this record has no field \"text\"; the fields are [\"txt\", \"id\"]; name the text field with --text-field",
        "n.jsonl:8: the field \"text\" holds null, a string was expected",
        "n.jsonl:9: the field \"text\" holds a number, a string was expected",
        "n.jsonl:10: the text of this record is blank: there is nothing to classify",
        "n.jsonl:11: this line is not valid JSON: ",
        "n.jsonl:12: letzte",
    ];
    let found = default("n.jsonl", lines.as_bytes());
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        let expected = expected.strip_prefix("n.jsonl: a").map_or(expected.to_owned(), |rest| format!("a{rest}"));
        assert!(found.starts_with(&expected), "{found} is not {expected}");
    }
}

#[test]
fn bad_bytes_cost_one_line_only() {
    let mut lines = "{\"text\": \"größer\"}\n".repeat(3).into_bytes();
    let middle = lines.len() / 3;
    lines[middle + 12] = 0xfc;
    let found = default("n.jsonl", &lines);
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(
        found[1],
        "n.jsonl:2: this line is not valid UTF-8; convert the file to UTF-8, or name its encoding with --encoding"
    );
    let csv = b"id,text\n1,gr\xc3\xb6\xc3\x9fer\n2,gr\xf6\xc3\x9fer\n3,gut\n";
    let found = default("n.csv", csv);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[1].starts_with("n.csv:3: this line is not valid UTF-8"), "{}", found[1]);
    assert_eq!(found[2], "3: gut");
}

#[test]
fn tables_are_documents_and_bad_rows_are_reported() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "n.csv",
            "id,text,Datum\r\n1,\"eins, \"\"zwei\"\"\r\ndrei\",heute\r\n\r\n,vier,\r\n3,fünf\r\n4,sechs,a,b\r\n5, ,x\r\n6,sieben,y",
            &[
                "1: eins, \"zwei\"\r\ndrei {\"Datum\":\"heute\"}",
                "n.csv:5: vier {\"id\":\"\",\"Datum\":\"\"}",
                "n.csv:6: this row has 2 cells, the header has 3; quote cells that hold the delimiter or a line break",
                "n.csv:7: this row has 4 cells, the header has 3; quote cells that hold the delimiter or a line break",
                "n.csv:8: the text of this record is blank: there is nothing to classify",
                "6: sieben {\"Datum\":\"y\"}",
            ],
        ),
        ("n.csv", "Nr;text\n1;\"a, b\"\n2;c,d\n", &["n.csv:2: a, b {\"Nr\":\"1\"}", "n.csv:3: c,d {\"Nr\":\"2\"}"]),
        ("n.tsv", "text\tid\na, b; c\tx\n", &["x: a, b; c"]),
        ("n.csv", " text , x , x \na,b,c\n", &["n.csv:2: a {\"x\":\"b\",\"x.2\":\"c\"}"]),
        ("n.csv", "text\na\n\n \nb", &["n.csv:2: a", "n.csv:5: b"]),
        ("n.csv", "text\n", &[]),
        (
            "n.csv",
            "a,b\n1,2\n",
            &[
                "n.csv: there is no column \"text\"; the columns are [\"a\", \"b\"]; name the text column with --text-field",
            ],
        ),
        ("n.csv", "\n\n", &["n.csv: the file holds no text: there is nothing to classify"]),
        (
            "n.csv",
            "text\na\n\"offen\nbis zum Ende\n",
            &[
                "n.csv:2: a",
                "n.csv:3: a quote in this row is never closed, so that all that follows belongs to it; close it, or write a quote inside a quoted cell twice",
            ],
        ),
        ("n.csv", "text\n\"zu\"", &["n.csv:2: zu"]),
        ("n.csv", "text\ra\r\r\"b\rc\"\rd\r", &["n.csv:2: a", "n.csv:4: b\rc", "n.csv:6: d"]),
        ("n.csv", "text\r\na\r\n\r\nb\r\n", &["n.csv:2: a", "n.csv:4: b"]),
    ];
    for (name, text, expected) in cases {
        assert_eq!(default(name, text.as_bytes()), *expected, "{text:?}");
        let marked: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(default(name, &marked), *expected, "UTF-16: {text:?}");
    }
    let table = "id,text\n1,Переговоры о прекращении огня отложены на неделю\n2,Стороны обвинили друг друга\n";
    let expected = ["1: Переговоры о прекращении огня отложены на неделю", "2: Стороны обвинили друг друга"];
    assert_eq!(default("n.csv", &WINDOWS_1251.encode(table).0), expected);
}

#[test]
fn fields_can_be_named() {
    let options = |text: &str, id: &str| ReadOptions {
        text_field: text.to_owned(),
        id_field: Some(id.to_owned()),
        ..ReadOptions::default()
    };
    let json = b"{\"body\": \"a\", \"nr\": 1, \"id\": 2}\n{\"body\": \"b\", \"id\": 3}\n{\"body\": \"c\", \"nr\": [1]}";
    let found = listing("n.jsonl", json, &options("body", "nr"));
    assert_eq!(found[0], "1: a {\"id\":2}");
    assert!(
        found[1].starts_with(
            "n.jsonl:2: this record has no id in the field \"nr\": a string or a number was expected, nothing"
        ),
        "{}",
        found[1]
    );
    assert!(found[2].contains("a list was found"), "{}", found[2]);
    let long = br#"{"body": "a", "nr": 123456789012345678901, "id": 123456789012345678901}"#;
    let found = listing("n.jsonl", long, &options("body", "nr"));
    assert!(found[0].contains("a number that is not whole or has more than 64 bits was found"), "{}", found[0]);
    let without_id = ReadOptions { id_field: None, ..options("body", "") };
    assert!(listing("n.jsonl", long, &without_id)[0].starts_with("n.jsonl:1: a"));
    let found = listing("n.csv", b"body,nr\na,1\n", &options("body", "nr"));
    assert_eq!(found, ["1: a"]);
    let found = listing("n.csv", b"body,nr\na,1\n", &options("body", "key"));
    assert!(found[0].starts_with("n.csv: there is no column \"key\" for the ids; the columns are"), "{}", found[0]);
    let found = listing("n.jsonl", b"{\"text\": \"a\"}\n", &options("text", "text"));
    assert_eq!(found, ["a: a"]);
}

#[test]
fn encodings_can_be_named() {
    let options = |encoding| ReadOptions { encoding: Some(encoding), ..ReadOptions::default() };
    assert_eq!(listing("a.txt", b"\xe4\xf6", &options(WINDOWS_1252)), ["a.txt: äö"]);
    assert_eq!(listing("a.txt", b"\xe4\xf6", &options(WINDOWS_1251)), ["a.txt: дц"]);
    assert_eq!(listing("a.txt", b"a\0b\0", &options(UTF_16LE)), ["a.txt: ab"]);
    let found = listing("a.txt", b"\xe4\xf6", &options(UTF_8));
    assert!(found[0].starts_with("a.txt: invalid UTF-8 at byte 0; "), "{}", found[0]);
    assert_eq!(listing("a.csv", b"text\n\xe4\n", &options(WINDOWS_1252)), ["a.csv:2: ä"]);
}

#[test]
fn the_size_of_documents_is_limited() {
    let options = ReadOptions { max_document_bytes: 30, ..ReadOptions::default() };
    let long = "a".repeat(31);
    let cases = [
        (
            "a.txt",
            long.clone(),
            vec!["a.txt: the document has more than 30 bytes; split it, or raise --max-document-bytes".to_owned()],
        ),
        ("a.txt", "a".repeat(30), vec![format!("a.txt: {}", "a".repeat(30))]),
        (
            "a.jsonl",
            format!("{{\"text\":\"a\"}}\n{{\"text\":\"{long}\"}}\n{{\"text\":\"b\"}}"),
            vec![
                "a.jsonl:1: a".to_owned(),
                "a.jsonl:2: the record has more than 30 bytes; split it, or raise --max-document-bytes".to_owned(),
                "a.jsonl:3: b".to_owned(),
            ],
        ),
        (
            "a.csv",
            format!("text\na\n\"{long}\n{long}\"\nb\n"),
            vec![
                "a.csv:2: a".to_owned(),
                "a.csv:3: the record has more than 30 bytes; split it, or raise --max-document-bytes".to_owned(),
                "a.csv:5: b".to_owned(),
            ],
        ),
    ];
    for (name, text, expected) in cases {
        assert_eq!(listing(name, text.as_bytes(), &options), expected, "{name}");
    }
}

#[test]
fn compressed_files_are_read_and_good_records_come_before_the_damage() {
    let text =
        (0..20_000).map(|number| format!("{{\"id\": {number}, \"text\": \"Absatz {number}\"}}\n")).collect::<String>();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    let gzip = encoder.finish().unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    for (kind, bytes) in [("gzip", gzip), ("zstd", zstd)] {
        assert_eq!(default("a.jsonl", &bytes).len(), 20_000, "{kind}");
        assert_eq!(default("<stdin>", &bytes)[7], "7: Absatz 7", "{kind}");
        for share in [2, 3, 10] {
            let found = default("a.jsonl", &bytes[..bytes.len() - bytes.len() / share]);
            let (last, good) = found.split_last().unwrap();
            assert!(last.contains(&format!("the {kind} stream is damaged or cut short")), "{kind}: {last}");
            assert!(good.len() > 1000 && good[999] == "999: Absatz 999", "{kind}: {}", good.len());
        }
    }
}

#[test]
fn what_cannot_be_opened_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("absent.txt"), folder.path().to_path_buf()] {
        match open(&path, &ReadOptions::default()) {
            Err(Error::Read { path: found, .. }) => assert_eq!(found, path),
            other => panic!("{other:?}"),
        }
    }
    #[cfg(not(feature = "parquet"))]
    assert_eq!(
        default("a.parquet", b"PAR1"),
        ["a.parquet: this program was built without the feature \"parquet\", which Parquet files need"]
    );
}
