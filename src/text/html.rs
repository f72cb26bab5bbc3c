//! HTML to text: the visible blocks of a page, one after another.
//!
//! In: HTML. Out: text in which each block (heading, paragraph, caption, list item, quotation, table row …) is one run of
//! lines and blocks are separated by a blank line. Inside a block white space is collapsed and `<br>` is a line break.
//!
//! Extraction crates that look for "the article" (readability) drop headlines, captions and short pages, so this walks
//! the parsed page itself: what is invisible (scripts, styles, templates, `hidden`, closed dialogs, form controls) and
//! what is navigation (`nav`, page footers, menus) is left out; all the rest stays, boilerplate or not, because the
//! classifier labels boilerplate. What looks hidden but holds the article is kept: pages are saved with a consent layer
//! open that hides everything behind it. A page of which nothing is left is read once more with only scripts and styles
//! left out.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use dom_query::{Element, NodeData, NodeId, NodeRef};

use crate::text::html::parse::parse;
use crate::text::space;

/// Length above which a table cell is a block of its own, in characters. Shorter cells are data and make one block with
/// their row; longer ones are text, often in tables that only place things.
const CELL_BLOCK_CHARS: usize = 80;

/// Elements whose content is never text of the page.
const NEVER_TEXT: &[&str] = &[
    "script", "style", "noscript", "template", "head", "title", "svg", "math", "iframe", "object", "embed", "applet",
    "audio", "video", "canvas", "map", "button", "select", "datalist", "textarea", "input", "meter", "progress", "rp",
    "rt", "noframes", "noembed", "frameset",
];

/// Elements that begin and end a block.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "html",
    "legend",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "search",
    "section",
    "summary",
    "table",
    "tbody",
    "tfoot",
    "thead",
    "tr",
    "ul",
];

/// ARIA roles of navigation.
const NAVIGATION_ROLES: &[&str] = &["navigation", "menu", "menubar", "search", "toolbar", "tablist"];

/// Length from which a part of the page's title is looked for in the text, in characters; shorter ones ("News") occur anywhere.
const TITLE_PART_CHARS: usize = 12;

/// What stands between headline and site in titles.
const TITLE_SEPARATORS: &[&str] = &[" | ", " - ", " – ", " — ", " :: ", " · ", " » "];

/// The text of a page.
pub(crate) fn extract(html: &str) -> String {
    let page = parse(&with_closed_elements(html));
    let title = page.select_single("head title").text().to_string();
    let holds_article = articles(&page.root());
    let visible = Walk::new(&holds_article, false).run(page.root());
    let blocks = if visible.out.is_empty() { Walk::new(&holds_article, true).run(page.root()) } else { visible };
    with_title(&space::joined(&title), blocks)
}

/// Elements whose content is no markup: for a parser of HTML they go on to their end tag, even where XML has closed them.
const RAW_ELEMENTS: [&str; 6] = ["script", "style", "title", "iframe", "textarea", "noframes"];

/// XHTML with an end tag where such an element closes itself (`<script src="a.js"/>`); other pages as they are.
fn with_closed_elements(page: &str) -> Cow<'_, str> {
    let beginning = &page[..page.floor_char_boundary(1000)];
    if !beginning.trim_start().starts_with("<?xml") && !beginning.contains("//www.w3.org/1999/xhtml") {
        return Cow::Borrowed(page);
    }
    let (mut closed, mut rest) = (String::with_capacity(page.len()), page);
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        closed.push_str(before);
        let name = RAW_ELEMENTS.into_iter().find(|name| {
            tag[1..].get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name))
                && !tag[1 + name.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '-')
        });
        let length = if name.is_some() { tag_length(tag) } else { 1 };
        let (tag, after) = tag.split_at(length);
        match (name, tag.strip_suffix("/>")) {
            (Some(name), Some(open)) => closed.extend([open, "></", name, ">"]),
            _ => closed.push_str(tag),
        }
        rest = after;
    }
    closed.push_str(rest);
    Cow::Owned(closed)
}

/// Bytes to the end of the tag that `markup` begins with; `>` in quoted values does not end it.
fn tag_length(markup: &str) -> usize {
    let mut quote = None;
    for (place, byte) in markup.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return place + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    markup.len()
}

/// Puts the page's title before the blocks if none of them says the same.
fn with_title(title: &str, blocks: Blocks) -> String {
    let is_said = blocks.has_headline || blocks.out.contains(longest_part(title));
    if is_said || space::is_blank(title) {
        return blocks.out;
    }
    if blocks.out.is_empty() { title.to_owned() } else { format!("{title}\n\n{}", blocks.out) }
}

