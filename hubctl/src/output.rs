//! What a command prints: a table for people, JSON for scripts.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON document, or one a line where the output is a stream.
    Json,
}

/// Where results go. Notes for people go to the standard error output and only there.
pub(crate) struct Output<W> {
    format: Format,
    writer: W,
}

impl Output<io::Stdout> {
    pub(crate) fn standard(format: Format) -> Self {
        Self { format, writer: io::stdout() }
    }
}

impl<W: Write> Output<W> {
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Prints a whole result: `value` as JSON, or the table made of it.
    pub(crate) fn result<T: Serialize + ?Sized>(&mut self, value: &T, table: impl FnOnce(&T) -> Table) -> io::Result<()> {
        match self.format {
            Format::Json => self.document(value),
            Format::Table => self.writer.write_all(table(value).render().as_bytes()),
        }
    }

    /// Prints `value` as indented JSON in either format, for what no table could hold.
    pub(crate) fn document<T: Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.writer, value)?;
        self.line("")
    }

    /// Prints one line of a stream and flushes it.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.writer, "{text}")?;
        self.writer.flush()
    }

    /// Prints `value` as JSON on one line of a stream and flushes it.
    pub(crate) fn json_line<T: Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        self.line(&serde_json::to_string(value)?)
    }

    /// Says that something was done where there is nothing to show: `{}` for scripts.
    pub(crate) fn done(&mut self, text: &str) -> io::Result<()> {
        match self.format {
            Format::Json => self.line("{}"),
            Format::Table => self.line(text),
        }
    }
}

/// Rows under headings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Many things of a kind, a row each.
    pub(crate) fn rows(headings: &[&'static str], rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        Self { headings: headings.to_vec(), rows: rows.into_iter().collect() }
    }

    /// One thing, a row for each of its fields; fields without a value are left out.
    pub(crate) fn fields(fields: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let rows = fields.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| vec![name.to_owned(), value]);
        Self { headings: Vec::new(), rows: rows.collect() }
    }

    fn render(&self) -> String {
        let headings = (!self.headings.is_empty()).then(|| self.headings.iter().map(|h| h.to_uppercase()).collect::<Vec<_>>());
        let lines: Vec<Vec<String>> = headings.into_iter().chain(self.rows.iter().cloned()).map(printable).collect();
        let mut widths: Vec<usize> = Vec::new();
        for line in &lines {
            widths.resize(widths.len().max(line.len()), 0);
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        lines.iter().map(|line| render_line(line, &widths)).collect()
    }
}

fn render_line(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
    format!("{}\n", padded.join("  ").trim_end())
}

/// A device chooses much of what is shown here and must not reach the terminal's controls.
fn printable(cells: Vec<String>) -> Vec<String> {
    cells.into_iter().map(|cell| without_controls(&cell)).collect()
}

/// `text` with control characters escaped.
pub(crate) fn without_controls(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(format: Format, print: impl FnOnce(&mut Output<&mut Vec<u8>>) -> io::Result<()>) -> String {
        let mut bytes = Vec::new();
        print(&mut Output { format, writer: &mut bytes }).expect("memory takes everything");
        String::from_utf8(bytes).expect("text")
    }

    fn table(values: &[u32]) -> Table {
        Table::rows(&["number", "square"], values.iter().map(|v| vec![v.to_string(), (v * v).to_string()]))
    }

    #[test]
    fn a_table_aligns_its_columns_and_json_is_one_document() {
        let values = vec![7, 1000];
        assert_eq!(printed(Format::Table, |o| o.result(values.as_slice(), table)), "NUMBER  SQUARE\n7       49\n1000    1000000\n");
        assert_eq!(printed(Format::Json, |o| o.result(values.as_slice(), table)), "[\n  7,\n  1000\n]\n");
        assert_eq!(printed(Format::Table, |o| o.result(&[][..], table)), "NUMBER  SQUARE\n");
        assert_eq!(printed(Format::Json, |o| o.done("gone")), "{}\n");
    }

    #[test]
    fn fields_without_a_value_are_left_out() {
        let fields = [("id", "d1".to_owned()), ("reason", String::new()), ("status", "enabled".to_owned())];
        assert_eq!(Table::fields(fields).render(), "id      d1\nstatus  enabled\n");
    }

    #[test]
    fn controls_do_not_reach_the_terminal() {
        assert_eq!(without_controls("a\u{1b}[2Jb\né"), "a\\u{1b}[2Jb\\né");
    }
}
