//! The table by paragraph: a heading for each document, a row a paragraph, two lines of summary.

use std::io::{self, Write};
use std::sync::Arc;

use crate::explain::{Explanation, Target};
use crate::label::Scheme;
use crate::output::number::{signed_code, signed_mean};
use crate::output::table::cell::{clean, cut, cut_start, pad, width, wrap, wrap_cleaned};
use crate::output::table::gauge::{BOLD, DIM, gauge, gauge_width, paint};

use crate::output::table::{INDENT, MAX_WIDTH, MIN_WIDTH, ONE_LINE_WIDTH, TableOptions, TopicColumn, legend};
use crate::output::{DocumentRecord, LEAST_WEIGHT, ParagraphRecord, RecordWriter, Summary, WriterOptions};
use crate::text::Language;

/// What stands for the topics of boilerplate.
const BOILERPLATE: &str = "boilerplate";
/// Columns that a word or phrase of an explanation takes at most.
const PART_WIDTH: usize = 24;
/// Parts that are shown of an explanation, for each label.
const SHOWN_PARTS: usize = 6;
/// Columns of a paragraph's number, `#` included: the numbers of most documents, so that rows align.
const NUMBER: usize = 4;

/// Writes the table by paragraph.
pub(crate) struct ParagraphTable<W> {
    out: W,
    scheme: Arc<Scheme>,
    options: TableOptions,
    topics: TopicColumn,
    topics_width: usize,
    documents: usize,
    in_document: bool,
    not_validated: usize,
}

impl<W: Write> ParagraphTable<W> {
    pub(crate) fn new(out: W, options: WriterOptions) -> Self {
        let mut table = options.table;
        table.width = table.width.clamp(MIN_WIDTH, MAX_WIDTH);
        let topics = TopicColumn::fitting(&options.scheme, table.width);
        let places = match &topics {
            TopicColumn::Places(names) => names.iter().map(|name| width(name) + 1).sum::<usize>().saturating_sub(1),
            TopicColumn::List(width) => *width,
        };
        let topics_width = if options.scheme.boilerplate { places.max(width(BOILERPLATE)) } else { places };
        Self {
            out,
            scheme: options.scheme,
            options: table,
            topics,
            topics_width,
            documents: 0,
            in_document: false,
            not_validated: 0,
        }
    }

    fn heading(&mut self, id: &str) -> io::Result<()> {
        let gap = if self.documents == 0 { "" } else { "\n" };
        let name = cut_start(id, self.options.width - 6);
        let rule = "─".repeat(self.options.width.saturating_sub(width(&name) + 4));
        let colour = self.options.colour;
        let (name, rule) = (paint(colour, BOLD, &name), paint(colour, DIM, &rule));
        writeln!(self.out, "{gap}{} {name} {rule}", paint(colour, DIM, "──"))?;
        self.documents += 1;
        self.in_document = true;
        self.not_validated = 0;
        Ok(())
    }

    fn topic_cell(&self, record: &ParagraphRecord<'_>) -> String {
        if record.prediction.is_boilerplate() {
            return BOILERPLATE.to_owned();
        }
        match &self.topics {
            TopicColumn::Places(names) => {
                let places = names.iter().zip(record.prediction.topics());
                let places = places.map(|(name, topic)| pad(if topic.applies { name } else { "" }, width(name)));
                places.collect::<Vec<_>>().join(" ")
            }
            TopicColumn::List(columns) => cut(&applying(record), *columns),
        }
    }

    /// One line: number, gauge, topics, text; further lines of text under the first.
    fn wide_row(&mut self, record: &ParagraphRecord<'_>) -> io::Result<()> {
        let is_boilerplate = record.prediction.is_boilerplate();
        let colour = self.options.colour && !is_boilerplate;
        let mut labels = format!("{INDENT}{:<NUMBER$}", format!("#{}", record.paragraph.index()));
        let mut columns = labels.len();
        if let (Some(scale), Some(level)) = (&self.scheme.scale, record.prediction.escalation()) {
            labels.push(' ');
            labels.push_str(&if is_boilerplate {
                " ".repeat(gauge_width(scale))
            } else {
                gauge(scale, level.code, colour)
            });
            columns += 1 + gauge_width(scale);
        }
        if self.topics_width > 0 {
            labels.push_str(INDENT);
            labels.push_str(&pad(&self.topic_cell(record), self.topics_width));
            columns += INDENT.len() + self.topics_width;
        }
        let room = self.options.width.saturating_sub(columns + INDENT.len());
        for (line, text) in self.text_lines(record, room).into_iter().enumerate() {
            let row =
                if line == 0 { format!("{labels}{INDENT}{text}") } else { format!("{:columns$}{INDENT}{text}", "") };
            self.write_row(row.trim_end(), is_boilerplate)?;
        }
        Ok(())
    }

    /// A line of labels, then the text below it.
    fn narrow_row(&mut self, record: &ParagraphRecord<'_>) -> io::Result<()> {
        let is_boilerplate = record.prediction.is_boilerplate();
        let mut labels = format!("{INDENT}{:<NUMBER$}", format!("#{}", record.paragraph.index()));
        let mut columns = labels.len();
        if let (Some(scale), Some(level), false) = (&self.scheme.scale, record.prediction.escalation(), is_boilerplate)
        {
            labels = format!("{labels} {}", gauge(scale, level.code, self.options.colour));
            columns += 1 + gauge_width(scale);
        }
        let topics = if is_boilerplate { BOILERPLATE.to_owned() } else { applying(record) };
        let topics = cut(&topics, self.options.width.saturating_sub(columns + INDENT.len()));
        self.write_row(format!("{labels}{INDENT}{topics}").trim_end(), is_boilerplate)?;
        for text in self.text_lines(record, self.options.width - 2 * INDENT.len()) {
            self.write_row(&format!("{INDENT}{INDENT}{text}"), is_boilerplate)?;
        }
        Ok(())
    }

