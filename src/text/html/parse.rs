//! HTML to a tree, in time and memory that are linear in the page.
//!
//! In: HTML of any kind. Out: its tree.
//!
//! The algorithm of the standard repeats itself without bound on three kinds of pages. For all others the tree is the
//! standard's, but for the attributes that nobody reads; formatting elements that differ in these alone count as alike.
//!
//! - Formatting elements (`b`, `a`, `font` …) that were left open are opened again in each paragraph that follows: n of
//!   them and n paragraphs make n² nodes. A tree that has [`SPARE_NODES`] more nodes than the page has bytes is given up,
//!   and the page is read once more with other elements in their place, which show their text in the same way and are
//!   not opened again. Then no tag makes more nodes than it has bytes.
//! - Most tags look through the open elements: n of them take n² steps. Beyond [`OPEN_LIMIT`], an element ends where it
//!   begins, and what it holds follows it. All text is kept, and blocks still begin where they did; what should have
//!   hidden text so deep in a page does not. Together with the formatting elements to be opened again there are never more
//!   than some 800, and each byte of the page, and each node, costs a constant number of looks at them at most.
//! - Each attribute is compared with those before it in its tag, so a tag has at most some 2,000 ([`attributes`]).
//!
//! What is left that is not linear: elements of millions of different names, seconds for 10 MB of them.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use dom_query::{Document, NodeId};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, EndTag, Tag, TagToken, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use html5ever::tree_builder::{Tracer, TreeBuilder, TreeBuilderOpts};
use html5ever::{Attribute, LocalName, TokenizerResult, local_name};

use crate::text::html::attributes::{Next, TagWatch};
use crate::text::html::hides;

/// Elements that may be open at once, as in Chromium (`kMaximumHTMLParserDOMTreeDepth`). Pages have some 30, seldom 100.
pub(crate) const OPEN_LIMIT: usize = 512;

/// Elements that may be open at once where one more would be within a line. Pages that close none of them have room
/// for their blocks and tables still.
const INLINE_LIMIT: usize = 256;

/// The most bytes that the tokenizer is given at once.
const PIECE_BYTES: usize = 1024;

/// Nodes that a tree may have beside one for each byte of its page before it is given up.
const SPARE_NODES: usize = 10_000;

/// The attributes that tell what is text, and those by which the tree builder tells where drawings and formulas end.
const ATTRIBUTES: &[&str] =
    &["aria-hidden", "color", "encoding", "face", "hidden", "itemprop", "open", "role", "size", "style", "type"];

/// Longer values of these attributes say nothing.
const VALUE_BYTES: usize = 256;

/// The tree of a page.
pub(crate) fn parse(html: &str) -> Document {
    let mut is_reopening = true;
    loop {
        match build(html, is_reopening) {
            Some(tree) => return tree,
            None => is_reopening = false,
        }
    }
}

/// The tree of a page, unless it grows too large because formatting elements are opened again.
fn build(html: &str, is_reopening: bool) -> Option<Document> {
    let options = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    let builder = TreeBuilder::new(Document::default(), options);
    let tree = BoundedTree { builder, is_reopening, has_token: Cell::new(false), error: RefCell::default() };
    let tokenizer = Tokenizer::new(tree, TokenizerOpts::default());
    let input = BufferQueue::default();
    let feed = |piece: &str| {
        input.push_back(StrTendril::from(piece));
        // It stops at the end of each script, which a browser would run.
        while !matches!(tokenizer.feed(&input), TokenizerResult::Done) {}
    };
    let sink = &tokenizer.sink;
    let (mut rest, mut watch) = (html, TagWatch::default());
    while !rest.is_empty() {
        let (length, next) = watch.advance(&rest[..rest.floor_char_boundary(PIECE_BYTES)]);
        let (piece, after) = rest.split_at(length);
        sink.has_token.set(false);
        feed(piece);
        rest = after;
        match next {
            _ if sink.has_token.get() => watch.token(piece),
            Next::Go => {}
            Next::Ask => {
                sink.error.take();
                feed("\0");
                watch.answer(sink.error.take().as_deref());
            }
            Next::End => feed(">"),
        }
        if is_reopening && sink.builder.sink.tree.len() > html.len() + SPARE_NODES {
            return None;
        }
    }
    tokenizer.end();
    Some(tokenizer.sink.builder.sink)
}

