//! A text with a name: the unit of reading. Its paragraphs are the unit that is labelled.
//!
//! In: decoded text, HTML or bytes. Out: [`Document`], whose text all byte ranges refer to.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::text::decode;
use crate::text::html;
use crate::text::paragraph::{self, Layout, Paragraph};

/// A text, its id, and whatever other fields came with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    id: String,
    text: String,
    layout: Layout,
    fields: serde_json::Map<String, serde_json::Value>,
}

impl Document {
    /// A document of decoded text.
    pub fn from_text(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self { id: id.into(), text: text.into(), layout: Layout::Plain, fields: serde_json::Map::new() }
    }

    /// The text of an HTML page: its visible blocks (headings, paragraphs, captions, list items, table rows …) without
    /// scripts, navigation and what is hidden, separated by blank lines. Each block is one paragraph.
    ///
    /// ```
    /// use detente::text::Document;
    ///
    /// let page = "<h1>Gespräche</h1><script>track()</script><p>Die Delegationen<br>reisten ab.</p>";
    /// let document = Document::from_html("page.html", page);
    /// assert_eq!(document.text(), "Gespräche\n\nDie Delegationen\nreisten ab.");
    /// assert_eq!(document.paragraphs().count(), 2);
    /// ```
    pub fn from_html(id: impl Into<String>, html: &str) -> Self {
        Self { layout: Layout::Blocks, ..Self::from_text(id, html::extract(html)) }
    }

    /// A document of encoded text: the encoding is detected and a byte order mark dropped.
    ///
    /// Valid UTF-8 is UTF-8; UTF-16 is known by its mark or by the places of its NUL bytes; other bytes go to the
    /// detector of Firefox. HTML is not extracted and nothing is decompressed, [`crate::text::read`] does that.
    ///
    /// ```
    /// use detente::text::Document;
    ///
    /// let document = Document::from_bytes("a.txt", b"\xEF\xBB\xBFGr\xC3\xBC\xC3\x9Fe")?;
    /// assert_eq!(document.text(), "Grüße");
    /// # Ok::<(), detente::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Input`] if the bytes are no text, or UTF-8 or UTF-16 with invalid bytes.
    pub fn from_bytes(id: impl Into<String>, bytes: &[u8]) -> Result<Self> {
        let id = id.into();
        match decode::decode(bytes, None) {
            Ok(text) => Ok(Self::from_text(id, text)),
            Err(what) => Err(Error::Input { path: PathBuf::from(id), what }),
        }
    }

    /// The same document with the other columns or fields of the record it was read from.
    #[must_use]
    pub fn with_fields(mut self, fields: serde_json::Map<String, serde_json::Value>) -> Self {
        self.fields = fields;
        self
    }

    /// The path as it was given, or the record's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The decoded text that all byte ranges refer to.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The other columns or fields of the record, in their order.
    pub fn fields(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.fields
    }

    /// The paragraphs, in order; never blank, never overlapping, only white space between them. The rule, with
    /// examples, is described at [`Paragraph`].
    pub fn paragraphs(&self) -> impl Iterator<Item = Paragraph<'_>> {
        paragraph::split(&self.text, self.layout)
    }
}