    /// A line for each number behind the decision, with the words that moved it most.
    fn why(&mut self, record: &ParagraphRecord<'_>, explanation: &Explanation) -> io::Result<()> {
        let room = self.options.width - 3 * INDENT.len();
        for target in Target::decided(explanation.prediction()) {
            let strongest = explanation.strongest(target, LEAST_WEIGHT);
            let mut line = format!("{} by", clean(target.name(&self.scheme)));
            for (part, weight) in strongest.iter().take(SHOWN_PARTS) {
                let words = cut(&record.paragraph.text()[part.byte_range()], PART_WIDTH).replace(' ', "\u{a0}");
                line.push_str(&format!(" {words}\u{a0}{}", signed_mean(Some(f64::from(*weight)))));
            }
            if strongest.is_empty() {
                line.push_str(" no single word");
            }
            for (index, line) in wrap_cleaned(&line, room).into_iter().enumerate() {
                let indent = INDENT.repeat(if index == 0 { 2 } else { 3 });
                self.write_row(&format!("{indent}{line}"), true)?;
            }
        }
        Ok(())
    }

    fn text_lines(&self, record: &ParagraphRecord<'_>, columns: usize) -> Vec<String> {
        let text = record.paragraph.text();
        if self.options.full_text { wrap(text, columns) } else { vec![cut(text, columns)] }
    }

    fn write_row(&mut self, row: &str, is_dimmed: bool) -> io::Result<()> {
        let colour = self.options.colour && is_dimmed;
        writeln!(self.out, "{}", paint(colour, DIM, row))
    }
}

impl<W: Write> RecordWriter for ParagraphTable<W> {
    fn paragraph(&mut self, record: &ParagraphRecord<'_>) -> io::Result<()> {
        if !self.in_document {
            self.heading(record.document.id())?;
        }
        let is_told = record.language != Language::UNDETERMINED;
        self.not_validated += usize::from(is_told && !record.language_validated);
        if self.options.width < ONE_LINE_WIDTH {
            self.narrow_row(record)?
        } else {
            self.wide_row(record)?
        }
        record.explanation.map_or(Ok(()), |explanation| self.why(record, explanation))
    }

    fn document(&mut self, record: &DocumentRecord<'_>) -> io::Result<()> {
        if !self.in_document {
            self.heading(record.document.id())?;
        }
        self.in_document = false;
        for part in summary_parts(record.summary, self.not_validated) {
            for line in wrap_cleaned(&part, self.options.width - INDENT.len()) {
                writeln!(self.out, "{INDENT}{line}")?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.documents > 0 {
            writeln!(self.out)?;
            for part in legend(&self.scheme, &self.topics) {
                for line in wrap_cleaned(&part, self.options.width) {
                    writeln!(self.out, "{}", paint(self.options.colour, DIM, &line))?;
                }
            }
        }
        self.out.flush()
    }
}

fn applying(record: &ParagraphRecord<'_>) -> String {
    let topics = record.prediction.topics().filter(|topic| topic.applies);
    topics.map(|topic| clean(topic.name)).collect::<Vec<_>>().join(", ")
}

/// What is said under a document: what it is made of, then how escalatory it is.
pub(crate) fn summary_parts(summary: &Summary, not_validated: usize) -> Vec<String> {
    let paragraphs = summary.paragraphs();
    let mut made_of = match paragraphs {
        0 => "no paragraphs".to_owned(),
        1 => "1 paragraph".to_owned(),
        _ => format!("{paragraphs} paragraphs"),
    };
    if let (true, Some(share)) = (summary.boilerplate() > 0, summary.boilerplate_share()) {
        made_of.push_str(&format!(", {} boilerplate ({:.0} %)", summary.boilerplate(), share * 100.0));
    }
    if paragraphs > 0 {
        made_of.push_str(&format!(", language {}", summary.language().code()));
    }
    if not_validated > 0 && paragraphs > 0 {
        made_of.push_str(&format!(", {not_validated} in a language that the bundle was not validated for"));
    }
    let mut parts = vec![made_of];
    if summary.content() == 0 {
        return parts;
    }
    let topics: Vec<String> =
        summary.topics().map(|(name, count)| format!("{}\u{a0}{count}", clean(name).replace(' ', "\u{a0}"))).collect();
    parts.extend((!topics.is_empty()).then(|| format!("topics: {}", topics.join(", "))));
    if let (Some(scale), Some(peak)) = (&summary.scheme().scale, summary.escalation_peak()) {
        let levels: Vec<String> =
            summary.levels().map(|(code, count)| format!("{}×{count}", signed_code(code))).collect();
        parts.push(format!(
            "{}: mean {}, peak {} at #{}; levels {}",
            clean(&scale.name),
            signed_mean(summary.escalation_mean()),
            signed_mean(Some(peak.expected.into())),
            peak.paragraph,
            levels.join(" ")
        ));
    }
    parts
}