/// A tree builder that has only so many elements open.
struct BoundedTree {
    builder: TreeBuilder<NodeId, Document>,
    /// Whether formatting elements are what they are.
    is_reopening: bool,
    /// Whether there was a token since this was last unset.
    has_token: Cell<bool>,
    /// What the tokenizer said of its input the last time that it did not like it.
    error: RefCell<Option<Cow<'static, str>>>,
}

impl TokenSink for BoundedTree {
    type Handle = NodeId;

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<NodeId> {
        if let Token::ParseError(error) = token {
            *self.error.borrow_mut() = Some(error);
            return TokenSinkResult::Continue;
        }
        self.has_token.set(true);
        match token {
            TagToken(mut tag) => {
                tag.attrs.retain_mut(keep);
                if !self.is_reopening {
                    tag.name = plain(tag.name);
                }
                self.tag(tag, line)
            }
            token => self.builder.process_token(token, line),
        }
    }

    fn end(&self) {
        self.builder.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.builder.adjusted_current_node_present_but_not_in_html_namespace()
    }
}

impl BoundedTree {
    fn tag(&self, tag: Tag, line: u64) -> TokenSinkResult<NodeId> {
        let open = self.open();
        let is_inline = matches!(&*plain(tag.name.clone()), "ins" | "span" | "var");
        if tag.kind == EndTag || open < if is_inline { INLINE_LIMIT } else { OPEN_LIMIT } || self.is_in_table(&tag) {
            return self.builder.process_token(TagToken(tag), line);
        }
        let end = Tag { kind: EndTag, name: tag.name.clone(), self_closing: false, attrs: Vec::new(), ..tag };
        let result = self.builder.process_token(TagToken(tag), line);
        // An element of raw text ends by itself, since its content is no markup.
        if result != TokenSinkResult::Continue || self.open() <= open {
            return result;
        }
        self.builder.process_token(TagToken(end), line)
    }

    /// Open elements, formatting elements to be opened again, and at most three that the tree builder keeps in mind
    /// besides.
    fn open(&self) -> usize {
        let count = Count(Cell::new(0));
        self.builder.trace_handles(&count);
        count.0.get()
    }

    /// Whether a tag opens a part of a table. These are not nested but in another table.
    fn is_in_table(&self, tag: &Tag) -> bool {
        let is_part = matches!(&*tag.name, "caption" | "colgroup" | "thead" | "tbody" | "tfoot" | "tr" | "th" | "td");
        is_part && !self.adjusted_current_node_present_but_not_in_html_namespace()
    }
}

/// Counts what a tree builder keeps in mind.
struct Count(Cell<usize>);

impl Tracer for Count {
    type Handle = NodeId;

    fn trace_handle(&self, _: &NodeId) {
        self.0.set(self.0.get() + 1);
    }
}

/// A formatting element as one that is not opened again, is shown in the same way and, for a parser, ends what it ends.
fn plain(name: LocalName) -> LocalName {
    match &*name {
        "b" | "big" | "code" | "em" | "i" | "nobr" | "s" | "small" | "strike" | "strong" | "tt" | "u" => {
            local_name!("var")
        }
        // Drawings have elements of these names too, so that they do not end drawings.
        "a" | "font" => local_name!("ins"),
        _ => name,
    }
}

/// Whether an attribute is read, with a short value. The tree builder copies them, and the walk reads them of each copy.
fn keep(attribute: &mut Attribute) -> bool {
    let name: &str = &attribute.name.local;
    if name == "style" {
        let is_kept = hides(&attribute.value);
        attribute.value = "display:none".into();
        return is_kept;
    }
    if attribute.value.len() > VALUE_BYTES {
        attribute.value.clear();
    }
    ATTRIBUTES.contains(&name)
}
