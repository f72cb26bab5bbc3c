//! The table by document: one row each, the name last, since it may be long; in a narrow terminal some lines each.

use std::io::{self, Write};
use std::sync::Arc;

use crate::label::Scheme;
use crate::output::number::signed_mean;
use crate::output::table::cell::{cut_start, width, wrap_cleaned};
use crate::output::table::gauge::{BOLD, DIM, bar, bar_width, level_style, paint};

use crate::output::table::paragraphs::summary_parts;
use crate::output::table::{INDENT, MAX_WIDTH, MIN_WIDTH, TableOptions, TopicColumn, legend};
use crate::output::{DocumentRecord, ParagraphRecord, RecordWriter, Summary, WriterOptions};

/// Columns of a mean: sign, digit, point, two decimals.
const MEAN: usize = 5;
/// Columns of a count of paragraphs.
const COUNT: usize = 5;
/// Columns of a language code.
const LANGUAGE: usize = 4;
/// Columns that the name of a document gets at least; where they are missing, a document takes several lines.
const NAME: usize = 10;

/// Writes the table by document.
pub(crate) struct DocumentTable<W> {
    out: W,
    scheme: Arc<Scheme>,
    options: TableOptions,
    topics: TopicColumn,
    rows: usize,
}

impl<W: Write> DocumentTable<W> {
    pub(crate) fn new(out: W, options: WriterOptions) -> Self {
        let mut table = options.table;
        table.width = table.width.clamp(MIN_WIDTH, MAX_WIDTH);
        let topics = TopicColumn::fitting(&options.scheme, table.width);
        Self { out, scheme: options.scheme, options: table, topics, rows: 0 }
    }

    /// Names of the columns and their widths, in order; numbers stand at the right of their column.
    fn columns(&self) -> Vec<(String, usize)> {
        let mut columns = Vec::new();
        if let Some(scale) = &self.scheme.scale {
            columns.push(("mean".to_owned(), MEAN));
            columns.push((String::new(), bar_width(scale)));
            columns.push(("peak".to_owned(), MEAN));
        }
        if let TopicColumn::Places(names) = &self.topics {
            columns.extend(names.iter().map(|name| (name.clone(), width(name).max(COUNT - 1))));
        }
        columns.push(("paras".to_owned(), COUNT));
        if self.scheme.boilerplate {
            columns.push(("boil".to_owned(), COUNT));
        }
        columns.push(("lang".to_owned(), LANGUAGE));
        columns
    }

    /// The cells under [`Self::columns`], with the columns that each takes.
    fn cells(&self, summary: &Summary) -> Vec<(String, usize)> {
        let colour = self.options.colour;
        let plain = |text: String| {
            let columns = width(&text);
            (text, columns)
        };
        let mut cells = Vec::new();
        if let Some(scale) = &self.scheme.scale {
            let coloured = |value: Option<f64>| {
                let (text, columns) = plain(signed_mean(value));
                let style = value.map_or(DIM, |value| level_style(scale, value.round() as i32));
                (paint(colour, style, &text), columns)
            };
            let mean = summary.escalation_mean();
            cells.push(coloured(mean));
            cells.push(match mean {
                Some(mean) => (bar(scale, mean.round() as i32, colour), bar_width(scale)),
                None => plain(String::new()),
            });
            cells.push(coloured(summary.escalation_peak().map(|peak| peak.expected.into())));
        }
        if let TopicColumn::Places(_) = self.topics {
            cells.extend(summary.topics().map(|(_, count)| plain(count.to_string())));
        }
        cells.push(plain(summary.paragraphs().to_string()));
        if self.scheme.boilerplate {
            let share = summary.boilerplate_share().map_or("–".to_owned(), |share| format!("{:.0} %", share * 100.0));
            cells.push(plain(share));
        }
        cells.push(plain(summary.language().code().to_owned()));
        cells
    }
}

impl<W: Write> RecordWriter for DocumentTable<W> {
    fn paragraph(&mut self, _record: &ParagraphRecord<'_>) -> io::Result<()> {
        Ok(())
    }

    fn document(&mut self, record: &DocumentRecord<'_>) -> io::Result<()> {
        let (total, colour) = (self.options.width, self.options.colour);
        let columns = self.columns();
        let id = record.document.id();
        self.rows += 1;
        if columns.iter().map(|(_, columns)| columns + 1).sum::<usize>() + 1 + NAME > total {
            writeln!(self.out, "{}", paint(colour, BOLD, &cut_start(id, total)))?;
            for part in summary_parts(record.summary, 0) {
                for line in wrap_cleaned(&part, total - INDENT.len()) {
                    writeln!(self.out, "{INDENT}{line}")?;
                }
            }
            return Ok(());
        }
        if self.rows == 1 {
            let names: Vec<String> = columns.iter().map(|(name, columns)| format!("{name:>columns$}")).collect();
            writeln!(self.out, "{}", paint(colour, DIM, &format!("{}{INDENT}document", names.join(" "))))?;
        }
        let mut row = String::new();
        let mut used = 0;
        for ((cell, cell_width), (_, columns)) in self.cells(record.summary).into_iter().zip(columns) {
            let spaces = usize::from(used > 0) + columns.saturating_sub(cell_width);
            row.push_str(&" ".repeat(spaces));
            row.push_str(&cell);
            used += spaces + cell_width;
        }
        let name = cut_start(id, total.saturating_sub(used + INDENT.len()));
        writeln!(self.out, "{row}{INDENT}{}", paint(colour, BOLD, &name))
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.rows > 0 {
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
