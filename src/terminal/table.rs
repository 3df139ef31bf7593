use console::measure_text_width;

/// A table for people: a heading, rows, no lines; as wide as what it holds. Cells may hold colours.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

/// Between two columns.
const GAP: &str = "  ";

impl Table {
    /// An empty table with these column headings.
    pub fn new<S: Into<String>>(heading: impl IntoIterator<Item = S>) -> Self {
        Self { rows: vec![heading.into_iter().map(|cell| cell.into().to_uppercase()).collect()] }
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) -> &mut Self {
        self.rows.push(cells.into_iter().map(Into::into).collect());
        self
    }

    /// The lines, without spaces at their ends.
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| measure_text_width(cell)).max())
            .map(Option::unwrap_or_default)
            .collect();
        let line = |row: &Vec<String>| {
            let padded = row.iter().zip(&widths).map(|(cell, width)| {
                let missing = width.saturating_sub(measure_text_width(cell));
                format!("{cell}{}", " ".repeat(missing))
            });
            padded.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_their_colours() {
        let mut table = Table::new(["service", "state"]);
        table.row(["kafka", "\u{1b}[32mhealthy\u{1b}[0m"]).row(["postgres", "starting"]);
        assert_eq!(table.text(), "SERVICE   STATE\nkafka     \u{1b}[32mhealthy\u{1b}[0m\npostgres  starting");
    }
}
