//! Plain columns separated by three blanks: no box drawing, no trailing blanks.

use crate::cli::style::{Style, Tone};

const GAP: &str = "   ";

/// Rows under a heading.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

/// One field.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A field in a tone.
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|text| Cell::toned(*text, Tone::Bold)).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// All lines, each with its line end. On a terminal the last column is cut at its edge.
    pub(crate) fn render(&self, style: Style) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|at| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(at))
                    .map(|cell| length(&cell.text))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            text.push_str(&line(row, &widths, style));
            text.push('\n');
        }
        text
    }
}

fn line(row: &[Cell], widths: &[usize], style: Style) -> String {
    let mut text = String::new();
    let mut used = 0;
    // Blanks are written only when something follows them.
    let mut owed = 0;
    for (at, cell) in row.iter().enumerate() {
        if cell.text.is_empty() {
            owed += widths[at] + GAP.len();
            continue;
        }
        used += owed;
        text.extend(std::iter::repeat_n(' ', owed));
        let last = at + 1 == widths.len();
        let shown = match style.width {
            Some(width) if last && used + length(&cell.text) > width && width > used + 8 => {
                let kept: String = cell.text.chars().take(width - used - 3).collect();
                format!("{kept}...")
            }
            Some(_) | None => cell.text.clone(),
        };
        used += length(&shown);
        owed = widths[at].saturating_sub(length(&shown)) + GAP.len();
        text.push_str(&style.paint(cell.tone, &shown));
    }
    text
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_trailing_blanks() {
        let mut table = Table::new(&["JOB ID", "STATUS", "SUBMITTED"]);
        table.row(vec!["nightly-docs".into(), "RUNNING".into(), "12m ago".into()]);
        table.row(vec!["x".into(), "".into(), "".into()]);
        let text = table.render(Style::PLAIN);
        assert_eq!(text, "JOB ID         STATUS    SUBMITTED\nnightly-docs   RUNNING   12m ago\nx\n");
    }

    #[test]
    fn only_a_terminal_cuts() {
        let mut table = Table::new(&["A", "B"]);
        table.row(vec!["1".into(), "a long message that does not fit".into()]);
        let cut = table.render(Style { width: Some(20), ..Style::PLAIN });
        assert!(cut.lines().all(|line| line.chars().count() <= 20), "{cut}");
        assert!(table.render(Style::PLAIN).contains("does not fit"));
    }
}