/// The longest part of a title, which is the headline rather than the site; all of it if the part is short.
fn longest_part(title: &str) -> &str {
    let mut parts = vec![title];
    for separator in TITLE_SEPARATORS {
        parts = parts.into_iter().flat_map(|part| part.split(separator)).collect();
    }
    let length = |part: &&str| part.chars().count();
    parts.into_iter().max_by_key(length).filter(|part| length(part) >= TITLE_PART_CHARS).unwrap_or(title)
}

/// The nodes that are an article or hold one.
fn articles(root: &NodeRef<'_>) -> HashSet<NodeId> {
    let mut holders = HashSet::new();
    for node in root.descendants_it() {
        let is_article = node.query_or(false, |node| match node.as_element() {
            Some(element) => {
                matches!(&*element.name.local, "article" | "main")
                    || attribute(element, "itemprop") == Some("articleBody")
            }
            None => false,
        });
        let mut next = is_article.then_some(node);
        while let Some(node) = next {
            next = if holders.insert(node.id) { node.parent() } else { None };
        }
    }
    holders
}

/// How an element takes part in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Skipped,
    Inline,
    Break,
    Block,
    Heading,
    Cell,
    Preformatted,
    Quotation,
}

/// One way through a page, node by node; no recursion, pages can be nested as deep as they like.
struct Walk<'p> {
    holds_article: &'p HashSet<NodeId>,
    keeps_hidden: bool,
    /// Articles, main parts and quotations around the current node: there a footer belongs to the text.
    articles_around: usize,
    preformatted_around: usize,
    /// For each open table cell: where it begins in the line, and how many blocks were written before it.
    cells: Vec<(usize, usize)>,
    blocks: Blocks,
}

impl<'p> Walk<'p> {
    fn new(holds_article: &'p HashSet<NodeId>, keeps_hidden: bool) -> Self {
        Self {
            holds_article,
            keeps_hidden,
            articles_around: 0,
            preformatted_around: 0,
            cells: Vec::new(),
            blocks: Blocks::default(),
        }
    }

    fn run(mut self, root: NodeRef<'_>) -> Blocks {
        let mut node = root;
        loop {
            let role = self.role(&node);
            self.enter(&node, role);
            if role != Role::Skipped
                && let Some(child) = node.first_child()
            {
                node = child;
                continue;
            }
            self.leave(&node, role);
            loop {
                if node.id == root.id {
                    self.blocks.end();
                    return self.blocks;
                }
                if let Some(sibling) = node.next_sibling() {
                    node = sibling;
                    break;
                }
                let Some(parent) = node.parent() else {
                    self.blocks.end();
                    return self.blocks;
                };
                node = parent;
                let role = self.role(&node);
                self.leave(&node, role);
            }
        }
    }

    fn role(&self, node: &NodeRef<'_>) -> Role {
        let role = node.query_or(Role::Inline, |node| match &node.data {
            NodeData::Element(element) => self.element_role(element),
            NodeData::Comment { .. } | NodeData::Doctype { .. } | NodeData::ProcessingInstruction { .. } => {
                Role::Skipped
            }
            _ => Role::Inline,
        });
        let is_kept = role == Role::Skipped && self.holds_article.contains(&node.id);
        if is_kept { Role::Block } else { role }
    }

    fn element_role(&self, element: &Element) -> Role {
        let name: &str = &element.name.local;
        if NEVER_TEXT.contains(&name) {
            return Role::Skipped;
        }
        let is_block = BLOCKS.contains(&name);
        if !self.keeps_hidden && !matches!(name, "html" | "body") && self.is_left_out(element, is_block) {
            return Role::Skipped;
        }
        match name {
            "br" => Role::Break,
            "td" | "th" => Role::Cell,
            "pre" | "listing" | "xmp" => Role::Preformatted,
            "q" => Role::Quotation,
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => Role::Heading,
            _ if is_block => Role::Block,
            _ => Role::Inline,
        }
    }

    fn is_left_out(&self, element: &Element, is_block: bool) -> bool {
        let name: &str = &element.name.local;
        let is_hidden = attribute(element, "hidden").is_some()
            || name == "dialog" && attribute(element, "open").is_none()
            // Inline elements with this attribute are shown: drop caps, decorated letters.
            || is_block && attribute(element, "aria-hidden") == Some("true")
            || attribute(element, "style").is_some_and(hides);
        let role = attribute(element, "role");
        let is_navigation = name == "nav"
            || role.is_some_and(|role| NAVIGATION_ROLES.contains(&role))
            || self.articles_around == 0 && (name == "footer" || role == Some("contentinfo"));
        is_hidden || is_navigation
    }

