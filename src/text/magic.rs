//! Telling files that are no text by their first bytes.
//!
//! In: the beginning of a file. Out: what it is, in words for a message.

const PARQUET: &[u8] = b"PAR1";

/// First bytes, at which offset, and what they mean.
const MAGIC: &[(usize, &[u8], &str)] = &[
    (0, b"\x89PNG\r\n\x1a\n", "PNG image"),
    (0, b"\xff\xd8\xff", "JPEG image"),
    (0, b"GIF87a", "GIF image"),
    (0, b"GIF89a", "GIF image"),
    (8, b"WEBPVP8", "WebP image"),
    (0, b"II*\0", "TIFF image"),
    (0, b"MM\0*", "TIFF image"),
    (4, b"ftyp", "MP4, HEIC or AVIF file"),
    (0, b"%PDF-", "PDF document"),
    (0, b"{\\rtf", "RTF document"),
    (0, b"PK\x03\x04", "ZIP archive, or a Word, Excel, OpenDocument or EPUB file"),
    (0, b"PK\x05\x06", "ZIP archive"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Word, Excel or Outlook file"),
    (0, b"\x1f\x8b\x08", "gzip stream inside a compressed file"),
    (0, b"\x28\xb5\x2f\xfd", "zstd stream inside a compressed file"),
    (0, b"BZh", "bzip2 archive"),
    (0, b"\xfd7zXZ\0", "xz archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z archive"),
    (0, b"Rar!\x1a\x07", "RAR archive"),
    (0, b"\x04\x22\x4d\x18", "lz4 archive"),
    (257, b"ustar", "tar archive"),
    (0, b"\x7fELF", "ELF program"),
    (0, b"\xcf\xfa\xed\xfe", "Mach-O program"),
    (0, b"\xca\xfe\xba\xbe", "Java class or Mach-O program"),
    (0, b"\0asm", "WebAssembly program"),
    (0, b"SQLite format 3\0", "SQLite database"),
    (0, PARQUET, "Parquet file; name it .parquet, or give the format"),
    (0, b"ARROW1\0", "Arrow file"),
    (0, b"ID3", "MP3 audio"),
    (0, b"OggS", "Ogg audio or video"),
    (0, b"fLaC", "FLAC audio"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM video"),
    (0, b"wOFF", "WOFF font"),
    (0, b"wOF2", "WOFF font"),
    (0, b"\xff\xfe\0\0", "UTF-32 text; convert it to UTF-8"),
    (0, b"\0\0\xfe\xff", "UTF-32 text; convert it to UTF-8"),
];

/// The magic numbers that are letters: a text may begin with them, so they count only before a byte that is no text.
const LETTERS: &[&[u8]] = &[b"BZh", b"ID3", b"OggS", b"fLaC", b"wOFF", b"wOF2", PARQUET, b"ftyp", b"WEBPVP8", b"ustar"];

/// How far a byte that is no text is looked for behind a magic number made of letters, in bytes.
const LETTERS_REACH: usize = 512;

/// What kind of binary file begins with `prefix`, if it is known.
pub(crate) fn binary_kind(prefix: &[u8]) -> Option<&'static str> {
    MAGIC.iter().find(|(offset, magic, _)| is_at(prefix, *offset, magic)).map(|(_, _, kind)| *kind)
}

/// Whether `prefix` begins a Parquet file, and not a text that begins with the same letters.
pub(crate) fn is_parquet(prefix: &[u8]) -> bool {
    is_at(prefix, 0, PARQUET)
}

fn is_at(prefix: &[u8], offset: usize, magic: &[u8]) -> bool {
    if !prefix.get(offset..).is_some_and(|rest| rest.starts_with(magic)) {
        return false;
    }
    !LETTERS.contains(&magic) || prefix[..prefix.len().min(LETTERS_REACH)].iter().any(|&byte| is_control(byte))
}

/// Whether `byte` is a control character that no text holds: not tab, line feed, vertical tab, form feed, carriage
/// return, escape, nor the four separators.
pub(crate) fn is_control(byte: u8) -> bool {
    matches!(byte, 0..=8 | 14..=26 | 127)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_files_are_told_and_text_is_not() {
        let cases: &[(&[u8], Option<&str>)] = &[
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Some("PNG image")),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Some("JPEG image")),
            (b"%PDF-1.7\n%\xe2\xe3", Some("PDF document")),
            (b"PK\x03\x04\x14\0\x06\0", Some("ZIP archive, or a Word, Excel, OpenDocument or EPUB file")),
            (b"\x7fELF\x02\x01\x01\0", Some("ELF program")),
            (b"\0\0\0\x18ftypmp42", Some("MP4, HEIC or AVIF file")),
            (b"ID3\x03\0\0", Some("MP3 audio")),
            (b"ID3 ist ein Format.", None),
            (b"BZh ist ein K\xc3\xbcrzel.", None),
            (b"Der ftyp ist leer.", None),
            (b"PAR1 ist ein Name.", None),
            (b"PAR1\x15\x04", Some("Parquet file; name it .parquet, or give the format")),
            (b"PK", None),
            (b"", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(binary_kind(bytes), *expected, "{bytes:?}");
        }
    }
}
