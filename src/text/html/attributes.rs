//! How many attributes a tag has.
//!
//! In: a page in pieces, and whether each gave the tokenizer a token. Out: where a tag must end, since it has too many.
//!
//! Only the tokenizer knows whether it is in a tag: what looks like one may stand in a comment, a script or a value. Where
//! there was no token for long, and much that might separate attributes, it is asked once, by a NUL, which it does not like and
//! says where it stood. From there on attributes are counted as it reads them (WHATWG HTML, 13.2.5.32 to 13.2.5.40). In a
//! name or value the NUL becomes U+FFFD, in attributes that nobody reads.

/// Attributes, and what might separate as many, after which a tag is looked at; and attributes that it then may have still.
pub(crate) const ATTRIBUTE_LIMIT: usize = 1000;

/// What is to be done after a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing.
    Go,
    /// Feed a NUL and give what the tokenizer says to [`TagWatch::answer`].
    Ask,
    /// Feed `>`.
    End,
}

/// Where the tokenizer is within a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Between,
    Name,
    AfterName,
    BeforeValue,
    Unquoted,
    Quoted(u8),
}

/// A tag of which is known where the tokenizer is.
#[derive(Debug)]
struct OpenTag {
    place: Place,
    attributes: usize,
}

/// Looks at the bytes of a page before the tokenizer does.
#[derive(Debug, Default)]
pub(crate) struct TagWatch {
    /// Runs of what might separate attributes since the last token.
    runs: usize,
    is_in_run: bool,
    tag: Option<OpenTag>,
}

impl TagWatch {
    /// How much of a text the tokenizer may be given at once, and what is to be done then.
    pub(crate) fn advance(&mut self, text: &str) -> (usize, Next) {
        for (at, byte) in text.bytes().enumerate() {
            let next = self.step(byte);
            if next != Next::Go {
                return (at + 1, next);
            }
        }
        (text.len(), Next::Go)
    }

    /// After a piece that gave a token.
    pub(crate) fn token(&mut self, piece: &str) {
        *self = Self::default();
        for byte in piece.bytes() {
            self.count(byte);
        }
    }

    /// Takes what the tokenizer says of a NUL.
    pub(crate) fn answer(&mut self, error: Option<&str>) {
        let state = error.and_then(|error| error.rsplit_once(" in state ")).map(|(_, state)| state);
        let place = match state {
            Some("BeforeAttributeName" | "AttributeName" | "AfterAttributeName") => Some(Place::Name),
            Some("AttributeValue(Unquoted)") => Some(Place::Unquoted),
            Some("AttributeValue(DoubleQuoted)") => Some(Place::Quoted(b'"')),
            Some("AttributeValue(SingleQuoted)") => Some(Place::Quoted(b'\'')),
            _ => None,
        };
        *self = Self { tag: place.map(|place| OpenTag { place, attributes: 0 }), ..Self::default() };
    }

    fn step(&mut self, byte: u8) -> Next {
        let Some(tag) = &mut self.tag else {
            self.count(byte);
            return if self.runs > ATTRIBUTE_LIMIT { Next::Ask } else { Next::Go };
        };
        let is_over = !tag.step(byte);
        let is_full = matches!(tag.place, Place::Between | Place::AfterName) && tag.attributes >= ATTRIBUTE_LIMIT;
        if is_over || is_full {
            *self = Self::default();
        }
        if is_full && !is_over { Next::End } else { Next::Go }
    }

    fn count(&mut self, byte: u8) {
        let separates = is_space(byte) || matches!(byte, b'/' | b'"' | b'\'');
        self.runs += usize::from(separates && !self.is_in_run);
        self.is_in_run = separates;
    }
}

impl OpenTag {
    /// Whether the tag goes on after this byte.
    fn step(&mut self, byte: u8) -> bool {
        self.place = match (self.place, byte) {
            (Place::Quoted(quote), _) if quote == byte => Place::Between,
            (Place::Quoted(_), _) => self.place,
            (_, b'>') => return false,
            (Place::BeforeValue, b'"' | b'\'') => Place::Quoted(byte),
            (Place::BeforeValue, _) if is_space(byte) => Place::BeforeValue,
            (Place::BeforeValue, _) => Place::Unquoted,
            (Place::Unquoted, _) if is_space(byte) => Place::Between,
            (Place::Unquoted, _) => Place::Unquoted,
            (_, b'/') => Place::Between,
            (Place::Name | Place::AfterName, b'=') => Place::BeforeValue,
            (Place::Name | Place::AfterName, _) if is_space(byte) => Place::AfterName,
            (Place::Between, _) if is_space(byte) => Place::Between,
            (Place::Name, _) => Place::Name,
            (Place::Between | Place::AfterName, _) => {
                self.attributes += 1;
                Place::Name
            }
        };
        true
    }
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace()
}