    fn enter(&mut self, node: &NodeRef<'_>, role: Role) {
        match role {
            Role::Skipped => {}
            Role::Break => self.blocks.line_break(),
            Role::Block | Role::Heading => {
                self.blocks.end();
                self.articles_around += usize::from(is_article_part(node));
            }
            Role::Preformatted => {
                self.blocks.end();
                self.preformatted_around += 1;
            }
            Role::Cell => {
                self.blocks.space();
                self.cells.push((self.blocks.line.len(), self.blocks.cleared));
            }
            Role::Quotation => self.blocks.text("“"),
            Role::Inline => {
                let is_preformatted = self.preformatted_around > 0;
                node.query(|node| {
                    if let NodeData::Text { contents } = &node.data {
                        if is_preformatted { self.blocks.lines(contents) } else { self.blocks.text(contents) }
                    }
                });
            }
        }
    }

    fn leave(&mut self, node: &NodeRef<'_>, role: Role) {
        match role {
            Role::Block => {
                self.blocks.end();
                self.articles_around -= usize::from(is_article_part(node));
            }
            Role::Heading => {
                let is_headline = node.has_name("h1") && !space::is_blank(&self.blocks.line);
                self.blocks.end_heading();
                self.blocks.has_headline |= is_headline;
            }
            Role::Preformatted => {
                self.blocks.end();
                self.preformatted_around -= 1;
            }
            Role::Cell => {
                if let Some((start, cleared)) = self.cells.pop() {
                    self.blocks.end_cell(start, cleared);
                }
            }
            Role::Quotation => self.blocks.text("”"),
            Role::Skipped | Role::Inline | Role::Break => {}
        }
    }
}

fn is_article_part(node: &NodeRef<'_>) -> bool {
    ["article", "main", "blockquote", "figure"].iter().any(|name| node.has_name(name))
}

fn attribute<'e>(element: &'e Element, name: &str) -> Option<&'e str> {
    element.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
}

/// Whether a `style` attribute makes its element invisible.
fn hides(style: &str) -> bool {
    let style: String = style.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    style.split(';').any(|rule| {
        let rule = rule.trim_end_matches("!important");
        rule == "display:none" || rule == "visibility:hidden"
    })
}

/// The blocks found so far, and the one that is being put together.
#[derive(Default)]
struct Blocks {
    out: String,
    line: String,
    last: Range<usize>,
    /// How often `line` was emptied, so that a place in it is known to be stale.
    cleared: usize,
    is_space_due: bool,
    has_headline: bool,
}

impl Blocks {
    /// Adds text; white space becomes one space.
    fn text(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() || c.is_control() {
                self.space();
            } else {
                if std::mem::take(&mut self.is_space_due) {
                    self.line.push(' ');
                }
                self.line.push(c);
            }
        }
    }

    /// Adds text whose line breaks are kept.
    fn lines(&mut self, text: &str) {
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.line_break();
            }
            self.text(line);
        }
    }

    fn space(&mut self) {
        self.is_space_due = !(self.line.is_empty() || self.line.ends_with('\n'));
    }

    /// Ends the line; an empty line ends the block.
    fn line_break(&mut self) {
        self.is_space_due = false;
        if self.line.ends_with('\n') {
            self.end();
        } else if !self.line.is_empty() {
            self.line.push('\n');
        }
    }

    fn end(&mut self) {
        self.is_space_due = false;
        let block = self.line.trim_matches(space::is_space);
        if !space::is_blank(block) {
            if !self.out.is_empty() {
                self.out.push_str("\n\n");
            }
            let start = self.out.len();
            self.out.push_str(block);
            self.last = start..self.out.len();
        }
        self.clear();
    }

    fn clear(&mut self) {
        self.cleared += usize::from(!self.line.is_empty());
        self.line.clear();
    }

    /// Ends a heading, unless the block before says the same (pages repeat headlines for narrow screens).
    fn end_heading(&mut self) {
        if self.line.trim_matches(space::is_space) == &self.out[self.last.clone()] {
            self.clear();
        }
        self.end();
    }

    /// Ends a cell that began at `start` of the line, which had been cleared so many times.
    fn end_cell(&mut self, start: usize, cleared: usize) {
        if self.cleared != cleared {
            self.end();
        } else if self.line.len() > start && self.line[start..].chars().count() > CELL_BLOCK_CHARS {
            let cell = self.line.split_off(start);
            self.end();
            self.line = cell;
            self.end();
        }
    }
}

mod attributes;
mod parse;
#[cfg(test)]
mod tests;
