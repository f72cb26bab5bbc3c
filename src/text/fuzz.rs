//! Nothing panics on any bytes: seeded noise through every reader, and the guarantees of what comes out.

use std::io::Cursor;
use std::path::Path;

use crate::text::space::is_visible;
use crate::text::{Document, InputFormat, ReadOptions, detect_language, joined, read};

/// Rounds of each test; a second or two.
const ROUNDS: usize = 3000;

/// Pieces that readers trip over.
const PIECES: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"\"",
    b"\"\"",
    b",",
    b";",
    b"\t",
    b"{",
    b"}",
    b"{\"text\":",
    b"\"a\"",
    b"[",
    b"null",
    b"\\u",
    b"\\ud800",
    b"<",
    b">",
    b"<p>",
    b"</p>",
    b"<br>",
    b"<table><tr><td>",
    b"</td>",
    b"</td><td>",
    b"&#8203;",
    b"<script>",
    b"<!--",
    b"<![CDATA[",
    b"&amp;",
    b"&#0;",
    b"&#x110000;",
    b"<title>",
    b"<h1>",
    b"<pre>",
    b"<q>",
    b"<svg><title>",
    b"<template>",
    b"<a href='",
    b"<meta charset=",
    b"utf-16",
    b"text",
    b"id",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\x1f\x8b\x08",
    b"\x28\xb5\x2f\xfd",
    b"PAR1",
    b"\xe4\xb8",
    b"\xc3",
    b"\xf0\x9f\x99",
    b"\xed\xa0\x80",
    b"\xcf\xf0\xe8\xe2\xe5\xf2",
    "Gespräche".as_bytes(),
    "停火".as_bytes(),
    "سلام".as_bytes(),
    b"\xe2\x80\xa8",
    b"\xe2\x80\x8b",
    b"\xc2\xad",
    b"- ",
    b"# ",
    b"---",
];

struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64*, Vigna 2016.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = match self.below(4) {
            0 => b"text,id\n".to_vec(),
            1 => b"{\"text\": \"a\"}\n".to_vec(),
            _ => Vec::new(),
        };
        for _ in 0..self.below(40) {
            match self.below(6) {
                0 => bytes.push(self.below(256) as u8),
                _ => bytes.extend_from_slice(PIECES[self.below(PIECES.len())]),
            }
        }
        bytes.truncate(bytes.len().saturating_sub(self.below(3)));
        bytes
    }
}

fn check(document: &Document, case: &str) {
    let mut end = 0;
    for paragraph in document.paragraphs() {
        let range = paragraph.byte_range();
        assert!(range.start >= end && document.text().get(range.clone()) == Some(paragraph.text()), "{case}");
        assert!(paragraph.text().contains(is_visible), "{case}");
        assert!(!joined(paragraph.text()).is_empty(), "{case}");
        detect_language(paragraph.text());
        end = range.end;
    }
}

#[test]
fn any_bytes_are_read_or_refused() {
    let mut noise = Noise(3);
    let formats = [
        None,
        Some(InputFormat::Text),
        Some(InputFormat::Html),
        Some(InputFormat::JsonLines),
        Some(InputFormat::Csv),
        Some(InputFormat::Tsv),
        Some(InputFormat::Parquet),
    ];
    let encodings =
        [None, None, None, Some(encoding_rs::UTF_16BE), Some(encoding_rs::GB18030), Some(encoding_rs::ISO_2022_JP)];
    for round in 0..ROUNDS {
        let bytes = noise.bytes();
        let case = format!("round {round}: {bytes:?}");
        if let Ok(document) = Document::from_bytes("", &bytes) {
            check(&document, &case);
        }
        check(&Document::from_html("", &String::from_utf8_lossy(&bytes)), &case);
        for format in formats {
            let encoding = encodings[noise.below(encodings.len())];
            let limit = [1 << 20, 40][noise.below(2)];
            let options = ReadOptions { format, encoding, max_document_bytes: limit, ..ReadOptions::default() };
            let Ok(documents) = read(Path::new("a"), Box::new(Cursor::new(bytes.clone())), &options) else { continue };
            let mut items = 0;
            for item in documents {
                items += 1;
                assert!(items <= bytes.len() + 2, "endless: {case}");
                if let Ok(document) = item {
                    check(&document, &case);
                    assert!(document.text().contains(is_visible), "{case}");
                }
            }
        }
    }
}
